/* The options of every verb, in one table: name, argument, range and explanation stand once, --help prints them. */
#include "tools/serve.h"
#include "tools/tool.h"

#include "daemon/machine/layout.h"
#include "daemon/util/nearest.h"
#include "daemon/util/number.h"
#include "daemon/util/shell.h"
#include "kernels/kernels.h"

#include <ctype.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_FLAG, KIND_TEXT, KIND_U32, KIND_U64, KIND_FLOAT, KIND_STOP, KIND_LIST, KIND_PAIR, KIND_ISA };

struct row {
	uint64_t bit;
	const char *name;
	char letter;
	const char *argument, *text;
	enum kind kind;
	size_t offset;
	double min, max;
};

#define AT(f)      offsetof(struct args, f)
#define OPTION_ROW 256 /* getopt's value for rows[0] */
#define OPERAND    1   /* and for an operand */

static const struct row rows[] = {
	{ OPT_MODEL, "model", 'm', "FILE",
	  "GGUF file, for a private daemon where none listens; or the name of one that a daemon has (gyre ls)",
	  KIND_TEXT, AT(model), 0, 0 },
	{ OPT_SOCKET, "socket", 's', "PATH",
	  "daemon's socket ($GYRE_SOCKET, $XDG_RUNTIME_DIR/gyre.sock, /run/gyre/gyre.sock)", KIND_TEXT, AT(socket), 0,
	  0 },
	{ OPT_THREADS, "threads", 't', "N", "threads (default: one per core within the CPU quota)", KIND_U32,
	  AT(n_thread), 1, 1024 },
	{ OPT_MAX, "max", 'n', "N", "tokens at most (default: up to the context)", KIND_U32, AT(max_tokens), 1,
	  1u << 30 },
	{ OPT_ANSWERS, "answers", 0, "K", "so many answers, of seeds S, S + 1 and so on; the prompt is read once",
	  KIND_U32, AT(n_answer), 1, 32 },
	{ OPT_TEMP, "temp", 0, "T", "temperature; 0, the default, always takes the likeliest token", KIND_FLOAT,
	  AT(sampling.temperature), 0, 100 },
	{ OPT_TOP_K, "top-k", 0, "K", "sample among the K likeliest tokens", KIND_U32, AT(sampling.top_k), 0,
	  1u << 30 },
	{ OPT_TOP_P, "top-p", 0, "P", "sample among the likeliest that sum to P", KIND_FLOAT, AT(sampling.top_p), 0,
	  1 },
	{ OPT_MIN_P, "min-p", 0, "P", "sample among those at least P times as likely as the first", KIND_FLOAT,
	  AT(sampling.min_p), 0, 1 },
	{ OPT_SEED, "seed", 0, "S", "the same seed gives the same answer, or the same load (default 0)", KIND_U64,
	  AT(sampling.seed), 0, 0 },
	{ OPT_STOP, "stop", 0, "STR", "end the answer before STR; up to 8 times", KIND_STOP, 0, 0, 0 },
	{ OPT_SYSTEM, "system", 0, "TEXT", "system message", KIND_TEXT, AT(system), 0, 0 },
	{ OPT_MESSAGES, "messages", 0, "FILE",
	  "conversation before the prompt, as OpenAI's JSON (a list of messages, or a request); - is stdin", KIND_TEXT,
	  AT(messages), 0, 0 },
	{ OPT_TOOLS, "tools", 0, "FILE", "tools that the model may call, as OpenAI's JSON list", KIND_TEXT, AT(tools),
	  0, 0 },
	{ OPT_TEMPLATE_ARG, "template-arg", 0, "KEY=JSON",
	  "variable of the chat template, such as reasoning_effort=high; up to 16 times", KIND_PAIR, 0, 0, 0 },
	{ OPT_THINK, "think", 0, NULL, "have the model think first, if its template knows enable_thinking", KIND_FLAG,
	  AT(think), 0, 0 },
	{ OPT_NO_THINK, "no-think", 0, NULL, "have it not think", KIND_FLAG, AT(no_think), 0, 0 },
	{ OPT_CHAT, "chat", 0, NULL, "as a question in the chat template: shows the prompt that the model sees",
	  KIND_FLAG, AT(chat), 0, 0 },
	{ OPT_CHAT_TEMPLATE, "chat-template", 0, "FILE",
	  "with --model: Jinja file, or the name of one that gyred has, in place of the model's", KIND_TEXT,
	  AT(chat_template), 0, 0 },
	{ OPT_CHAT_DATE, "chat-date", 0, "DATE", "with --model: what a template that asks is told (default 2024-07-26)",
	  KIND_TEXT, AT(chat_date), 0, 0 },
	{ OPT_RAW, "raw", 0, NULL, "continue the text itself: no chat template", KIND_FLAG, AT(raw), 0, 0 },
	{ OPT_LABELS, "labels", 0, NULL, "and how likely each is if it is one of these", KIND_FLAG, AT(labels), 0, 0 },
	{ OPT_POOLING, "pooling", 0, "KIND",
	  "of the tokens' vectors the mean, the last or the first: mean, last or cls (default: as the model's file "
	  "says, "
	  "else last)",
	  KIND_TEXT, AT(pooling), 0, 0 },
	{ OPT_POOLING, "raw", 0, NULL, "not divided by its length", KIND_FLAG, AT(raw), 0, 0 },
	{ OPT_NO_HISTORY, "no-history", 0, NULL, "what is typed is not kept for later sessions", KIND_FLAG,
	  AT(no_history), 0, 0 },
	{ OPT_VERBOSE, "verbose", 'v', NULL, "time to first token and rates on stderr", KIND_FLAG, AT(verbose), 0, 0 },
	{ OPT_IDS, "ids", 0, NULL, "numbers only, without their texts", KIND_FLAG, AT(ids), 0, 0 },
	{ OPT_PROMPT_ROWS, "prompt", 'p', "N", "tokens of the prompt (default 512)", KIND_U32, AT(n_prompt), 1,
	  1u << 20 },
	{ OPT_GEN, "gen", 'n', "N", "tokens to generate (default 128)", KIND_U32, AT(n_gen), 1, 1u << 20 },
	{ OPT_DEPTH, "depth", 'd', "N", "tokens in the context before the first generated one (default 0)", KIND_U32,
	  AT(n_depth), 0, 1u << 20 },
	{ OPT_KV_TYPE, "kv-type", 0, "TYPE", "how keys and values are stored: f16 (default), q8_0 or f32", KIND_TEXT,
	  AT(kv_type), 0, 0 },
	{ OPT_KV_BYTES, "kv-bytes", 0, "BYTES",
	  "KV pool of a private daemon, suffix K, M, G or T (default: four contexts, or what fits)", KIND_TEXT,
	  AT(kv_bytes), 0, 0 },
	{ OPT_ISA, "isa", 0, "NAME", "kernels (default: the best of this CPU):", KIND_ISA, AT(isa), 0, 0 },
	{ OPT_REPEAT, "repeat", 'r', "N", "runs; medians are printed (default 5)", KIND_U32, AT(n_repeat), 1, 1000 },
	{ OPT_ROWS, "rows", 0, "LIST", "time of a step with each of these numbers of rows: 1-17,32,64", KIND_LIST,
	  AT(rows), 1, 256 },
	{ OPT_BATCH, "batch", 0, "LIST", "decode of so many sequences side by side: 16,32", KIND_LIST, AT(batch), 1,
	  256 },
	{ OPT_SERVE, "clients", 0, "N", "processes that send requests (default 8, or --concurrency if that is less)",
	  KIND_U32, AT(serve.n_client), 1, 4096 },
	{ OPT_SERVE, "requests", 0, "N", "requests of all clients (default 128)", KIND_U32, AT(serve.n_request), 1,
	  1000000 },
	{ OPT_SERVE, "concurrency", 0, "N",
	  "requests under way at most, of all clients (default: one a client, or with --request-rate any number)",
	  KIND_U32, AT(serve.n_flight), 1, 1u << 20 },
	{ OPT_SERVE, "request-rate", 0, "R",
	  "Poisson arrivals, so many a second (default: the next when one has ended)", KIND_FLOAT,
	  AT(serve.request_rate), 1e-3, 1e6 },
	{ OPT_SERVE, "prompt-len", 0, "LENGTH",
	  "tokens of prompts: N, LOW-HIGH or lognormal:MEDIAN:SIGMA:MOST (default " SERVE_PROMPT_LEN ")", KIND_TEXT,
	  AT(serve.prompt_len), 0, 0 },
	{ OPT_SERVE, "output-len", 0, "LENGTH", "tokens of answers, the same (default " SERVE_OUTPUT_LEN ")", KIND_TEXT,
	  AT(serve.output_len), 0, 0 },
	{ OPT_SERVE, "lengths", 0, "FILE", "both, from lines of prompt_tokens,output_tokens", KIND_TEXT,
	  AT(serve.lengths), 0, 0 },
	{ OPT_SERVE, "shared-prefix", 0, "SHARE", "of a prompt's tokens, 0 to 1, are those of its group", KIND_FLOAT,
	  AT(serve.shared_prefix), 0, 1 },
	{ OPT_SERVE, "prefix-groups", 0, "K", "groups of requests that share a prefix (default 1)", KIND_U32,
	  AT(serve.n_group), 1, 1000000 },
	{ OPT_SERVE, "uids", 0, "N", "as root: the clients are those of N users, from uid 50000 on", KIND_U32,
	  AT(serve.n_uid), 1, 4096 },
	{ OPT_SERVE, "goodput", 0, "LIST",
	  "requests within these milliseconds are good: ttft:200,tpot:50,e2el:3000, or some of them", KIND_TEXT,
	  AT(serve.goodput), 0, 0 },
	{ OPT_SERVE, "openai", 0, "URL", "the same load to an OpenAI server, such as http://127.0.0.1:8080", KIND_TEXT,
	  AT(serve.openai), 0, 0 },
	{ OPT_SERVE, "save", 0, "FILE", "write a line of JSON for each request, with the times of its tokens",
	  KIND_TEXT, AT(serve.save), 0, 0 },
	{ OPT_SPEC, "curve", 0, NULL,
	  "with --model FILE: speed-up by how often a guess is right, simulated with steps timed in this process",
	  KIND_FLAG, AT(curve), 0, 0 },
	{ OPT_SPEC, "svg", 0, "FILE", "with --curve: draw it", KIND_TEXT, AT(svg), 0, 0 },
	{ OPT_TOPOLOGY, "topology", 0, NULL, "NUMA nodes, cores and memory, and the threads and nodes that follow",
	  KIND_FLAG, AT(topology), 0, 0 },
	{ OPT_MEMORY, "memory", 0, NULL, "what the files that follow take together", KIND_FLAG, AT(memory), 0, 0 },
	{ OPT_NODES, "nodes", 0, "N", "nodes that share a model, as gyred's", KIND_U32, AT(n_node), 1, NODE_MAX },
	{ OPT_HOP, "hop-ns", 0, "NS",
	  "a cache line there and back between two nodes (default: as between two cores here)", KIND_FLOAT, AT(hop_ns),
	  1, 1e6 },
	{ OPT_ROOT, "root", 0, "DIR", "another machine's /proc and /sys, below DIR", KIND_TEXT, AT(root), 0, 0 },
	{ OPT_WAIT, "wait", 0, "SECONDS", "until it is so, or so many have gone by", KIND_FLOAT, AT(wait_s), 0, 1e6 },
	{ OPT_DRY_RUN, "dry-run", 0, NULL, "only say what would be done", KIND_FLAG, AT(dry_run), 0, 0 },
	{ OPT_STEPS, "steps", 0, NULL, "where the time of steps goes, part by part", KIND_FLAG, AT(steps), 0, 0 },
	{ OPT_WATCH, "watch", 0, "[=SECONDS]", "rates every second, or every so many (0.1 to 3600), until Ctrl-C",
	  KIND_FLOAT, AT(watch_s), 0.1, 3600 },
	{ OPT_ONCE, "once", 0, NULL, "one picture as text, of the second that follows or of --watch's", KIND_FLAG,
	  AT(once), 0, 0 },
	{ OPT_SORT, "sort", 0, "KEY", "order of rows: tokens (default), prompt, requests, live or id", KIND_TEXT,
	  AT(sort), 0, 0 },
	{ OPT_TEXTFILE, "textfile", 0, "DIR", "write DIR/gyre.prom, whole or not at all, for node_exporter's collector",
	  KIND_TEXT, AT(textfile), 0, 0 },
	{ OPT_JSON, "json", 0, NULL, "one line of JSON for programs", KIND_FLAG, AT(json), 0, 0 },
	{ OPT_HELP, "help", 'h', NULL, "this text", KIND_FLAG, 0, 0, 0 },
};

