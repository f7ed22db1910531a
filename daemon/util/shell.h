/*
 * Completions for bash, zsh and fish, from what a command's table of options says. A program prints its own, so that what a shell offers is
 * what the program takes.
 */
#ifndef GYRE_DAEMON_UTIL_SHELL_H
#define GYRE_DAEMON_UTIL_SHELL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What an option's value, or an operand, is. */
enum shell_value { SHELL_NOTHING, SHELL_ANYTHING, SHELL_FILE, SHELL_FOLDER, SHELL_USER, SHELL_GROUP, SHELL_WORDS };

struct shell_option {
	const char *name;     /* without its dashes */
	char letter;          /* 0: none */
	const char *argument; /* what --help calls its value; NULL: it has none */
	const char *text;
	enum shell_value value;
	const char *words; /* SHELL_WORDS: with blanks between them */
	uint64_t verbs;    /* a bit for each verb that takes it */
};

struct shell_verb {
	const char *name, *text; /* "bench ring": the second of two words; "": of a command without verbs */
	enum shell_value operand;
	const char *words; /* SHELL_WORDS: with blanks between them */
};

struct shell_command {
	const char *name;
	const struct shell_verb *verb; /* [n_verb], 64 at most */
	uint32_t n_verb;
	const struct shell_option *option; /* [n_option] */
	uint32_t n_option;
};

/* -EINVAL: the shell is none of the three. */
int shell_print(FILE *f, const struct shell_command *c, const char *shell);

#endif
