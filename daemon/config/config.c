#include "daemon/config/config.h"

#include "daemon/util/layout.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum option_kind { KIND_STRING, KIND_U32, KIND_BYTES };

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
	{ "batch-rows", "N", "512", "rows of one step", KIND_U32, FIELD(batch_rows), 1, 65536 },
	{ "chunk", "N", "0", "rows of one prompt in a step; 0: batch-rows", KIND_U32, FIELD(chunk), 0, 65536 },
	{ "isa", "NAME", "auto", "kernels: auto, ref, avx2, avx512vnni or zen4", KIND_STRING, FIELD(isa), 0, 0 },
	{ "draft", "N", "0", "tokens guessed ahead by prompt look-up; 0: off", KIND_U32, FIELD(n_draft), 0, 16 },
	{ "drain-seconds", "N", "30", "after SIGTERM, running requests may go on this long", KIND_U32,
	  FIELD(drain_seconds), 0, 86400 },
	{ "core-dumps", "0|1", "0", "1: core dumps and debuggers see all of the daemon's memory, prompts too", KIND_U32,
	  FIELD(core_dumps), 0, 1 },
	{ "spin-us", "N", "50", "spin this long before sleeping", KIND_U32, FIELD(spin_us), 0, 1000000 },
};

#define N_ROW (sizeof(rows) / sizeof(rows[0]))

static int parse_number(const char *s, enum option_kind kind, uint64_t *v)
{
	char *end;
	unsigned shift = 0;

	errno = 0;
	if (!isdigit((unsigned char)s[0]))
		return -EINVAL;
	*v = strtoull(s, &end, 10);
	if (errno)
		return -EINVAL;
	if (kind == KIND_BYTES && *end) {
		const char *suffix = strchr("KMG", toupper((unsigned char)*end));

		if (!suffix)
			return -EINVAL;
		shift = *suffix == 'K' ? 10 : *suffix == 'M' ? 20 : 30;
		end++;
	}
	if (*end || *v > UINT64_MAX >> shift)
		return -EINVAL;
	*v <<= shift;
	return 0;
}

static int set_row(struct config *c, const struct option_row *row, const char *value, struct error *e)
{
	char *field = (char *)c + row->offset;
	uint64_t v;

	if (row->kind == KIND_STRING) {
		if (strlen(value) >= row->size)
			return error_set(e, -EINVAL, "%s: longer than %zu bytes", row->key, row->size - 1);
		strcpy(field, value);
		return 0;
	}
	if (parse_number(value, row->kind, &v) < 0 || v < row->min || v > row->max)
		return error_set(e, -EINVAL, "%s: '%s' is not a number from %llu to %llu", row->key, value,
				 (unsigned long long)row->min, (unsigned long long)row->max);
	if (row->kind == KIND_U32)
		*(uint32_t *)field = (uint32_t)v;
	else
		*(uint64_t *)field = v;
	return 0;
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

static int set_line(struct config *c, char *line, const char *path, int number, struct error *e)
{
	char *key = trim(line), *value = strchr(key, '=');
	struct error why;

	if (!*key || *key == '#')
		return 0;
	if (!value)
		return error_set(e, -EINVAL, "%s:%d: write key = value", path, number);
	*value++ = 0;
	key = trim(key);
	for (size_t i = 0; i < N_ROW; i++)
		if (!strcmp(rows[i].key, key))
			return set_row(c, &rows[i], trim(value), &why) < 0
				       ? error_set(e, -EINVAL, "%s:%d: %s", path, number, why.text)
				       : 0;
	return error_set(e, -EINVAL, "%s:%d: unknown key '%s'; gyred --help lists them", path, number, key);
}

int config_read_file(struct config *c, const char *path, struct error *e)
{
	FILE *f = fopen(path, "re");
	char line[PATH_MAX + 64];
	int r = 0;

	if (!f)
		return error_set(e, -errno, "%s: %s", path, strerror(errno));
	for (int number = 1; r == 0 && fgets(line, sizeof(line), f); number++)
		r = set_line(c, line, path, number, e);
	if (r == 0 && ferror(f)) /* a folder opens, and cannot be read */
		r = error_set(e, -EIO, "%s: cannot be read: %s", path, strerror(errno));
	fclose(f);
	return r;
}

static void set_defaults(struct config *c)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < N_ROW; i++)
		set_row(c, &rows[i], rows[i].preset, NULL);
	if (runtime && *runtime)
		snprintf(c->socket, sizeof(c->socket), "%s/gyre.sock", runtime);
	else
		strcpy(c->socket, "/run/gyre/gyre.sock");
}

int config_parse(struct config *c, int argc, char **argv, struct error *e)
{
	struct option long_options[N_ROW + 4] = { { 0 } };
	int o, r = 0;

	set_defaults(c);
	for (size_t i = 0; i < N_ROW; i++)
		long_options[i] = (struct option){ rows[i].key, required_argument, NULL, 256 + (int)i };
	long_options[N_ROW] = (struct option){ "config", required_argument, NULL, 'c' };
	long_options[N_ROW + 1] = (struct option){ "help", no_argument, NULL, 'h' };
	long_options[N_ROW + 2] = (struct option){ "version", no_argument, NULL, 'V' };
	/* The file comes first wherever it stands: two passes over the same options. */
	for (int pass = 0; pass < 2; pass++) {
		optind = 0;
		opterr = 0;
		while (r >= 0 && (o = getopt_long(argc, argv, "+c:hV", long_options, NULL)) != -1) {
			if (o == 'h' || o == 'V')
				return o == 'h' ? CONFIG_HELP : CONFIG_VERSION;
			if (o == '?' || o == ':')
				return error_set(e, -EINVAL, "%s: unknown option or no value; gyred --help lists them",
						 argv[optind - 1]);
			if (o == 'c' && pass == 0)
				r = config_read_file(c, optarg, e);
			else if (o >= 256 && pass == 1)
				r = set_row(c, &rows[o - 256], optarg, e);
		}
	}
	if (r < 0)
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
		char left[64];

		snprintf(left, sizeof(left), "--%s %s", rows[i].key, rows[i].argument);
		fprintf(f, "  %-22s %s", left, rows[i].text);
		fprintf(f, *rows[i].preset ? " (default %s)\n" : "\n", rows[i].preset);
	}
	fputs("  --config FILE          read options from lines of `key = value` first\n"
	      "  --help, --version\n",
	      f);
}