#define N_ROW (sizeof(rows) / sizeof(rows[0]))

static void print_help(const struct verb *v)
{
	printf("usage: gyre %s [option...] %s\n\n%s\n\nOptions may stand anywhere behind the verb; -- ends them.\n",
	       v->name, v->operands, v->text);
	for (size_t i = 0; i < N_ROW; i++) {
		char left[40], isas[KERNELS_LIST_BYTES];

		if (!((v->options | OPT_HELP) & rows[i].bit))
			continue;
		snprintf(left, sizeof(left), "%c%c%c --%s %s", rows[i].letter ? '-' : ' ',
			 rows[i].letter ? rows[i].letter : ' ', rows[i].letter ? ',' : ' ', rows[i].name,
			 rows[i].argument ? rows[i].argument : "");
		printf("  %-22s %s%s%s\n", left, rows[i].text, rows[i].kind == KIND_ISA ? " " : "",
		       rows[i].kind == KIND_ISA ? kernels_isa_names(isas, sizeof(isas), false) : "");
	}
	fputs("\nExit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon.\n", stdout);
}

static int bad_whole(const struct row *r, const char *value)
{
	char range[64];

	return fail(TOOL_USAGE, "--%s: '%s' is not a whole number %s", r->name, value,
		    r->kind == KIND_U64 ? "of less than 2^64"
					: number_range(range, sizeof(range), (uint64_t)r->min, (uint64_t)r->max));
}

