/* gyre, the command: a table of verbs. Each verb is a file that bears its name. */
#include "tools/tool.h"

#include "daemon/util/nearest.h"
#include "daemon/util/streams.h"

#include <errno.h>
#include <string.h>

static const struct verb verbs[] = {
	{ "run", "[PROMPT...]",
	  "Ask once and print the answer as it comes.\nThe prompt is the operands or, without any, stdin. A model with "
	  "a chat template gets it as a question, unless --raw.\n"
	  "With --messages the file's conversation comes first, and a prompt is not needed.\n"
	  "With --answers K there are as many, each behind its number, once all have ended; without --temp they are "
	  "the "
	  "same.\n"
	  "Ctrl-C ends the answer (exit status 130).",
	  OPT_LINK | OPT_SAMPLING | OPT_ANSWERS | OPT_RAW | OPT_TALK | OPT_MESSAGES | OPT_VERBOSE | OPT_JSON, 0, -1,
	  run_main },
	{ "chat", "",
	  "Talk to the model.\nThe prompt is >>>, with emacs keys, history and UTF-8 (~/.editrc changes the keys). "
	  "/bye or Ctrl-D "
	  "leaves, /clear forgets, /help lists the commands; Ctrl-C ends the answer only.\n"
	  "A line that ends in \\ goes on with the next; \"\"\" opens a message of several lines, \"\"\" at the end of "
	  "one closes "
	  "it; a paste is one message. What is typed is kept in $XDG_STATE_HOME/gyre/history (~/.local/state), for you "
	  "alone.\n"
	  "Piped, each line of stdin is a message (\\ and \"\"\" join lines there, too) and no prompt is shown.",
	  OPT_LINK | OPT_SAMPLING | OPT_TALK | OPT_NO_HISTORY | OPT_VERBOSE, 0, 0, chat_main },
	{ "score", "CONTEXT CONTINUATION...",
	  "Log-probability of each continuation after a context.\nPrints the sum over its tokens (natural logarithm), "
	  "their number, and the text. The context is read once.\n"
	  "With --labels the continuations are all that may come: their probabilities sum to 1.",
	  OPT_LINK | OPT_LABELS | OPT_JSON, 2, -1, score_main },
	{ "embed", "[TEXT...]",
	  "A vector for each text, or each line of stdin.\nPrints a row of numbers for each, in full; with --json the "
	  "text, its number of tokens and the vector.",
	  OPT_LINK | OPT_POOLING | OPT_JSON, 0, -1, embed_main },
	{ "tokenize", "[TEXT]",
	  "Token ids of a text, or of stdin.\nWith --model the file's vocabulary is read here and no daemon is needed; "
	  "each id is printed with its text.\n"
	  "With --chat the text is a question in the model's chat template, and with --model the prompt is shown "
	  "before "
	  "its ids.",
	  OPT_SOCKET | OPT_MODEL | OPT_CHAT | OPT_TALK | OPT_MESSAGES | OPT_TEMPLATE | OPT_IDS | OPT_JSON, 0, 1,
	  tokenize_main },
	{ "detokenize", "[ID...]",
	  "The text of token ids, or of those on stdin, which may be what tokenize --ids or --json printed.\nWith "
	  "--model "
	  "the file's vocabulary is read here and no daemon is needed. Control tokens are shown "
	  "as they are written; nothing is added to the text.",
	  OPT_SOCKET | OPT_MODEL | OPT_JSON, 0, -1, detokenize_main },
	{ "inspect", "[FILE.gguf]",
	  "What model a file is, its metadata and tensors.\nWithout a file: the architectures that gyre runs.",
	  OPT_JSON, 0, 1, inspect_main },
	{ "doctor", "[CONFIG]",
	  "What of this host slows gyre down, and the fix. Exit status 1 if something is bad.\nWith it what gyred "
	  "would say of its configuration: CONFIG is /etc/gyre/gyred.conf unless given.",
	  OPT_JSON, 0, 1, doctor_main },
	{ "plan", "[FILE.gguf...]",
	  "What gyred would do on this host.\nWith --topology: the NUMA nodes with their cores, memory and huge pages, "
	  "and which "
	  "threads and nodes gyred would take, with the reasons. --threads and --nodes are gyred's.\n"
	  "With -m FILE: how that model is divided between them, and what 1 to 8 such nodes would bring, from figures "
	  "measured in this run.\n"
	  "With --memory FILE...: what those models take together, and whether there is as much.",
	  OPT_TOPOLOGY | OPT_MODEL | OPT_MEMORY | OPT_HOP | OPT_THREADS | OPT_NODES | OPT_KV_TYPE | OPT_ROOT | OPT_JSON,
	  0, -1, plan_main },
	{ "reserve", "[CONFIG]",
	  "Reserve huge pages for the models of a configuration.\nOn each node as many as its weights and KV pools "
	  "take and are not free there already; as root, best right after boot and before gyred "
	  "(gyred-hugepages.service). CONFIG is /etc/gyre/gyred.conf unless given.",
	  OPT_DRY_RUN | OPT_ROOT, 0, 1, reserve_main },
	{ "bench model", "",
	  "Speed of a model in this process.\nPrefill, decode, their share of what the machine can read and multiply "
	  "in "
	  "this run, and where the time of a step goes.",
	  OPT_MODEL | OPT_THREADS | OPT_NODES | OPT_PROMPT_ROWS | OPT_GEN | OPT_DEPTH | OPT_KV_TYPE | OPT_ISA |
		  OPT_ROWS | OPT_BATCH | OPT_REPEAT | OPT_JSON,
	  0, 0, bench_model_main },
	{ "bench team", "",
	  "Time of a barrier and of an all-reduce.\nWhat workers take to meet, and nodes to add up their partial sums, "
	  "beside a cache line's way there and back between two cores. Without --nodes: on 1, 2, 4 and 8 virtual "
	  "nodes, as far as there are "
	  "threads.",
	  OPT_THREADS | OPT_NODES | OPT_JSON, 0, 0, bench_team_main },
	{ "bench layouts", "THREADS:NODES...",
	  "Decode of a model by teams of several layouts, in turns.\nAs 2:1 2:2, all within one process. Each is "
	  "opened anew every round; printed are the medians of the rounds' ratios to the first layout, and the "
	  "interval that "
	  "holds the true one in 95 of 100 runs (of fewer than six rounds: all of them).",
	  OPT_MODEL | OPT_GEN | OPT_DEPTH | OPT_REPEAT | OPT_JSON, 2, -1, bench_layouts_main },
	{ "bench load", "FILE.gguf",
	  "How long a model's weights take to load.\nBeside two plain reads of the file by as many threads, into "
	  "buffers that are used again and into new memory: with the file in the page cache, and without.",
	  OPT_THREADS | OPT_REPEAT | OPT_JSON, 1, 1, bench_load_main },
	{ "bench text", "[FILE]",
	  "Speed of a model's tokenizer on a text, on one thread.\nWith --messages: of its chat template on that "
	  "conversation, and "
	  "of tokenizing the prompt.",
	  OPT_MODEL | OPT_REPEAT | OPT_MESSAGES | OPT_TOOLS | OPT_TEMPLATE_ARG | OPT_TEMPLATE | OPT_JSON, 0, 1,
	  bench_text_main },
	{ "bench ring", "",
	  "Time that the rings add.\nBeside the bare cache-line and eventfd round trips of the same two cores.",
	  OPT_LINK | OPT_JSON, 0, 0, bench_ring_main },
	{ "bench serve", "",
	  "Throughput and latencies that many clients get.\nEach client is a process with a connection of its own. "
	  "What is printed has the names of `vllm bench serve`; --openai sends the same load to another server. "
	  "Lengths, "
	  "prompts and arrivals depend on --seed alone.",
	  OPT_LINK | OPT_TEMP | OPT_SEED | OPT_SERVE | OPT_JSON, 0, 0, bench_serve_main },
	{ "bench spec", "",
	  "What guessing tokens ahead brings.\nTasks whose answers repeat their prompts and tasks whose answers don't, "
	  "answered without guesses and, in turns, with those of a request's own text (lookup) and of its user's "
	  "recent "
	  "answers, too (auto). Prints tokens a second, the speed-up beside what the daemon expected, and how many "
	  "guesses were right; fails if a token differs. Without --seed the clock chooses prompts that the daemon has "
	  "not "
	  "answered before.",
	  OPT_LINK | OPT_TEMP | OPT_SEED | OPT_BATCH | OPT_GEN | OPT_REPEAT | OPT_DEPTH | OPT_SPEC | OPT_JSON, 0, 0,
	  bench_spec_main },
	{ "ls", "", "The models of a daemon, with their files.", OPT_SOCKET | OPT_JSON, 0, 0, ls_main },
	{ "ps", "", "The models that a daemon has in memory, and what runs.", OPT_SOCKET | OPT_JSON, 0, 0, ps_main },
	{ "load", "NAME|FILE.gguf",
	  "Have a daemon load a model, and wait until it is there.\nOne of its own by the name that gyre ls shows, or "
	  "a "
	  "file, which gyred opens. For root, gyred's own user, and those of admin-uids.",
	  OPT_SOCKET | OPT_JSON, 1, 1, load_main },
	{ "unload", "NAME",
	  "Have a daemon give a model's memory back.\nRefused while a request of it runs. Requests for it are refused "
	  "until it is loaded again.",
	  OPT_SOCKET | OPT_JSON, 1, 1, unload_main },
	{ "completion", "bash|zsh|fish",
	  "What a shell needs to complete gyre's words.\nIn bash: source <(gyre completion bash). The package installs "
	  "it for all three.",
	  0, 1, 1, completion_main },
	{ "health", "",
	  "Whether tokens move.\nExit status 0 when a request would be served, 1 when something stands or gyred does "
	  "not "
	  "answer within a second, with the reason in one line, 3 when there is no gyred. Takes no session.",
	  OPT_SOCKET | OPT_WAIT | OPT_JSON, 0, 0, health_main },
	{ "top", "",
	  "Who uses a daemon, live: users, sessions, engines.\nKeys: u users, s sessions; t p r l i order by tokens, "
	  "prompt, "
	  "requests, live ones or number; q leaves. Everybody may look: there are numbers of all users, and nothing of "
	  "their texts.",
	  OPT_SOCKET | OPT_WATCH | OPT_SORT | OPT_ONCE, 0, 0, top_main },
	{ "metrics", "",
	  "Metrics of a daemon, as Prometheus text 0.0.4.\nThe same as on gyred's --metrics-socket, without one.",
	  OPT_SOCKET | OPT_TEXTFILE, 0, 0, metrics_main },
	{ "stat", "",
	  "Counters of a daemon.\nWith --watch, what they grow by. With --steps, where the time of the last second's "
	  "steps went; on a terminal again "
	  "every "
	  "second, until Ctrl-C.",
	  OPT_LINK | OPT_STEPS | OPT_WATCH | OPT_JSON, 0, 0, stat_main },
};

