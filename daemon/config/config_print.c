/* What is made from the table of options at build time: completions, and the parts of gyred.conf(5) and gyred(8) that list options. */
#include "daemon/config/option.h"

#include "daemon/text/chat.h"
#include "daemon/util/shell.h"
#include "kernels/kernels.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define WIDTH 120u

/* ---- completions ---- */

/* "a, b" or "a|b" as "a b". */
static void spread(char *to, size_t n, const char *from)
{
	size_t at = 0;

	for (; *from && at + 1 < n; from++)
		if (*from != ',')
			to[at++] = *from == '|' ? ' ' : *from;
	to[at] = 0;
}

static enum shell_value value_of(const struct option_row *row, char *words, size_t n)
{
	char list[512];

	switch (row->kind) {
	case KIND_PATH:
	case KIND_MODEL:
	case KIND_TEMPLATE:
		return SHELL_FILE;
	case KIND_USER:
		return SHELL_USER;
	case KIND_GROUP:
	case KIND_GROUP_NAME:
		return SHELL_GROUP;
	case KIND_ISA:
		spread(words, n, kernels_isa_names(list, sizeof(list), false));
		return SHELL_WORDS;
	case KIND_KV_TYPE:
		snprintf(words, n, "f16 q8_0 f32");
		return SHELL_WORDS;
	default:
		spread(words, n, row->argument);
		return strchr(row->argument, '|') ? SHELL_WORDS : SHELL_ANYTHING;
	}
}

static int print_shell(FILE *f, const char *shell)
{
	static char words[OPTION_COUNT][512];
	static const struct shell_verb all = { "", "", SHELL_NOTHING, "" };
	struct shell_option option[OPTION_COUNT + 4];
	uint32_t n = 0;

	for (; n < OPTION_COUNT; n++) {
		const struct option_row *row = &option_table[n];

		option[n] = (struct shell_option){
			row->key, 0, row->argument, row->text, value_of(row, words[n], sizeof(words[n])), words[n], 1
		};
	}
	option[n++] = (struct shell_option){ "config", 'c', "FILE", "read options from a file", SHELL_FILE, "", 1 };
	option[n++] = (struct shell_option){ "check", 0, NULL, "check all options, load nothing", 0, "", 1 };
	option[n++] = (struct shell_option){ "help", 'h', NULL, "list the options", 0, "", 1 };
	option[n++] = (struct shell_option){ "version", 'V', NULL, "version", 0, "", 1 };
	return shell_print(f, &(struct shell_command){ "gyred", &all, 1, option, n }, shell);
}

/* ---- man pages ---- */

static void put_char(FILE *f, const char *text, size_t i, bool *is_bold)
{
	bool begins = !i || strchr(" (`\"", text[i - 1]);

	if (text[i] == '`') {
		fputs(*is_bold ? "\\fR" : "\\fB", f);
		*is_bold = !*is_bold;
	} else if (text[i] == '-' && (begins || text[i - 1] == '-')) {
		fputs("\\-", f);
	} else {
		fputs(text[i] == '\\' ? "\\e" : (char[]){ text[i], 0 }, f);
	}
}

/* In lines of WIDTH, from column `at` on; no line begins with what roff would obey. */
static size_t put_roff(FILE *f, const char *text, size_t at)
{
	bool is_bold = false;
	size_t n;

	for (size_t i = 0; text[i]; i += n + (text[i + n] == ' ')) {
		n = strcspn(text + i, " ");
		if (at && at + 1 + n > WIDTH) {
			fputc('\n', f);
			at = 0;
		} else if (at) {
			fputc(' ', f);
			at++;
		}
		if (!at && (text[i] == '.' || text[i] == '\''))
			fputs("\\&", f);
		for (size_t k = i; k < i + n; k++)
			put_char(f, text, k, &is_bold);
		at += n;
	}
	return at;
}

static size_t put_sentence(FILE *f, const struct option_row *row, size_t at)
{
	char line[256];

	snprintf(line, sizeof(line), "%c%s%s.", toupper((unsigned char)*row->text), row->text + 1,
		 row->kind == KIND_ISA ? " a name" : "");
	at = put_roff(f, line, at);
	snprintf(line, sizeof(line), "Default %s.", row->preset);
	return *row->preset ? put_roff(f, line, at) : at;
}

static void put_more(FILE *f, const struct option_row *row, size_t at)
{
	char text[2048], *rest = text;
	const char *part;

	snprintf(text, sizeof(text), "%s", row->more);
	while ((part = strsep(&rest, "\n"))) {
		if (part != text) {
			fputs("\n.IP\n", f);
			at = 0;
		}
		at = put_roff(f, part, at);
	}
	if (row->when == WHEN_RELOADED && row->kind < KIND_MODEL)
		put_roff(f, "A reload changes it.", at);
	fputc('\n', f);
}

/* gyred.conf(5): all of it. */
static void print_keys(FILE *f)
{
	static const char *const title[] = {
		[SCOPE_DAEMON] = "gyred itself",
		[SCOPE_MODEL] = "Models",
		[SCOPE_QUOTA] = "Users and groups",
	};

	for (enum option_scope s = SCOPE_DAEMON; s <= SCOPE_QUOTA; s++) {
		fprintf(f, ".SS %s\n", title[s]);
		for (uint32_t i = 0; i < OPTION_COUNT; i++) {
			const struct option_row *row = &option_table[i];

			if (row->scope != s)
				continue;
			fprintf(f, ".TP\n.BI \"%s = \" %s\n", row->key, row->argument);
			put_more(f, row, put_sentence(f, row, 0));
		}
	}
}

/* gyred(8): a line each. */
static void print_options(FILE *f)
{
	for (uint32_t i = 0; i < OPTION_COUNT; i++) {
		const struct option_row *row = &option_table[i];

		fputs(".TP\n.BI \\-\\-", f);
		for (const char *p = row->key; *p; p++)
			fputs(*p == '-' ? "\\-" : (char[]){ *p, 0 }, f);
		fprintf(f, " \" %s\"\n", row->argument);
		put_sentence(f, row, 0);
		fputc('\n', f);
	}
}

int config_print(FILE *f, const char *what)
{
	if (!strcmp(what, "keys"))
		print_keys(f);
	else if (!strcmp(what, "options"))
		print_options(f);
	else
		return print_shell(f, what);
	return 0;
}
