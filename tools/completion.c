/* What a shell needs to complete gyre's words: of the tables of verbs and options, so that it offers what they take. */
#include "tools/tool.h"

#include "daemon/util/shell.h"

#include <string.h>

#define VERB_MAX   64u
#define OPTION_MAX 128u

static enum shell_value operand_of(const struct verb *v)
{
	if (strstr(v->operands, "FILE"))
		return SHELL_FILE;
	if (strchr(v->operands, '|'))
		return SHELL_WORDS;
	return v->n_word_max ? SHELL_ANYTHING : SHELL_NOTHING;
}

int completion_main(const struct args *a)
{
	struct shell_option option[OPTION_MAX];
	struct shell_verb verb[VERB_MAX];
	char words[VERB_MAX][64];
	uint32_t n_verb;
	const struct verb *v = tool_verbs(&n_verb);
	const struct shell_command c = { "gyre", verb, n_verb, option, options_list(option, OPTION_MAX, v, n_verb) };

	for (uint32_t i = 0; i < n_verb; i++) {
		snprintf(words[i], sizeof(words[i]), "%s", v[i].operands);
		for (char *p = words[i]; *p; p++)
			*p = *p == '|' ? ' ' : *p;
		verb[i] = (struct shell_verb){ v[i].name, v[i].text, operand_of(&v[i]), words[i] };
	}
	if (shell_print(stdout, &c, a->word[0]) < 0)
		return fail(TOOL_USAGE, "'%s' is none of bash, zsh, fish", a->word[0]);
	return TOOL_OK;
}
