/*
 * Shared by the verbs of `gyre`: the options, the link to a daemon, an answer as it streams, and printing.
 * A verb's main returns an exit code; the program is single-threaded but for `bench`.
 */
#ifndef GYRE_TOOLS_TOOL_H
#define GYRE_TOOLS_TOOL_H

#include "client/gyre.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum exit_code { TOOL_OK = 0, TOOL_FAILED = 1, TOOL_USAGE = 2, TOOL_NO_DAEMON = 3 };

/* ---- options.c: one table of all options; a verb takes those whose bits it names ---- */

enum option_bit {
	OPT_HELP = 1u << 0,
	OPT_SOCKET = 1u << 1,
	OPT_MODEL = 1u << 2,
	OPT_THREADS = 1u << 3,
	OPT_JSON = 1u << 4,
	OPT_MAX = 1u << 5,
	OPT_TEMP = 1u << 6,
	OPT_TOP_K = 1u << 7,
	OPT_TOP_P = 1u << 8,
	OPT_MIN_P = 1u << 9,
	OPT_SEED = 1u << 10,
	OPT_STOP = 1u << 11,
	OPT_RAW = 1u << 12,
	OPT_SYSTEM = 1u << 13,
	OPT_VERBOSE = 1u << 14,
	OPT_IDS = 1u << 15,
	OPT_PROMPT_ROWS = 1u << 16,
	OPT_GEN = 1u << 17,
	OPT_REPEAT = 1u << 18,
	OPT_DEPTH = 1u << 19,
	OPT_STEPS = 1u << 20,
	OPT_ROWS = 1u << 21,
	OPT_BATCH = 1u << 22,
	OPT_KV_TYPE = 1u << 23,
	OPT_ISA = 1u << 24,
	OPT_TOPOLOGY = 1u << 25,
	OPT_ROOT = 1u << 26,
	OPT_NODES = 1u << 27,
	OPT_HOP = 1u << 28,
	OPT_KV_BYTES = 1u << 29,
	OPT_NO_HISTORY = 1u << 30,
};

/* Bits beyond an enum's. */
#define OPT_TEMPLATE_ARG  (1ull << 32)
#define OPT_THINK         (1ull << 33)
#define OPT_NO_THINK      (1ull << 34)
#define OPT_CHAT_TEMPLATE (1ull << 35)
#define OPT_CHAT_DATE     (1ull << 36)
#define OPT_CHAT          (1ull << 37)
#define OPT_TOOLS         (1ull << 38)
#define OPT_MESSAGES      (1ull << 39)
#define OPT_MEMORY        (1ull << 40)
#define OPT_DRY_RUN       (1ull << 41)
#define OPT_ANSWERS       (1ull << 42)
#define OPT_WAIT          (1ull << 50)
#define OPT_WATCH         (1ull << 52)
#define OPT_TEXTFILE      (1ull << 53)
#define OPT_ONCE          (1ull << 54)
#define OPT_SORT          (1ull << 55)
#define OPT_LABELS        (1ull << 58)
#define OPT_POOLING       (1ull << 59)
#define OPT_SERVE         (1ull << 56) /* all that are of `bench serve` alone */

#define OPT_SPEC (1ull << 57) /* of `bench spec` alone */

#define OPT_TEMPLATE (OPT_CHAT_TEMPLATE | OPT_CHAT_DATE)
#define OPT_LINK     (OPT_SOCKET | OPT_MODEL | OPT_THREADS | OPT_KV_BYTES | OPT_TEMPLATE)
#define OPT_TALK     (OPT_SYSTEM | OPT_TOOLS | OPT_TEMPLATE_ARG | OPT_THINK | OPT_NO_THINK)
#define OPT_SAMPLING (OPT_MAX | OPT_TEMP | OPT_TOP_K | OPT_TOP_P | OPT_MIN_P | OPT_SEED | OPT_STOP)

#define LIST_MAX         64u
#define TEMPLATE_ARG_MAX 16u

/* "1-17,32,64" */
struct list {
	uint32_t n, v[LIST_MAX];
};

