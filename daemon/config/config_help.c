/* --help: a line or more for each option, in the groups of their scopes. */
#include "daemon/config/option.h"

#include "kernels/kernels.h"

#include <string.h>

#define LEFT 26u /* columns of a name and its argument, with what stands before and behind them */

static const char *const title[] = {
	[SCOPE_DAEMON] = "gyred itself:",
	[SCOPE_MODEL] = "A model, and what is its own (before any --model: of all of them):",
	[SCOPE_QUOTA] = "A user or a group, and what each such user may have (before any: everybody):",
};

/* A word goes to the next line, `indent` columns in, if it does not fit this one. */
static uint32_t put_word(FILE *f, const char *word, size_t n, uint32_t at, uint32_t indent, uint32_t width)
{
	if (at > indent && at + 1 + n > width) {
		fprintf(f, "\n%*s", (int)indent, "");
		at = indent;
	} else if (at > indent) {
		fputc(' ', f);
		at++;
	}
	fwrite(word, 1, n, f);
	return at + (uint32_t)n;
}

static uint32_t put_words(FILE *f, const char *text, uint32_t at, uint32_t width)
{
	for (size_t n; *text; text += n + (text[n] == ' ')) {
		n = strcspn(text, " ");
		at = put_word(f, text, n, at, LEFT, width);
	}
	return at;
}

static void put_row(FILE *f, const char *name, const char *argument, const char *text, const char *preset,
		    uint32_t width)
{
	char left[80], more[80] = "", isas[KERNELS_LIST_BYTES];
	uint32_t at = LEFT;

	snprintf(left, sizeof(left), "  --%s %s", name, argument);
	if (strlen(left) < LEFT)
		fprintf(f, "%-*s", (int)LEFT, left);
	else
		fprintf(f, "%s\n%*s", left, (int)LEFT, "");
	at = put_words(f, text, at, width);
	if (!strcmp(name, "isa"))
		at = put_word(f, isas, strlen(kernels_isa_names(isas, sizeof(isas), false)), at, LEFT, width);
	if (*preset)
		snprintf(more, sizeof(more), "(default %s)", preset);
	if (*more)
		put_word(f, more, strlen(more), at, LEFT, width);
	fputc('\n', f);
}

void config_print_help(FILE *f, uint32_t width)
{
	fputs("usage: gyred --model FILE [option...]\n\nServes GGUF models to processes of this host through shared "
	      "memory.\ngyred.conf(5) says more of each option.\n",
	      f);
	for (enum option_scope s = SCOPE_DAEMON; s <= SCOPE_QUOTA; s++) {
		fprintf(f, "\n%s\n", title[s]);
		for (uint32_t i = 0; i < OPTION_COUNT; i++) {
			const struct option_row *row = &option_table[i];

			if (row->scope == s)
				put_row(f, row->key, row->argument, row->text, row->preset, width);
		}
	}
	fputs("\nOthers:\n", f);
	put_row(f, "config", "FILE", "read options from lines of `key = value` first, then from FILE.d/*.conf", "",
		width);
	put_row(f, "check", "", "read and check all options, load nothing", "", width);
	put_row(f, "help", "", "this text", "", width);
	put_row(f, "version", "", "", "", width);
}
