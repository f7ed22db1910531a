/*
 * Tokens of a template. Text between tags is a token; white space that the tags' signs and the environment's settings take away is
 * taken here.
 */
#ifndef GYRE_DAEMON_JINJA_LEX_H
#define GYRE_DAEMON_JINJA_LEX_H

#include "daemon/jinja/ast.h"

enum jinja_token_type {
	TOKEN_END,
	TOKEN_DATA,
	TOKEN_BLOCK_BEGIN,
	TOKEN_BLOCK_END,
	TOKEN_VARIABLE_BEGIN,
	TOKEN_VARIABLE_END,
	TOKEN_NAME,
	TOKEN_STRING, /* p, n: between the quotes, escapes as they are written */
	TOKEN_INTEGER,
	TOKEN_FLOAT,
	TOKEN_OPERATOR, /* p, n */
};

struct jinja_token {
	enum jinja_token_type type;
	const char *p;
	size_t n;
	uint32_t line;
};

#define JINJA_BRACES_MAX 256 /* open at a time */

struct jinja_lexer {
	const char *p, *end;
	uint32_t line;
	enum {
		LEX_TEXT,
		LEX_BLOCK,
		LEX_VARIABLE,
		LEX_TAG
	} state; /* LEX_TAG: a tag begins here, its text has been given */
	bool line_starting;
	char open[JINJA_BRACES_MAX];
	uint32_t n_open;
	char *err; /* [err_len] */
	size_t err_len;
	bool failed;
};

/* false: err has why, with the line. */
bool jinja_lex(struct jinja_lexer *x, struct jinja_token *t);
/* Always false. */
bool jinja_lex_fail(struct jinja_lexer *x, uint32_t line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
