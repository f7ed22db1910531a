#include "daemon/config/option.h"

#include "daemon/machine/layout.h"
#include "daemon/util/nearest.h"
#include "daemon/util/number.h"
#include "kernels/kernels.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(f)       SCOPE_DAEMON, offsetof(struct config, f), sizeof(((struct config *)0)->f)
#define MODEL_FIELD(f) SCOPE_MODEL, offsetof(struct config_model, f), sizeof(((struct config_model *)0)->f)
#define QUOTA_FIELD(f) SCOPE_QUOTA, offsetof(struct config_quota, f), sizeof(((struct config_quota *)0)->f)

const struct option_row option_table[OPTION_COUNT] = {
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
	{ "session-bytes", "BYTES", "0",
	  "rings and arenas of all clients together, a user half of what others leave; 0: half of the memory left",
	  KIND_BYTES, FIELD(session_bytes), 0, UINT64_MAX },
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
	{ "admin-uids", "UIDS", "", "who may load and unload models, beside root and gyred's own user", KIND_UIDS,
	  FIELD(admin), 0, 0 },
	{ "isa", "NAME", "auto", "kernels: auto or", KIND_ISA, FIELD(isa), 0, 0 },
	{ "drain-seconds", "N", "30", "after SIGTERM, running requests may go on this long", KIND_U32,
	  FIELD(drain_seconds), 0, 86400 },
	{ "core-dumps", "0|1", "0", "1: core dumps and debuggers see all of the daemon's memory, prompts too", KIND_U32,
	  FIELD(core_dumps), 0, 1 },
	{ "spin-us", "N", "50", "spin this long before sleeping", KIND_U32, FIELD(spin_us), 0, 1000000 },
	{ "metrics-socket", "PATH", "", "figures for Prometheus can be read here (default: nowhere)", KIND_STRING,
	  FIELD(metrics_socket), 0, 0 },
	{ "log-level", "off|errors|requests|debug", "errors", "what is logged of requests", KIND_WORD, FIELD(log_level),
	  0, 0 },
	{ "slow-ms", "N", "0", "a request that waits longer for its first token is logged; 0: none", KIND_U32,
	  FIELD(slow_ms), 0, 86400000 },
	{ "memory", "BYTES", "0", "weights and pools of all models together; 0: what the machine or the cgroup has",
	  KIND_BYTES, FIELD(memory), 0, UINT64_MAX },
	{ "seccomp", "0|1", "1", "1: system calls that serving does not need are denied from \"ready\" on", KIND_U32,
	  FIELD(seccomp), 0, 1 },

	{ "model", "FILE", "", "GGUF model (needed); the keys below are its own, or before any model, all models'",
	  KIND_MODEL, MODEL_FIELD(file), 0, 0 },
	{ "name", "NAME", "", "what clients ask for (default: the file's name without .gguf)", KIND_STRING,
	  MODEL_FIELD(name), 0, 0 },
	{ "ctx", "N", "0", "positions of a sequence; 0: the model's, at most 8192", KIND_U32, MODEL_FIELD(n_ctx), 0,
	  1u << 20 },
	{ "kv-bytes", "BYTES", "0", "KV pool of each replica, suffix K, M, G or T; 0: four full contexts, or what fits",
	  KIND_BYTES, MODEL_FIELD(kv_bytes), 0, UINT64_MAX },
	{ "kv-type", "TYPE", "f16", "how keys and values are stored: f16, or q8_0 in half the bytes", KIND_STRING,
	  MODEL_FIELD(kv_type), 0, 0 },
	{ "chat-template", "FILE", "", "Jinja file, or the name of one that gyred has, in place of the model's",
	  KIND_STRING, MODEL_FIELD(chat_template), 0, 0 },
	{ "draft", "N", "0", "tokens guessed ahead by prompt look-up; 0: off", KIND_U32, MODEL_FIELD(n_draft), 0, 16 },
	{ "idle-seconds", "N", "0", "without a request, a model's memory is given back until the next one; 0: never",
	  KIND_U32, MODEL_FIELD(idle_seconds), 0, 31536000 },

	{ "user", "NAME", "", "the quotas below are this user's, a name or a uid; before any, everybody's", KIND_USER,
	  QUOTA_FIELD(id), 0, 0 },
	{ "group", "NAME", "", "likewise, of each user of this group", KIND_GROUP, QUOTA_FIELD(id), 0, 0 },
	{ "max-sessions", "N", "0", "sessions of a user; 0: its share of all there are, as below", KIND_U32,
	  QUOTA_FIELD(n_session), 0, 512 },
	{ "max-arena-bytes", "BYTES", "0", "rings and arenas of a user's sessions", KIND_BYTES,
	  QUOTA_FIELD(arena_bytes), 0, UINT64_MAX },
	{ "max-positions", "N", "0", "positions of keys and values that a user's requests hold at once", KIND_U32,
	  QUOTA_FIELD(n_position), 0, UINT32_MAX },
	{ "max-requests", "N", "0", "requests of a user that are under way", KIND_U32, QUOTA_FIELD(n_request), 0,
	  4096 },
	{ "max-tokens-per-second", "N", "0", "tokens of a user that are read and generated, over ten seconds", KIND_U32,
	  QUOTA_FIELD(tokens_a_second), 0, 10000000 },
	{ "max-priority", "N", "0", "the highest priority of a user's requests (0 is the highest there is)", KIND_U32,
	  QUOTA_FIELD(priority), 0, 255 },
	{ "models", "NAMES", "", "models that a user may ask for, with commas between them (default: all)", KIND_STRING,
	  QUOTA_FIELD(models), 0, 0 },
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

/* The number of a word among those of the argument. */
static int set_word(uint32_t *field, const struct option_row *row, const char *value, struct error *e)
{
	const char *at = row->argument;

	for (uint32_t i = 0; *at; i++) {
		size_t n = strcspn(at, "|");

		if (strlen(value) == n && !strncmp(at, value, n)) {
			*field = i;
			return 0;
		}
		at += n + (at[n] == '|');
	}
	return error_set(e, -EINVAL, "%s: '%s' is none of %s", row->key, value, row->argument);
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

/* ---- sections ---- */

/* A file that is named again goes on with its section: a piece of configuration adds to what another says. */
static int begin_model(struct config *c, struct option_section *at, const char *file, struct error *e)
{
	uint32_t i;

	if (at->is_command_line && !at->has_model)
		c->n_model = 0;
	at->has_model = true;
	at->quota = NULL;
	for (i = 0; i < c->n_model && strcmp(c->model[i].file, file) != 0; i++)
		;
	if (i == CONFIG_MODEL_MAX)
		return error_set(e, -EINVAL, "model: more than %u", CONFIG_MODEL_MAX);
	at->model = &c->model[i];
	if (i < c->n_model)
		return 0;
	*at->model = (struct config_model){ 0 };
	strcpy(at->model->file, file);
	c->n_model++;
	return 0;
}

static int find_user(const char *name, uint32_t *id)
{
	const struct passwd *user = getpwnam(name);

	*id = user ? user->pw_uid : 0;
	return user ? 0 : -ENOENT;
}

static int find_group(const char *name, uint32_t *id)
{
	const struct group *group = getgrnam(name);

	*id = group ? group->gr_gid : 0;
	return group ? 0 : -ENOENT;
}

static int begin_quota(struct config *c, struct option_section *at, const struct option_row *row, const char *name,
		       struct error *e)
{
	enum config_whom whom = row->kind == KIND_USER ? CONFIG_UID : CONFIG_GID;
	uint64_t number;
	uint32_t id, i;

	if (number_whole(name, &number) == 0 && number < UINT32_MAX)
		id = (uint32_t)number;
	else if ((whom == CONFIG_UID ? find_user : find_group)(name, &id) < 0)
		return error_set(e, -EINVAL, "%s: there is no %s '%s' (getent %s)", row->key, row->key, name,
				 whom == CONFIG_UID ? "passwd" : "group");
	at->model = NULL;
	for (i = 0; i < c->n_quota && (c->quota[i].whom != whom || c->quota[i].id != id); i++)
		;
	if (i == CONFIG_QUOTA_MAX)
		return error_set(e, -EINVAL, "%s: more than %u users and groups", row->key, CONFIG_QUOTA_MAX);
	at->quota = &c->quota[i];
	if (i == c->n_quota) {
		*at->quota = (struct config_quota){ .whom = whom, .id = id };
		c->n_quota++;
	}
	return 0;
}

/* ---- a value ---- */

static int set_field(void *base, const struct option_row *row, const char *value, struct error *e)
{
	char *field = (char *)base + row->offset;

	switch (row->kind) {
	case KIND_MODE:
		return set_mode((uint32_t *)field, row, value, e);
	case KIND_WORD:
		return set_word((uint32_t *)field, row, value, e);
	case KIND_UIDS:
		return set_uids((struct config_uids *)field, row->key, value, e);
	case KIND_U32:
	case KIND_BYTES:
		return set_number(field, row, value, e);
	default:
		return set_string(field, row, value, e);
	}
}

static uint64_t bit(const struct option_row *row)
{
	return 1ull << (row - option_table);
}

static int set_model_field(struct config *c, struct option_section *at, const struct option_row *row, const char *value,
			   struct error *e)
{
	struct config_model *m = at->model ? at->model : &c->any;
	int r = set_field(m, row, value, e);

	m->set |= bit(row);
	for (uint32_t i = 0; !at->model && at->is_command_line && i < c->n_model; i++)
		c->model[i].set &= ~bit(row);
	return r;
}

static int set_quota_field(struct config *c, struct option_section *at, const struct option_row *row, const char *value,
			   struct error *e)
{
	struct config_quota *q = at->quota ? at->quota : &c->everybody;

	q->set |= bit(row);
	return set_field(q, row, value, e);
}

int option_set(struct config *c, struct option_section *at, const struct option_row *row, const char *value,
	       struct error *e)
{
	if (!*value && (row->kind == KIND_MODEL || row->kind == KIND_USER || row->kind == KIND_GROUP))
		return error_set(e, -EINVAL, "%s needs a value: %s", row->key, row->argument);
	if (row->kind == KIND_MODEL && strlen(value) >= row->size)
		return error_set(e, -EINVAL, "%s: longer than %zu bytes", row->key, row->size - 1);
	if (row->kind == KIND_MODEL)
		return begin_model(c, at, value, e);
	if (row->kind == KIND_USER || row->kind == KIND_GROUP)
		return begin_quota(c, at, row, value, e);
	if (row->scope == SCOPE_MODEL)
		return at->quota ? error_set(e, -EINVAL,
					     "%s is a model's: write it below a line model = FILE, or above "
					     "all sections",
					     row->key)
				 : set_model_field(c, at, row, value, e);
	if (row->scope == SCOPE_QUOTA)
		return at->model ? error_set(e, -EINVAL,
					     "%s is a user's: write it below a line user = NAME, or above all "
					     "sections",
					     row->key)
				 : set_quota_field(c, at, row, value, e);
	return set_field(c, row, value, e);
}

static void inherit(void *to, uint64_t *set, const void *from, enum option_scope scope)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option_row *row = &option_table[i];

		if (row->scope == scope && row->kind < KIND_MODEL && !(*set & bit(row)))
			memcpy((char *)to + row->offset, (const char *)from + row->offset, row->size);
	}
}

void option_inherit(struct config *c)
{
	for (uint32_t i = 0; i < c->n_model; i++)
		inherit(&c->model[i], &c->model[i].set, &c->any, SCOPE_MODEL);
	for (uint32_t i = 0; i < c->n_quota; i++)
		inherit(&c->quota[i], &c->quota[i].set, &c->everybody, SCOPE_QUOTA);
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

	struct option_section all = { 0 };

	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (*option_table[i].preset)
			option_set(c, &all, &option_table[i], option_table[i].preset, NULL);
	if (runtime && *runtime)
		snprintf(c->socket, sizeof(c->socket), "%s/gyre.sock", runtime);
	else
		strcpy(c->socket, "/run/gyre/gyre.sock");
}
