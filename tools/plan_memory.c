/* `gyre plan --memory FILE…`: what models would take together, beside what this host or this cgroup has. */
#include "tools/plan.h"

#include "daemon/machine/placement.h"
#include "daemon/model/need.h"
#include "daemon/util/minmax.h"
#include "daemon/util/number.h"

#define CTX_AUTO    8192u                /* gyred's, of a model that was trained on more */
#define CONTEXTS    4u                   /* full ones, of a pool that nobody gave a size */
#define CTX_LEAST   256u                 /* a pool of fewer positions is refused */
#define BESIDE_EACH ((uint64_t)64 << 20) /* places of requests, work space, threads */

struct row {
	const char *file;
	struct model_need need;
	uint64_t least, wish; /* bytes in all: with the smallest pool, with the usual one */
};

static int read_row(struct row *row, const struct args *a, const char *file, struct error *e)
{
	enum kvq_type type = kvq_parse(a->kv_type ? a->kv_type : "f16");
	struct gguf *g = NULL;
	uint32_t n_ctx;
	int r;

	if (type == KVQ_TYPE_MAX)
		return error_set(e, -1, "--kv-type: '%s' is none of f16, q8_0", a->kv_type);
	r = gguf_open(&g, file, e);
	if (r == 0)
		r = model_need(&row->need, g, type, e);
	gguf_close(g);
	if (r < 0)
		return r;
	n_ctx = min_u32(row->need.n_ctx_train, CTX_AUTO);
	row->file = file;
	row->least = row->need.weight_bytes + min_u32(n_ctx, CTX_LEAST) * row->need.position_bytes + BESIDE_EACH;
	row->wish = row->need.weight_bytes + (uint64_t)CONTEXTS * n_ctx * row->need.position_bytes + BESIDE_EACH;
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

static int print(const struct args *a, const struct row *row, int n, uint64_t available)
{
	char text[4][32];
	uint64_t least = 0, wish = 0;
	json_t *list = json_array();

	for (int i = 0; i < n; i++) {
		least += row[i].least;
		wish += row[i].wish;
		json_array_append_new(list, json_pack("{s:s,s:I,s:I,s:I,s:I}", "file", row[i].file, "weights",
						      (json_int_t)row[i].need.weight_bytes, "position",
						      (json_int_t)row[i].need.position_bytes, "least",
						      (json_int_t)row[i].least, "wish", (json_int_t)row[i].wish));
		if (!a->json)
			printf("%10s %10s %10s %10s  %s\n", size(text[0], row[i].need.weight_bytes),
			       size(text[1], row[i].need.position_bytes * 1024), size(text[2], row[i].least),
			       size(text[3], row[i].wish), row[i].file);
	}
	if (a->json)
		return print_json(json_pack("{s:o,s:I,s:I,s:I,s:b}", "models", list, "least", (json_int_t)least, "wish",
					    (json_int_t)wish, "available", (json_int_t)available, "fits",
					    least <= available));
	json_decref(list);
	printf("%10s %10s %10s %10s  together, of %s that this host has for them: %s\n", "", "", size(text[0], least),
	       size(text[1], wish), size(text[2], available), verdict(least, wish, available));
	return least <= available ? TOOL_OK : TOOL_FAILED;
}

int plan_memory(const struct args *a)
{
	struct row row[LIST_MAX];
	struct error e = { "" };

	if (!a->n_word || a->n_word > (int)LIST_MAX)
		return fail(TOOL_USAGE, "--memory: say which models, up to %u: gyre plan --memory FILE.gguf...",
			    LIST_MAX);
	for (int i = 0; i < a->n_word; i++)
		if (read_row(&row[i], a, a->word[i], &e) < 0)
			return fail(TOOL_FAILED, "%s", e.text);
	if (!a->json)
		printf("%10s %10s %10s %10s  %s\n", "WEIGHTS", "KV/1024", "AT LEAST", "USUALLY", "FILE");
	return print(a, row, a->n_word, placement_available(a->root ? a->root : "", -1));
}
