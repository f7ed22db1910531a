#include "daemon/util/shell.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define ZSH_QUOTE  "'\\''"
#define FISH_QUOTE "\\'"

/* Of words[n] of its name, the first. */
static int first_word(const char *name)
{
	return (int)strcspn(name, " ");
}

static const char *second_word(const char *name)
{
	const char *space = strchr(name, ' ');

	return space ? space + 1 : NULL;
}

/* Is it the first verb of its first word? */
static bool opens_group(const struct shell_command *c, uint32_t i)
{
	int n = first_word(c->verb[i].name);

	for (uint32_t k = 0; k < i; k++)
		if (first_word(c->verb[k].name) == n && !strncmp(c->verb[k].name, c->verb[i].name, (size_t)n))
			return false;
	return true;
}

static bool has_verbs(const struct shell_command *c)
{
	return *c->verb[0].name;
}

static bool takes(const struct shell_option *o, uint32_t verb)
{
	return o->verbs >> verb & 1;
}

/* The first line of a text, in '...': each of `special` behind a backslash, a quote as `quote`. */
static void put_text(FILE *f, const char *text, const char *special, const char *quote)
{
	for (; *text && *text != '\n'; text++) {
		if (*text == '\'') {
			fputs(quote, f);
			continue;
		}
		if (strchr(special, *text))
			fputc('\\', f);
		fputc(*text, f);
	}
}

/* ---- bash ---- */

static void bash_offer(FILE *f, enum shell_value value, const char *words)
{
	static const char *const flag[] = {
		[SHELL_FILE] = "-f", [SHELL_FOLDER] = "-d", [SHELL_USER] = "-u", [SHELL_GROUP] = "-g"
	};

	if (value == SHELL_WORDS)
		fprintf(f, "COMPREPLY=($(compgen -W '%s' -- \"$cur\"))", words);
	else if (value > SHELL_ANYTHING)
		fprintf(f, "%smapfile -t COMPREPLY < <(compgen %s -- \"$cur\")",
			value <= SHELL_FOLDER ? "compopt -o filenames 2>/dev/null; " : "", flag[value]);
	else
		fputs(":", f);
}

/* What follows an option: the same for each verb that takes it. */
static void bash_values(FILE *f, const struct shell_command *c)
{
	fputs("\tcase $prev in\n", f);
	for (uint32_t i = 0; i < c->n_option; i++) {
		const struct shell_option *o = &c->option[i];

		if (!o->argument)
			continue;
		fprintf(f, "\t--%s) ", o->name);
		bash_offer(f, o->value, o->words);
		fputs("; return ;;\n", f);
		if (!o->letter || o->value <= SHELL_ANYTHING)
			continue;
		fprintf(f, "\t-%c) ", o->letter);
		bash_offer(f, o->value, o->words);
		fputs("; return ;;\n", f);
	}
	fputs("\tesac\n", f);
}

static void bash_verb(FILE *f, const struct shell_command *c, uint32_t i)
{
	const struct shell_verb *v = &c->verb[i];

	fprintf(f, "\t'%s')\n\t\topts='", v->name);
	for (uint32_t k = 0; k < c->n_option; k++)
		if (takes(&c->option[k], i))
			fprintf(f, " --%s", c->option[k].name);
	fputs("'\n\t\t[[ $cur == -* ]] || { ", f);
	bash_offer(f, v->operand, v->words);
	fputs("; return; }\n\t\t;;\n", f);
}

/* The first words, and the second ones of those that have some. */
static void bash_words(FILE *f, const struct shell_command *c)
{
	fputs("\tif ((COMP_CWORD == 1)); then\n\t\tCOMPREPLY=($(compgen -W '", f);
	for (uint32_t i = 0; i < c->n_verb; i++)
		if (opens_group(c, i))
			fprintf(f, "%.*s ", first_word(c->verb[i].name), c->verb[i].name);
	fputs("help --help --version' -- \"$cur\"))\n\t\treturn\n\tfi\n\tverb=${COMP_WORDS[1]}\n\tcase $verb in\n", f);
	for (uint32_t i = 0; i < c->n_verb; i++) {
		int n = first_word(c->verb[i].name);

		if (!second_word(c->verb[i].name) || !opens_group(c, i))
			continue;
		fprintf(f, "\t%.*s)\n\t\tif ((COMP_CWORD == 2)); then\n\t\t\tCOMPREPLY=($(compgen -W '", n,
			c->verb[i].name);
		for (uint32_t k = i; k < c->n_verb; k++)
			if (!strncmp(c->verb[k].name, c->verb[i].name, (size_t)n + 1))
				fprintf(f, "%s ", second_word(c->verb[k].name));
		fputs("' -- \"$cur\"))\n\t\t\treturn\n\t\tfi\n\t\tverb+=\" ${COMP_WORDS[2]}\"\n\t\t;;\n", f);
	}
	fputs("\tesac\n", f);
}

