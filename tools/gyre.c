/* gyre, the command: a table of verbs. Each verb is a file that bears its name. */
#include "tools/tool.h"

#include <string.h>

static const struct verb verbs[] = {
	{ "run", "[PROMPT...]",
	  "Ask once and print the answer as it comes.\nThe prompt is the operands or, without any, stdin. A model with a chat template gets it as a question, unless --raw.\n"
	  "Ctrl-C ends the answer (exit status 130).",
	  OPT_LINK | OPT_SAMPLING | OPT_RAW | OPT_SYSTEM | OPT_VERBOSE | OPT_JSON, 0, -1, run_main },
	{ "stat", "", "Counters of a daemon.", OPT_LINK | OPT_JSON, 0, 0, stat_main },
};

#define N_VERB (sizeof(verbs) / sizeof(verbs[0]))

static int print_usage(FILE *f, int code)
{
	fputs("usage: gyre VERB [option...] [operand...]\n\n", f);
	for (size_t i = 0; i < N_VERB; i++)
		fprintf(f, "  %-12s %.*s\n", verbs[i].name, (int)strcspn(verbs[i].text, "\n"), verbs[i].text);
	fputs("\ngyre VERB --help lists the options. Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon.\n", f);
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

int main(int argc, char **argv)
{
	const struct verb *v;
	struct args a;
	int n_word, r;

	if (argc < 2)
		return print_usage(stderr, TOOL_USAGE);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return print_usage(stdout, TOOL_OK);
	if (!strcmp(argv[1], "--version")) {
		puts("gyre " GYRE_VERSION);
		return TOOL_OK;
	}
	v = find_verb(argc, argv, &n_word);
	if (!v)
		return fail(TOOL_USAGE, "no verb '%s%s%s'; gyre --help lists them", argv[1], argc > 2 && !strcmp(argv[1], "bench") ? " " : "",
			    argc > 2 && !strcmp(argv[1], "bench") ? argv[2] : "");
	r = args_parse(&a, v, argc - n_word, argv + n_word);
	if (r != TOOL_OK)
		return r < 0 ? TOOL_OK : r;
	r = v->main(&a);
	/* Output that never arrived is a failure: a full disk, say. */
	if (fflush(stdout) != 0 && r == TOOL_OK)
		return fail(TOOL_FAILED, "cannot write the output");
	return r;
}
