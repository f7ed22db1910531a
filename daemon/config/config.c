#include "daemon/config/config.h"

#include "daemon/machine/layout.h"
#include "daemon/util/nearest.h"
#include "daemon/util/number.h"
#include "kernels/kernels.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum option_kind { KIND_STRING, KIND_U32, KIND_BYTES, KIND_UIDS, KIND_ISA };

struct option_row {
	const char *key, *argument, *preset, *text;
	enum option_kind kind;
	size_t offset, size;
	uint64_t min, max;
};

#define FIELD(f) offsetof(struct config, f), sizeof(((struct config *)0)->f)

static const struct option_row rows[] = {
	{ "model", "FILE", "", "GGUF model (needed)", KIND_STRING, FIELD(model), 0, 0 },
	{ "socket", "PATH", "", "listen here (default: $XDG_RUNTIME_DIR/gyre.sock, else /run/gyre/gyre.sock)",
	  KIND_STRING, FIELD(socket), 0, 0 },
	{ "threads", "N", "0", "workers; 0: one per core, within the CPU quota", KIND_U32, FIELD(n_thread), 0, 1024 },
	{ "nodes", "N", "0", "nodes that share a model; 0: one per NUMA node with cores and memory", KIND_U32,
	  FIELD(n_node), 0, NODE_MAX },
	{ "replicas", "N", "1", "engines that share the requests and divide the threads: one per NUMA node, say",
	  KIND_U32, FIELD(n_replica), 1, CONFIG_REPLICA_MAX },
	{ "ctx", "N", "0", "positions of a sequence; 0: the model's, at most 8192", KIND_U32, FIELD(n_ctx), 0,
	  1u << 20 },
	{ "kv-bytes", "BYTES", "0", "KV pool of each replica, suffix K, M or G; 0: four full contexts, or what fits",
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

#define N_ROW (sizeof(rows) / sizeof(rows[0]))

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

static int set_row(struct config *c, const struct option_row *row, const char *value, struct error *e)
{
	char *field = (char *)c + row->offset;

	if (row->kind == KIND_UIDS)
		return set_uids((struct config_uids *)field, row->key, value, e);
	return row->kind == KIND_STRING || row->kind == KIND_ISA ? set_string(field, row, value, e)
								 : set_number(field, row, value, e);
}

static int refuse_unknown(const char *where, const char *kind, const char *word, size_t n, struct error *e)
{
	struct nearest near;

	nearest_begin(&near, word, n);
	for (size_t i = 0; i < N_ROW; i++)
		nearest_offer(&near, rows[i].key);
	if (near.best)
		return error_set(e, -EINVAL, "%sunknown %s '%.*s'; did you mean %s? gyred --help lists them", where,
				 kind, (int)n, word, near.best);
	return error_set(e, -EINVAL, "%sunknown %s '%.*s'; gyred --help lists them", where, kind, (int)n, word);
}

static char *trim(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	n = strlen(s);
	while (n && isspace((unsigned char)s[n - 1]))
		s[--n] = 0;
	return s;
}

/* Where a file's line is, and where each key was set in it (0: nowhere): the same key twice is a mistake in one of the two. */
struct place {
	const char *path;
	int line, set[N_ROW];
};

static int set_key(struct config *c, size_t i, const char *value, struct place *at, struct error *e)
{
	struct error why;

	if (at->set[i])
		return error_set(e, -EINVAL, "%s:%d: %s has been set in line %d", at->path, at->line, rows[i].key,
				 at->set[i]);
	at->set[i] = at->line;
	return set_row(c, &rows[i], value, &why) < 0 ? error_set(e, -EINVAL, "%s:%d: %s", at->path, at->line, why.text)
						     : 0;
}

static int set_line(struct config *c, char *line, struct place *at, struct error *e)
{
	char *key = trim(line), *value = strchr(key, '='), where[PATH_MAX + 16];

	if (!*key || *key == '#')
		return 0;
	if (!value)
		return error_set(e, -EINVAL, "%s:%d: write key = value", at->path, at->line);
	*value++ = 0;
	key = trim(key);
	for (size_t i = 0; i < N_ROW; i++)
		if (!strcmp(rows[i].key, key))
			return set_key(c, i, trim(value), at, e);
	snprintf(where, sizeof(where), "%s:%d: ", at->path, at->line);
	return refuse_unknown(where, "key", key, strlen(key), e);
}

/* getline's n bytes: a NUL among them would hide the rest. */
static int take_line(struct config *c, char *line, ssize_t n, struct place *at, struct error *e)
{
	at->line++;
	if (strlen(line) != (size_t)n)
		return error_set(e, -EINVAL, "%s:%d: holds a byte 0; this is no text", at->path, at->line);
	return set_line(c, line, at, e);
}

int config_read_file(struct config *c, const char *path, struct error *e)
{
	FILE *f = fopen(path, "re");
	struct place at = { .path = path };
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int r = 0;

	if (!f)
		return error_set(e, -errno, "%s: %s", path, strerror(errno));
	while (r == 0 && (n = getline(&line, &size, f)) >= 0)
		r = take_line(c, line, n, &at, e);
	if (r == 0 && ferror(f)) /* a folder opens, and cannot be read */
		r = error_set(e, -EIO, "%s: cannot be read: %s", path, strerror(errno));
	free(line);
	fclose(f);
	return r;
}

static void set_defaults(struct config *c)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < N_ROW; i++)
		if (*rows[i].preset)
			set_row(c, &rows[i], rows[i].preset, NULL);
	if (runtime && *runtime)
		snprintf(c->socket, sizeof(c->socket), "%s/gyre.sock", runtime);
	else
		strcpy(c->socket, "/run/gyre/gyre.sock");
}