/* Readline breaks words at "=". */
static void print_bash(FILE *f, const struct shell_command *c)
{
	fprintf(f,
		"# bash completions of %s, printed by it.\n# shellcheck shell=bash disable=SC2207\n_%s()\n{\n"
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' opts=''\n"
		"\tCOMPREPLY=()\n"
		"\tif [[ $cur == = ]]; then\n\t\tcur=\n"
		"\telif [[ $prev == = ]]; then\n\t\tprev=${COMP_WORDS[COMP_CWORD - 2]}\n\tfi\n",
		c->name, c->name);
	if (has_verbs(c))
		bash_words(f, c);
	bash_values(f, c);
	fputs("\tcase $verb in\n", f);
	for (uint32_t i = 0; i < c->n_verb; i++)
		bash_verb(f, c, i);
	fprintf(f, "\tesac\n\tCOMPREPLY=($(compgen -W \"$opts\" -- \"$cur\"))\n}\ncomplete -F _%s %s\n", c->name,
		c->name);
}

/* ---- zsh ---- */

static void zsh_value(FILE *f, const char *name, enum shell_value value, const char *words)
{
	static const char *const action[] = { [SHELL_ANYTHING] = "",
					      [SHELL_FILE] = "_files",
					      [SHELL_FOLDER] = "_files -/",
					      [SHELL_USER] = "_users",
					      [SHELL_GROUP] = "_groups" };

	fputc(':', f);
	put_text(f, name, ":\\", ZSH_QUOTE);
	if (value == SHELL_WORDS)
		fprintf(f, ":(%s)", words);
	else
		fprintf(f, ":%s", action[value]);
}

static void zsh_option(FILE *f, const struct shell_option *o, const char *dashes, const char *name)
{
	fprintf(f, " \\\n\t\t'%s%s%s[", dashes, name, o->argument && dashes[1] ? "=" : "");
	put_text(f, o->text, "[]:\\", ZSH_QUOTE);
	fputc(']', f);
	if (o->argument)
		zsh_value(f, o->argument, o->value, o->words);
	fputc('\'', f);
}

static void zsh_arguments(FILE *f, const struct shell_command *c, uint32_t verb)
{
	fputs("_arguments -s -S", f);
	for (uint32_t i = 0; i < c->n_option; i++) {
		const struct shell_option *o = &c->option[i];

		if (!takes(o, verb))
			continue;
		zsh_option(f, o, "--", o->name);
		if (o->letter)
			zsh_option(f, o, "-", (char[]){ o->letter, 0 });
	}
	if (c->verb[verb].operand != SHELL_NOTHING) {
		fputs(" \\\n\t\t'*", f);
		zsh_value(f, "operand", c->verb[verb].operand, c->verb[verb].words);
		fputc('\'', f);
	}
	fputc('\n', f);
}

/* Of the group that verb `first` opens, or of all. */
static void zsh_describe(FILE *f, const struct shell_command *c, const char *group, size_t n)
{
	fputs("\twords_of=(", f);
	for (uint32_t i = 0; i < c->n_verb; i++) {
		const char *name = c->verb[i].name, *second = second_word(name);

		if (n ? strncmp(name, group, n) != 0 || !second : !opens_group(c, i))
			continue;
		fprintf(f, "\n\t\t'%.*s:", n ? (int)strlen(second) : first_word(name), n ? second : name);
		put_text(f, c->verb[i].text, ":\\", ZSH_QUOTE);
		fputc('\'', f);
	}
	fputs("\n\t)\n\t_describe verb words_of\n", f);
}