static int set_number(struct args *a, const struct row *r, const char *value)
{
	char *field = (char *)a + r->offset;
	uint64_t n;
	double d;

	if (r->kind == KIND_FLOAT) {
		if (number_real(value, &d) < 0 || !(d >= r->min && d <= r->max))
			return fail(TOOL_USAGE, "--%s: '%s' is not a number from %.10g to %.10g", r->name, value,
				    r->min, r->max);
		*(float *)field = (float)d;
		return TOOL_OK;
	}
	if (number_whole(value, &n) < 0)
		return bad_whole(r, value);
	if (r->kind == KIND_U64) {
		*(uint64_t *)field = n;
		return TOOL_OK;
	}
	if ((double)n < r->min || (double)n > r->max)
		return bad_whole(r, value);
	*(uint32_t *)field = (uint32_t)n;
	return TOOL_OK;
}

/* Numbers and ranges of them, with commas between. */
static int set_list(struct list *l, const struct row *r, const char *value)
{
	const char *at = value;
	unsigned long first, last;
	char *end;

	for (l->n = 0;; at = end + 1) {
		if (!isdigit((unsigned char)*at))
			break;
		first = last = strtoul(at, &end, 10);
		if (*end == '-' && isdigit((unsigned char)end[1]))
			last = strtoul(end + 1, &end, 10);
		if ((*end && *end != ',') || (double)first < r->min || (double)last > r->max || last < first)
			break;
		for (; first <= last && l->n < LIST_MAX; first++)
			l->v[l->n++] = (uint32_t)first;
		if (first <= last)
			break;
		if (!*end)
			return TOOL_OK;
	}
	return fail(TOOL_USAGE, "--%s: '%s' is no list of up to %u numbers from %.0f to %.0f, such as 1-4,8", r->name,
		    value, LIST_MAX, r->min, r->max);
}