#define OPTION_ROW 256 /* getopt's value for rows[0] */

static void list_options(struct option *list)
{
	for (size_t i = 0; i < N_ROW; i++)
		*list++ = (struct option){ rows[i].key, required_argument, NULL, OPTION_ROW + (int)i };
	*list++ = (struct option){ "config", required_argument, NULL, 'c' };
	*list++ = (struct option){ "help", no_argument, NULL, 'h' };
	*list++ = (struct option){ "version", no_argument, NULL, 'V' };
	*list = (struct option){ 0 };
}

/* An option that getopt did not take. word: the argument that getopt has just stepped over, unless that is a cluster of letters. */
static int refuse_option(int o, const char *word, struct error *e)
{
	bool is_flag = optopt == 'h' || optopt == 'V', is_long = !strncmp(word, "--", 2);
	size_t n = is_long ? strcspn(word + 2, "=") : 0;

	if (o == ':')
		return error_set(e, -EINVAL, "%s needs a value; gyred --help says which", word);
	if (is_flag && is_long)
		return error_set(e, -EINVAL, "--%.*s takes no value", (int)n, word + 2);
	if (optopt && optopt < OPTION_ROW)
		return error_set(e, -EINVAL, "unknown option '-%c'; gyred --help lists them", optopt);
	return refuse_unknown("", "option", word + 2, n, e);
}

/* One pass over the options: of the files that --config names, or of all others. */
static int parse_options(struct config *c, int argc, char **argv, bool is_file, struct error *e)
{
	struct option list[N_ROW + 4];
	int o, r = 0;

	list_options(list);
	optind = 0;
	opterr = 0;
	while (r == 0 && (o = getopt_long(argc, argv, "+:c:hV", list, NULL)) != -1) {
		if (o == 'h' || o == 'V')
			return o == 'h' ? CONFIG_HELP : CONFIG_VERSION;
		if (o == '?' || o == ':')
			return refuse_option(o, argv[optind - 1], e);
		if (o == 'c' && !*optarg)
			return error_set(e, -EINVAL, "--config needs a value: FILE");
		if (o == 'c' && is_file)
			r = config_read_file(c, optarg, e);
		else if (o >= OPTION_ROW && !is_file)
			r = set_row(c, &rows[o - OPTION_ROW], optarg, e);
	}
	return r;
}

int config_parse(struct config *c, int argc, char **argv, struct error *e)
{
	int r;

	set_defaults(c);
	r = parse_options(c, argc, argv, true, e); /* the file comes first wherever it stands */
	if (r == 0)
		r = parse_options(c, argc, argv, false, e);
	if (r != 0)
		return r;
	if (optind < argc)
		return error_set(e, -EINVAL, "%s: gyred takes options only; gyred --help lists them", argv[optind]);
	if (!*c->model)
		return error_set(e, -EINVAL, "no model: say --model FILE.gguf");
	return CONFIG_RUN;
}

void config_print_help(FILE *f)
{
	fputs("usage: gyred --model FILE [option...]\n\nServes a GGUF model to processes of this host through shared "
	      "memory.\n\n",
	      f);
	for (size_t i = 0; i < N_ROW; i++) {
		char left[64], isas[KERNELS_LIST_BYTES];

		snprintf(left, sizeof(left), "--%s %s", rows[i].key, rows[i].argument);
		fprintf(f, "  %-22s %s", left, rows[i].text);
		if (rows[i].kind == KIND_ISA)
			fprintf(f, " %s", kernels_isa_names(isas, sizeof(isas), false));
		fprintf(f, *rows[i].preset ? " (default %s)\n" : "\n", rows[i].preset);
	}
	fputs("  --config FILE          read options from lines of `key = value` first\n"
	      "  --help, --version\n",
	      f);
}