static void zsh_verbs(FILE *f, const struct shell_command *c)
{
	fputs("local -a words_of\nlocal verb=$words[2]\nif ((CURRENT == 2)); then\n", f);
	zsh_describe(f, c, "", 0);
	fputs("\treturn\nfi\nshift words\n((CURRENT--))\ncase $verb in\n", f);
	for (uint32_t i = 0; i < c->n_verb; i++) {
		const char *name = c->verb[i].name;
		size_t n = (size_t)first_word(name) + 1;

		if (!second_word(name) || !opens_group(c, i))
			continue;
		fprintf(f, "%.*s)\n\tif ((CURRENT == 2)); then\n", (int)n - 1, name);
		zsh_describe(f, c, name, n);
		fputs("\treturn\n\tfi\n\tverb+=\" $words[2]\"\n\tshift words\n\t((CURRENT--))\n\t;;\n", f);
	}
	fputs("esac\ncase $verb in\n", f);
	for (uint32_t i = 0; i < c->n_verb; i++) {
		fprintf(f, "'%s')\n\t", c->verb[i].name);
		zsh_arguments(f, c, i);
		fputs("\t;;\n", f);
	}
	fputs("esac\n", f);
}

static void print_zsh(FILE *f, const struct shell_command *c)
{
	fprintf(f, "#compdef %s\n# zsh completions of %s, printed by it.\n", c->name, c->name);
	if (has_verbs(c))
		zsh_verbs(f, c);
	else
		zsh_arguments(f, c, 0);
}

/* ---- fish ---- */

static void fish_value(FILE *f, enum shell_value value, const char *words)
{
	static const char *const flag[] = { [SHELL_ANYTHING] = " -x",
					    [SHELL_FILE] = " -r -F",
					    [SHELL_FOLDER] = " -x -a '(__fish_complete_directories)'",
					    [SHELL_USER] = " -x -a '(__fish_complete_users)'",
					    [SHELL_GROUP] = " -x -a '(__fish_complete_groups)'" };

	if (value == SHELL_WORDS)
		fprintf(f, " -x -a '%s'", words);
	else
		fputs(flag[value], f);
}

static void fish_condition(FILE *f, const struct shell_command *c, uint32_t verb)
{
	const char *name = c->verb[verb].name, *second = second_word(name);

	if (!has_verbs(c))
		return;
	fprintf(f, " -n '__fish_seen_subcommand_from %.*s", first_word(name), name);
	fprintf(f, second ? "; and __fish_seen_subcommand_from %s'" : "%s'", second ? second : "");
}

static void fish_option(FILE *f, const struct shell_command *c, const struct shell_option *o, uint32_t verb)
{
	fprintf(f, "complete -c %s", c->name);
	fish_condition(f, c, verb);
	fprintf(f, " -l %s", o->name);
	if (o->letter)
		fprintf(f, " -s %c", o->letter);
	if (o->argument)
		fish_value(f, o->value, o->words);
	fputs(" -d '", f);
	put_text(f, o->text, "\\", FISH_QUOTE);
	fputs("'\n", f);
}

static void fish_verb(FILE *f, const struct shell_command *c, uint32_t i)
{
	const char *name = c->verb[i].name, *second = second_word(name);
	int n = first_word(name);

	if (!has_verbs(c))
		return;
	if (opens_group(c, i)) {
		fprintf(f, "complete -c %s -n __fish_use_subcommand -a %.*s -d '", c->name, n, name);
		put_text(f, c->verb[i].text, "\\", FISH_QUOTE);
		fputs("'\n", f);
	}
	if (second) {
		fprintf(f, "complete -c %s -n '__fish_seen_subcommand_from %.*s' -a %s -d '", c->name, n, name, second);
		put_text(f, c->verb[i].text, "\\", FISH_QUOTE);
		fputs("'\n", f);
	}
}

static void print_fish(FILE *f, const struct shell_command *c)
{
	fprintf(f, "# fish completions of %s, printed by it.\ncomplete -c %s -f\n", c->name, c->name);
	for (uint32_t i = 0; i < c->n_verb; i++) {
		fish_verb(f, c, i);
		if (c->verb[i].operand == SHELL_FILE) {
			fprintf(f, "complete -c %s", c->name);
			fish_condition(f, c, i);
			fputs(" -F\n", f);
		}
		if (c->verb[i].operand == SHELL_WORDS) {
			fprintf(f, "complete -c %s", c->name);
			fish_condition(f, c, i);
			fprintf(f, " -a '%s'\n", c->verb[i].words);
		}
		for (uint32_t k = 0; k < c->n_option; k++)
			if (takes(&c->option[k], i))
				fish_option(f, c, &c->option[k], i);
	}
}

int shell_print(FILE *f, const struct shell_command *c, const char *shell)
{
	static const struct {
		const char *name;
		void (*print)(FILE *f, const struct shell_command *c);
	} shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };

	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
		if (!strcmp(shells[i].name, shell)) {
			shells[i].print(f, c);
			return 0;
		}
	return -EINVAL;
}