static int set_row(struct args *a, const struct row *r, const char *value)
{
	if (!value && r->kind == KIND_FLOAT) { /* left out where it may be */
		*(float *)((char *)a + r->offset) = 1;
		return TOOL_OK;
	}
	switch (r->kind) {
	case KIND_FLAG:
		*(bool *)((char *)a + r->offset) = true;
		return TOOL_OK;
	case KIND_TEXT:
	case KIND_ISA:
		if (!*value && r->bit != OPT_SYSTEM)
			return fail(TOOL_USAGE, "--%s needs a value: %s", r->name, r->argument);
		*(const char **)((char *)a + r->offset) = value;
		return TOOL_OK;
	case KIND_STOP:
		if (a->sampling.n_stop == GYRE_STOP_MAX)
			return fail(TOOL_USAGE, "--stop: more than %u strings", GYRE_STOP_MAX);
		if (!*value || strlen(value) > GYRE_STOP_BYTES_MAX)
			return fail(TOOL_USAGE, "--stop: '%s' is not of 1 to %u bytes", value, GYRE_STOP_BYTES_MAX);
		a->stop[a->sampling.n_stop++] = value;
		return TOOL_OK;
	case KIND_PAIR:
		if (a->n_template_arg == TEMPLATE_ARG_MAX || !strchr(value, '=') || *value == '=')
			return fail(TOOL_USAGE, "--%s: up to %u of KEY=JSON, not '%s'", r->name, TEMPLATE_ARG_MAX,
				    value);
		a->template_arg[a->n_template_arg++] = value;
		return TOOL_OK;
	case KIND_LIST:
		return set_list((struct list *)((char *)a + r->offset), r, value);
	default:
		return set_number(a, r, value);
	}
}

