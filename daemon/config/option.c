#include "daemon/config/option.h"

#include "daemon/machine/layout.h"
#include "daemon/util/nearest.h"
#include "daemon/util/number.h"
#include "kernels/kernels.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(f) offsetof(struct config, f), sizeof(((struct config *)0)->f)

const struct option_row option_table[OPTION_COUNT] = {
	{ "model", "FILE", "", "GGUF model (needed)", KIND_STRING, FIELD(model), 0, 0 },
	{ "socket", "PATH", "", "listen here (default: $XDG_RUNTIME_DIR/gyre.sock, else /run/gyre/gyre.sock)",
	  KIND_STRING, FIELD(socket), 0, 0 },
	{ "socket-mode", "MODE", "0", "mode of the socket's file, such as 0660; 0: the umask's", KIND_MODE,
	  FIELD(socket_mode), 0, 0777 },
	{ "socket-group", "NAME", "", "group of the socket's file (default: gyred's own)", KIND_STRING,
	  FIELD(socket_group), 0, 0 },
	{ "threads", "N", "0", "workers; 0: one per core, within the CPU quota", KIND_U32, FIELD(n_thread), 0, 1024 },
	{ "nodes", "N", "0", "nodes that share a model; 0: one per NUMA node with cores and memory", KIND_U32,
	  FIELD(n_node), 0, NODE_MAX },
	{ "replicas", "N", "1", "engines that share the requests and divide the threads: one per NUMA node, say",
	  KIND_U32, FIELD(n_replica), 1, CONFIG_REPLICA_MAX },
	{ "ctx", "N", "0", "positions of a sequence; 0: the model's, at most 8192", KIND_U32, FIELD(n_ctx), 0,
	  1u << 20 },
	{ "kv-bytes", "BYTES", "0", "KV pool of each replica, suffix K, M, G or T; 0: four full contexts, or what fits",
	  KIND_BYTES, FIELD(kv_bytes), 0, UINT64_MAX },
	{ "session-bytes", "BYTES", "0",
	  "rings and arenas of all clients together, a user half of what others leave; 0: half of the memory left",
	  KIND_BYTES, FIELD(session_bytes), 0, UINT64_MAX },
	{ "kv-type", "TYPE", "f16", "how keys and values are stored: f16, or q8_0 in half the bytes", KIND_STRING,
	  FIELD(kv_type), 0, 0 },
	{ "chat-template", "FILE", "", "Jinja file, or the name of one that gyred has, in place of the model's",
	  KIND_STRING, FIELD(chat_template), 0, 0 },
	{ "chat-date", "DATE", "2024-07-26", "what a chat template that asks for the date is told", KIND_STRING,
	  FIELD(chat_date), 0, 0 },
	{ "batch-rows", "N", "512", "rows of one step", KIND_U32, FIELD(batch_rows), 1, 65536 },
	{ "chunk", "N", "0", "rows of one prompt in a step at most; 0: as many as its user may have", KIND_U32,
	  FIELD(chunk), 0, 65536 },
	{ "share-rows", "N", "0",
	  "rows of a user in a step that others share, and a quarter of a lone user's; 0: measured", KIND_U32,
	  FIELD(share), 0, 65536 },
	{ "priority-uids", "UIDS", "",
	  "such as 0,1000: their priorities below 128 go before everybody's, not only their own", KIND_UIDS,
	  FIELD(outrank), 0, 0 },
	{ "isa", "NAME", "auto", "kernels: auto or", KIND_ISA, FIELD(isa), 0, 0 },
	{ "draft", "N", "0", "tokens guessed ahead by prompt look-up; 0: off", KIND_U32, FIELD(n_draft), 0, 16 },
	{ "drain-seconds", "N", "30", "after SIGTERM, running requests may go on this long", KIND_U32,
	  FIELD(drain_seconds), 0, 86400 },
	{ "core-dumps", "0|1", "0", "1: core dumps and debuggers see all of the daemon's memory, prompts too", KIND_U32,
	  FIELD(core_dumps), 0, 1 },
	{ "spin-us", "N", "50", "spin this long before sleeping", KIND_U32, FIELD(spin_us), 0, 1000000 },
};