#define N_VERB (sizeof(verbs) / sizeof(verbs[0]))

const struct verb *tool_verbs(uint32_t *n)
{
	*n = N_VERB;
	return verbs;
}

/* The verbs that begin with `first`, "" for all. */
static int print_usage(FILE *f, const char *first, int code)
{
	fprintf(f, "usage: gyre %s%sVERB [option...] [operand...]\n\n", first, *first ? " " : "");
	for (size_t i = 0; i < N_VERB; i++)
		if (!strncmp(verbs[i].name, first, strlen(first)))
			fprintf(f, "  %-14s %.*s\n", verbs[i].name, (int)strcspn(verbs[i].text, "\n"), verbs[i].text);
	fputs("\nOptions may stand anywhere behind the verb; -- ends them. gyre VERB --help lists them.\nExit status: "
	      "0 done, 1 "
	      "failed, "
	      "2 wrong usage, 3 no daemon.\n",
	      f);
	return code;
}

/* The verb whose words argv[1..] begins with, and how many words that is: "bench ring" has two. */
static const struct verb *find_verb(int argc, char **argv, int *n_word)
{
	for (size_t i = 0; i < N_VERB; i++) {
		const char *space = strchr(verbs[i].name, ' ');
		size_t first = strcspn(verbs[i].name, " ");

		*n_word = space ? 2 : 1;
		if (argc <= *n_word || strlen(argv[1]) != first || strncmp(argv[1], verbs[i].name, first))
			continue;
		if (!space || !strcmp(argv[2], space + 1))
			return &verbs[i];
	}
	return NULL;
}