static int argument_of(const struct row *r)
{
	if (!r->argument)
		return no_argument;
	return *r->argument == '[' ? optional_argument : required_argument;
}

static void list_options(const struct verb *v, struct option *list, char *letters)
{
	*letters++ = '-'; /* operands in their order, between options too, whatever POSIXLY_CORRECT says */
	*letters++ = ':';
	for (size_t i = 0; i < N_ROW; i++) {
		if (!((v->options | OPT_HELP) & rows[i].bit))
			continue;
		*list++ = (struct option){ rows[i].name, argument_of(&rows[i]), NULL, OPTION_ROW + (int)i };
		if (rows[i].letter)
			*letters++ = rows[i].letter;
		if (rows[i].letter && rows[i].argument)
			*letters++ = ':';
	}
	*letters = 0;
}

static const struct row *find_row(const struct verb *v, int o)
{
	if (o >= OPTION_ROW)
		return &rows[o - OPTION_ROW];
	for (size_t i = 0; i < N_ROW; i++)
		if (rows[i].letter == o && ((v->options | OPT_HELP) & rows[i].bit))
			return &rows[i];
	return NULL;
}

/* Says whether another verb knows the option, or else which option may have been meant. */
static int refuse_unknown(const struct verb *v, const char *name, size_t n)
{
	struct nearest near;

	nearest_begin(&near, name, n);
	for (size_t i = 0; i < N_ROW; i++) {
		bool is_mine = (v->options | OPT_HELP) & rows[i].bit;

		if (is_mine)
			nearest_offer(&near, rows[i].name);
		else if (strlen(rows[i].name) == n && !strncmp(rows[i].name, name, n))
			return fail(TOOL_USAGE, "gyre %s takes no --%.*s; gyre %s --help lists what it takes", v->name,
				    (int)n, name, v->name);
	}
	if (near.best)
		return fail(TOOL_USAGE, "--%.*s is no option; did you mean --%s? (-- ends the options)", (int)n, name,
			    near.best);
	return fail(TOOL_USAGE, "--%.*s is no option; gyre %s --help lists them, and -- ends them", (int)n, name,
		    v->name);
}