/* `bench serve`: NULL and 0 are what was not given. */
struct serve_args {
	const char *prompt_len, *output_len, *lengths, *goodput, *openai, *save;
	uint32_t n_client, n_request, n_flight, n_uid, n_group;
	float request_rate, shared_prefix;
};

#define CONFIG_FILE "/etc/gyre/gyred.conf" /* where a configuration is unless one is named */

struct args {
	const char *socket, *model, *system, *kv_type, *kv_bytes, *isa, *root;
	const char *tools, *messages, *chat_template, *chat_date;
	const char *stop[GYRE_STOP_MAX];
	const char *template_arg[TEMPLATE_ARG_MAX]; /* KEY=VALUE */
	uint32_t n_template_arg;
	struct gyre_options sampling; /* n_stop counts stop[] */
	uint32_t n_thread, n_node, n_answer, max_tokens, n_prompt, n_gen, n_depth, n_repeat;
	float hop_ns, wait_s, watch_s; /* watch_s 0: once */
	const char *textfile, *sort, *svg, *pooling;
	struct list rows, batch;
	bool json, raw, verbose, ids, steps, topology, no_history, think, no_think, chat, memory, dry_run, once, curve;
	bool labels;
	struct serve_args serve;
	int n_word;
	char **word; /* the operands */
};

struct verb {
	const char *name, *operands, *text; /* text: one line, then paragraphs for --help */
	uint64_t options;                   /* OPT_* */
	int n_word_min, n_word_max;         /* -1: any */
	int (*main)(const struct args *a);
};

/* TOOL_OK: *a is filled in. -1: --help was printed. TOOL_USAGE: an error was printed. */
int args_parse(struct args *a, const struct verb *v, int argc, char **argv);

struct shell_option; /* daemon/util/shell.h */

/* For completions: the options of verbs[n_verb], each with the verbs that take it; how many, at most max. */
uint32_t options_list(struct shell_option *list, uint32_t max, const struct verb *verbs, uint32_t n_verb);

/* ---- gyre.c ---- */

/* All of them. */
const struct verb *tool_verbs(uint32_t *n);

/* ---- private.c ---- */

/* A gyred of our own, on a socket in a 0700 directory; it ends with this process whatever happens. */
struct private_daemon {
	int pid;              /* the keeper; 0: none */
	int alive_fd, log_fd; /* its hold on us, and gyred's log */
	char dir[256], socket[300];
};

/* Starts gyred and connects once it is ready; says so on stderr when that takes more than a second. An exit code. */
int private_start(struct private_daemon *p, struct gyre **g, const struct args *a);
/* Zero-filled: does nothing. */
void private_stop(struct private_daemon *p);

/* ---- link.c ---- */

struct link {
	struct gyre *g;
	struct gyre_info info;
	struct private_daemon daemon;
};

/* --model is a file, for a daemon of our own; else the name of one that a daemon has. */
bool link_is_file(const char *model);
/* To the daemon of --socket or the usual one; else a private one on --model. An exit code; an error was printed. */
int link_open(struct link *l, const struct args *a);
void link_close(struct link *l);
/* gyre_connect or gyre_query has returned r < 0, with these words or none: says it. An exit code. */
int link_refuse(const struct args *a, int r, const char *why);
/* The meaning of a request's negative errno, and the remedy, where gyred has not said it (answer_take_why), or nobody asked it; valid
 * until the next call. */
const char *link_explain(const struct link *l, int res);

/* ---- answer.c ---- */

struct answer {
	char *text; /* whole, NUL-terminated */
	size_t n_text;
	uint32_t n_prompt, n_token;
	uint32_t n_drafted, n_pass; /* tokens that had been guessed; forward passes that gave tokens */
	int res;                    /* of the last completion; -ECANCELED after Ctrl-C */
	bool is_stop;               /* a stop string or an end token, not the limit */
	double begin_s;             /* submitted */
	double first_s,
		last_s; /* the first and the last token were sampled, by the daemon's clock, which is ours; 0: none was */
	char why[512]; /* res < 0: gyred's words, "": none */
};

