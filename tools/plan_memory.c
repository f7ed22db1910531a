/* `gyre plan --memory FILE…`: what models would take together, beside what this host or this cgroup has. */
#include "tools/plan.h"

#include "daemon/config/config.h"
#include "daemon/engine/demand.h"
#include "daemon/kv/fit.h"
#include "daemon/kv/kv.h"
#include "daemon/machine/placement.h"
#include "daemon/util/number.h"
#include "kernels/kernels.h"

#include <errno.h>

struct row {
	const char *file;
	uint64_t weights, position; /* bytes; position: of keys and values, of one in all layers */
	uint64_t state;             /* of a sequence's states in all layers */
	uint64_t least, wish;       /* in all: with the smallest pool, with the usual one */
};

static int read_row(struct row *row, const struct args *a, const struct layout *l, const char *file, struct error *e)
{
	static struct config_model own; /* large */
	struct demand d;
	uint64_t kv = 0;
	int r;

	own = (struct config_model){ 0 };
	snprintf(own.file, sizeof(own.file), "%s", file);
	snprintf(own.kv_type, sizeof(own.kv_type), "%s", a->kv_type ? a->kv_type : "f16");
	if (kvq_parse(own.kv_type) == KVQ_TYPE_MAX)
		return error_set(e, -EINVAL, "--kv-type: '%s' is none of f16, q8_0, f32", a->kv_type);
	r = demand_read(&d, &own, l, e);
	if (r < 0)
		return r;
	*row = (struct row){ .file = file, .position = d.cost.block / KV_BLOCK, .state = d.cost.slot };
	for (int i = 0; i < d.n_node; i++) {
		row->weights += d.weights[i];
		kv += d.kv[i];
	}
	row->least = row->weights + kv_pool_bytes(&d.cost, d.n_least) + KV_FIT_ROOM;
	row->wish = row->weights + kv + KV_FIT_ROOM;
	return 0;
}

static const char *size(char text[32], uint64_t bytes)
{
	number_size(text, 32, bytes);
	return text;
}

static const char *verdict(uint64_t least, uint64_t wish, uint64_t available)
{
	if (wish <= available)
		return "fits, each with a pool of four contexts";
	return least <= available ? "fits, with smaller pools" : "does not fit";
}

static void print_row(const struct row *r)
{
	char text[5][32];

	printf("%10s %10s %10s %10s %10s  %s\n", size(text[0], r->weights), size(text[1], r->position * 1024),
	       size(text[2], r->state), size(text[3], r->least), size(text[4], r->wish), r->file);
}

static void print_sum(uint64_t least, uint64_t wish, uint64_t available)
{
	char text[3][32];

	printf("%10s %10s %10s %10s %10s  together, of %s that this host has for them: %s\n", "", "", "",
	       size(text[0], least), size(text[1], wish), size(text[2], available), verdict(least, wish, available));
}

static json_t *row_json(const struct row *r)
{
	return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I}", "file", r->file, "weights", (json_int_t)r->weights, "position",
			 (json_int_t)r->position, "state", (json_int_t)r->state, "least", (json_int_t)r->least, "wish",
			 (json_int_t)r->wish);
}

int plan_memory(const struct args *a, const struct layout *l)
{
	uint64_t least = 0, wish = 0, available = placement_available(a->root ? a->root : "", -1);
	json_t *list = json_array();
	struct error e = { "" };

	if (!a->n_word)
		return fail(TOOL_USAGE, "--memory: say which models: gyre plan --memory FILE.gguf...");
	if (!a->json)
		printf("%10s %10s %10s %10s %10s  %s\n", "WEIGHTS", "KV/1024", "STATE", "AT LEAST", "USUALLY", "FILE");
	for (int i = 0; i < a->n_word; i++) {
		struct row row = { 0 };

		if (read_row(&row, a, l, a->word[i], &e) < 0)
			return fail(TOOL_FAILED, "%s", e.text);
		least += row.least;
		wish += row.wish;
		json_array_append_new(list, row_json(&row));
		if (!a->json)
			print_row(&row);
	}
	if (a->json)
		print_json(json_pack("{s:O,s:I,s:I,s:I,s:b}", "models", list, "least", (json_int_t)least, "wish",
				     (json_int_t)wish, "available", (json_int_t)available, "fits", least <= available));
	else
		print_sum(least, wish, available);
	json_decref(list);
	return least <= available ? TOOL_OK : TOOL_FAILED;
}