/* An option that getopt did not take. word: the argument that getopt has just stepped over, unless that is a cluster of letters. */
static int refuse_option(const struct verb *v, int o, const char *word)
{
	bool is_long = !strncmp(word, "--", 2);
	size_t n = is_long ? strcspn(word + 2, "=") : 0;

	if (o == ':')
		return fail(TOOL_USAGE, "%s needs a value; gyre %s --help says which", word, v->name);
	if (optopt >= OPTION_ROW)
		return fail(TOOL_USAGE, "--%.*s takes no value", (int)n, word + 2);
	if (optopt)
		return fail(TOOL_USAGE, "-%c is no option; gyre %s --help lists them, and -- ends them", optopt,
			    v->name);
	return refuse_unknown(v, word + 2, n);
}

static int check_words(const struct args *a, const struct verb *v)
{
	if (a->n_word < v->n_word_min)
		return fail(TOOL_USAGE, "%s missing; usage: gyre %s [option...] %s",
			    v->n_word_min - a->n_word == 1 ? "an operand is" : "operands are", v->name, v->operands);
	if (v->n_word_max >= 0 && a->n_word > v->n_word_max)
		return fail(TOOL_USAGE, "'%s' is one operand too many; usage: gyre %s [option...] %s",
			    a->word[v->n_word_max], v->name, v->operands);
	return TOOL_OK;
}

/* What completes its value; words: for those that are a list. */
static enum shell_value value_of(const struct row *r, const char **words)
{
	static char isas[KERNELS_LIST_BYTES];
	char *end;

	*words = "";
	if (r->kind == KIND_ISA) {
		kernels_isa_names(isas, sizeof(isas), false);
		while ((end = strchr(isas, ',')))
			memmove(end, end + 1, strlen(end));
		*words = isas;
		return SHELL_WORDS;
	}
	if (r->bit == OPT_KV_TYPE) {
		*words = "f16 q8_0 f32";
		return SHELL_WORDS;
	}
	if (!r->argument)
		return SHELL_NOTHING;
	if (!strcmp(r->argument, "FILE") || !strcmp(r->argument, "PATH"))
		return SHELL_FILE;
	return !strcmp(r->argument, "DIR") ? SHELL_FOLDER : SHELL_ANYTHING;
}

uint32_t options_list(struct shell_option *list, uint32_t max, const struct verb *verbs, uint32_t n_verb)
{
	uint32_t n = 0;

	for (; n < N_ROW && n < max; n++) {
		const struct row *r = &rows[n];

		list[n] = (struct shell_option){
			.name = r->name, .letter = r->letter, .argument = r->argument, .text = r->text
		};
		list[n].value = value_of(r, &list[n].words);
		for (uint32_t i = 0; i < n_verb; i++)
			list[n].verbs |= (uint64_t) !!((verbs[i].options | OPT_HELP) & r->bit) << i;
	}
	return n;
}

int args_parse(struct args *a, const struct verb *v, int argc, char **argv)
{
	struct option list[N_ROW + 1] = { { 0 } };
	char letters[2 * N_ROW + 3];
	int o, r = TOOL_OK;

	memset(a, 0, sizeof(*a));
	list_options(v, list, letters);
	a->word = argv; /* getopt is past the words that are written over */
	optind = 0;
	opterr = 0;
	while (r == TOOL_OK && (o = getopt_long(argc, argv, letters, list, NULL)) != -1) {
		const struct row *row;

		if (o == OPERAND) {
			a->word[a->n_word++] = optarg;
			continue;
		}
		if (o == ':' || o == '?')
			return refuse_option(v, o, argv[optind - 1]);
		row = find_row(v, o);
		if (row->bit == OPT_HELP) {
			print_help(v);
			return -1;
		}
		r = set_row(a, row, optarg);
	}
	for (; r == TOOL_OK && optind < argc; optind++) /* behind -- */
		a->word[a->n_word++] = argv[optind];
	return r == TOOL_OK ? check_words(a, v) : r;
}