/* Sends `data` (text, or chat messages if is_chat), writes the bytes to out as they come (NULL: nowhere). 0 or -errno. */
int answer_stream(struct link *l, const struct args *a, const void *data, size_t n, bool is_chat, FILE *out,
		  struct answer *r);
/* One completion of it: its bytes go to out, too, unless that is NULL. 1: it was the last; 0; -errno. */
int answer_take(struct link *l, const struct gyre_cqe *cqe, struct answer *r, FILE *out);
/* For --json. error: what failed, in words; NULL: nothing did. */
json_t *answer_describe(const struct link *l, const struct answer *r, int res, const char *error);
void answer_free(struct answer *r);
/* Copies the words of a completion that failed, "" if it has none. */
void answer_take_why(const struct gyre *g, const struct gyre_cqe *cqe, char *why, size_t n);
void answer_print_rates(const struct answer *r);
/* From submit to the first token. NAN: there was none. */
double answer_first_s(const struct answer *r);
/* From the first token to the last. NAN: there are not two of different steps. */
double answer_tokens_per_second(const struct answer *r);
/* Ctrl-C from here on ends an answer instead of the program. */
void answer_catch_interrupt(void);
/* Was there a Ctrl-C since the last call? */
bool answer_take_interrupt(void);

/* ---- branches.c ---- */

/* --answers: as many, to data as answer_stream takes it, and prints them. An exit code. */
int branches_run(struct link *l, const struct args *a, const void *data, size_t n, bool is_chat);

/* ---- messages.c ---- */

/* The variables of --tools, --template-arg, --think: *json is NULL or a JSON object's text, the caller's. An exit code; an error was printed. */
int variables_make(const struct args *a, char **json);
/*
 * Chat data of variables, --system, the conversation of --messages, and text[n] as a question, NULL: none. The caller
 * frees c->data. An exit code; an error was printed.
 */
int messages_make(const struct args *a, const char *text, size_t n, struct gyre_chat *c);

/* ---- out.c ---- */

/* "gyre: ..." on stderr. Returns code. */
int fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string; each byte that is no UTF-8 (an answer may end inside a character) becomes U+FFFD. */
json_t *json_text(const char *p, size_t n);
/* JSON knows no NaN: null. */
json_t *json_figure(double x);
/* Takes the reference; one line on stdout. TOOL_OK; NULL: TOOL_FAILED, and said. */
int print_json(json_t *j);
double now_s(void);
/* All of f, NUL-terminated; NULL: no memory or a read error. */
char *read_all(FILE *f, size_t *n);

/* ---- numbers.c ---- */

/* Sorts x; n > 0. Linear between two ranks, as numpy's. */
double median(double *x, size_t n);
double percentile(double *x, size_t n, double p); /* p from 0 to 1 */
/* By a format of one double; "-": NaN or infinite. */
const char *number_text(char text[32], const char *format, double x);
/* A number that looks like no other's: of a seed, or of a counter. */
uint64_t scatter(uint64_t x);

int run_main(const struct args *a);
int chat_main(const struct args *a);
int score_main(const struct args *a);
int tokenize_main(const struct args *a);
int detokenize_main(const struct args *a);
int embed_main(const struct args *a);
int inspect_main(const struct args *a);
int doctor_main(const struct args *a);
int health_main(const struct args *a);
int bench_model_main(const struct args *a);
int bench_layouts_main(const struct args *a);
int bench_team_main(const struct args *a);
int bench_load_main(const struct args *a);
int bench_text_main(const struct args *a);
int bench_ring_main(const struct args *a);
int bench_serve_main(const struct args *a);
int bench_spec_main(const struct args *a);
int completion_main(const struct args *a);
int stat_main(const struct args *a);
int top_main(const struct args *a);
int metrics_main(const struct args *a);
int plan_main(const struct args *a);
int reserve_main(const struct args *a);
int ls_main(const struct args *a);
int ps_main(const struct args *a);
int load_main(const struct args *a);
int unload_main(const struct args *a);

#endif