static int set_string(char *field, const struct option_row *row, const char *value, struct error *e)
{
	if (!*value)
		return error_set(e, -EINVAL, "%s needs a value: %s", row->key, row->argument);
	if (strlen(value) >= row->size)
		return error_set(e, -EINVAL, "%s: longer than %zu bytes", row->key, row->size - 1);
	strcpy(field, value);
	return 0;
}

static int set_number(char *field, const struct option_row *row, const char *value, struct error *e)
{
	bool is_bytes = row->kind == KIND_BYTES;
	char range[64];
	uint64_t v = 0;
	int r;

	if (!*value)
		return error_set(e, -EINVAL, "%s needs a value: %s", row->key, row->argument);
	r = is_bytes ? number_bytes(value, &v) : number_whole(value, &v);
	if (r == -EINVAL && is_bytes)
		return error_set(e, -EINVAL, "%s: '%s' is no size; write bytes, or a number with K, M, G or T: 512M",
				 row->key, value);
	if (r < 0 || v < row->min || v > row->max)
		return error_set(e, -EINVAL, "%s: '%s' is not a whole number %s", row->key, value,
				 is_bytes ? "of less than 2^64"
					  : number_range(range, sizeof(range), row->min, row->max));
	if (is_bytes)
		*(uint64_t *)field = v;
	else
		*(uint32_t *)field = (uint32_t)v;
	return 0;
}

/* Octal, as chmod has it. */
static int set_mode(uint32_t *field, const struct option_row *row, const char *value, struct error *e)
{
	char *end;
	unsigned long mode = strtoul(value, &end, 8);

	if (!isdigit((unsigned char)*value) || *end || mode > row->max)
		return error_set(e, -EINVAL, "%s: '%s' is no mode; write it as chmod has it, in digits: 0660", row->key,
				 value);
	*field = (uint32_t)mode;
	return 0;
}

/* "0,1000"; nothing: nobody. */
static int set_uids(struct config_uids *u, const char *key, const char *value, struct error *e)
{
	u->n = 0;
	while (*value) {
		char *end = NULL;
		unsigned long uid = isdigit((unsigned char)*value) ? strtoul(value, &end, 10) : UINT32_MAX;

		if (uid >= UINT32_MAX || (*end && *end != ',') || (*end && !end[1]))
			return error_set(e, -EINVAL,
					 "%s: '%s': write numbers with commas between them, as in 0,1000 (id -u NAME)",
					 key, value);
		if (u->n == CONFIG_UID_MAX)
			return error_set(e, -EINVAL, "%s: more than %u", key, CONFIG_UID_MAX);
		u->uid[u->n++] = (uint32_t)uid;
		value = *end ? end + 1 : end;
	}
	return 0;
}

int option_set(struct config *c, const struct option_row *row, const char *value, struct error *e)
{
	char *field = (char *)c + row->offset;

	if (row->kind == KIND_MODE)
		return set_mode((uint32_t *)field, row, value, e);
	if (row->kind == KIND_UIDS)
		return set_uids((struct config_uids *)field, row->key, value, e);
	return row->kind == KIND_STRING || row->kind == KIND_ISA ? set_string(field, row, value, e)
								 : set_number(field, row, value, e);
}

int option_refuse(const char *where, const char *kind, const char *word, size_t n, struct error *e)
{
	struct nearest near;

	nearest_begin(&near, word, n);
	for (size_t i = 0; i < OPTION_COUNT; i++)
		nearest_offer(&near, option_table[i].key);
	if (near.best)
		return error_set(e, -EINVAL, "%sunknown %s '%.*s'; did you mean %s? gyred --help lists them", where,
				 kind, (int)n, word, near.best);
	return error_set(e, -EINVAL, "%sunknown %s '%.*s'; gyred --help lists them", where, kind, (int)n, word);
}

void option_set_defaults(struct config *c)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (*option_table[i].preset)
			option_set(c, &option_table[i], option_table[i].preset, NULL);
	if (runtime && *runtime)
		snprintf(c->socket, sizeof(c->socket), "%s/gyre.sock", runtime);
	else
		strcpy(c->socket, "/run/gyre/gyre.sock");
}