static bool is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

/* "bench" alone opens several. */
static bool is_group(const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i < N_VERB; i++)
		if (!strncmp(verbs[i].name, word, n) && verbs[i].name[n] == ' ')
			return true;
	return false;
}

static int refuse_verb(int argc, char **argv)
{
	bool has_two = argc > 2 && is_group(argv[1]);
	char word[256];
	struct nearest near;

	if (argv[1][0] == '-')
		return fail(TOOL_USAGE, "%s: the verb comes first; gyre --help lists them", argv[1]);
	if (is_group(argv[1]) && (argc == 2 || is_help(argv[2])))
		return print_usage(argc == 2 ? stderr : stdout, argv[1], argc == 2 ? TOOL_USAGE : TOOL_OK);
	snprintf(word, sizeof(word), "%s%s%s", argv[1], has_two ? " " : "", has_two ? argv[2] : "");
	nearest_begin(&near, word, strlen(word));
	for (size_t i = 0; i < N_VERB; i++)
		nearest_offer(&near, verbs[i].name);
	nearest_offer(&near, "bench");
	if (near.best)
		return fail(TOOL_USAGE, "no verb '%s'; did you mean %s? gyre --help lists them", word, near.best);
	return fail(TOOL_USAGE, "no verb '%s'; gyre --help lists them", word);
}

static int run(int argc, char **argv)
{
	const struct verb *v;
	struct args a;
	int n_word, r;

	if (argc < 2)
		return print_usage(stderr, "", TOOL_USAGE);
	if (is_help(argv[1]) || (!strcmp(argv[1], "help") && argc == 2))
		return print_usage(stdout, "", TOOL_OK);
	if (!strcmp(argv[1], "--version")) {
		puts("gyre " GYRE_VERSION);
		return TOOL_OK;
	}
	if (!strcmp(argv[1], "help")) { /* as git has it: the words go round, "help run" to "run --help" */
		memmove(argv + 1, argv + 2, (size_t)(argc - 2) * sizeof(*argv));
		argv[argc - 1] = (char *)"--help";
	}
	v = find_verb(argc, argv, &n_word);
	if (!v)
		return refuse_verb(argc, argv);
	r = args_parse(&a, v, argc - n_word, argv + n_word);
	if (r != TOOL_OK)
		return r < 0 ? TOOL_OK : r;
	return v->main(&a);
}

int main(int argc, char **argv)
{
	int r;

	streams_open();
	r = run(argc, argv);
	/* Output that never arrived is a failure: a full disk, say. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && r == TOOL_OK)
		return fail(TOOL_FAILED, "%s", link_explain(NULL, -EPIPE));
	return r;
}
