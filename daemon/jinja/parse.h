/*
 * The parser: literals, expressions, statements. Recursive descent over Jinja2's grammar, which is given at each function;
 * a tree higher than PARSE_HEIGHT_MAX is refused, so that the walks over it need no guard of their own.
 */
#ifndef GYRE_DAEMON_JINJA_PARSE_H
#define GYRE_DAEMON_JINJA_PARSE_H

#include "daemon/jinja/lex.h"

#define PARSE_HEIGHT_MAX 250 /* nested tags, parentheses, and the like; Python's own stack gives out before */

#define PARSE_BUCKETS 256

struct jinja_parser {
	struct jinja *t;
	struct jinja_lexer x;
	struct jinja_token now, next; /* the token to be parsed, and the one behind it */
	uint32_t depth;
	uint32_t n_loop;                /* loops around, that break and continue may leave */
	uint32_t bucket[PARSE_BUCKETS]; /* names by hash: number + 1 */
	bool failed;
};

/* NULL: failed. */
struct jinja_node *jinja_parse_expression(struct jinja_parser *p, bool with_condition);
/* end: a name that ends the tuple, or NULL. */
struct jinja_node *jinja_parse_tuple(struct jinja_parser *p, bool with_condition, const char *end, bool in_parentheses);
struct jinja_node *jinja_parse_target(struct jinja_parser *p, bool with_tuple, bool with_namespace, const char *end);
struct jinja_node *jinja_parse_unary(struct jinja_parser *p, bool with_filter);
struct jinja_node *jinja_parse_filters(struct jinja_parser *p, struct jinja_node *of, bool begun);
/* A name, a literal, or something in brackets. */
struct jinja_node *jinja_parse_primary(struct jinja_parser *p, bool with_namespace);
/* n with the parts behind it. */
struct jinja_node *jinja_parse_postfix(struct jinja_parser *p, struct jinja_node *n);
struct jinja_node *jinja_parse_filtered(struct jinja_parser *p, struct jinja_node *n);
struct jinja_node *jinja_parse_constant(struct jinja_parser *p, enum jinja_kind kind);
struct jinja_node *jinja_parse_integer(struct jinja_parser *p, const char *at, size_t n);
struct jinja_node *jinja_parse_real(struct jinja_parser *p, const char *at, size_t n);
struct jinja_node *jinja_parse_strings(struct jinja_parser *p);
bool jinja_parse_template(struct jinja_parser *p);

/* Shared by both files. */
void *jinja_parse_fail(struct jinja_parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void *jinja_parse_unexpected(struct jinja_parser *p, const char *wanted);
bool jinja_parse_next(struct jinja_parser *p);
bool jinja_parse_is_name(const struct jinja_parser *p, const char *name);
bool jinja_parse_is(const struct jinja_parser *p, const char *op);
bool jinja_parse_skip_name(struct jinja_parser *p, const char *name);
bool jinja_parse_skip(struct jinja_parser *p, const char *op);
bool jinja_parse_expect(struct jinja_parser *p, const char *op);
struct jinja_node *jinja_parse_node(struct jinja_parser *p, enum jinja_node_type type);
bool jinja_parse_append(struct jinja_parser *p, struct jinja_node *n, struct jinja_node *item);
/* The node with its children in place; NULL: too high. */
struct jinja_node *jinja_parse_done(struct jinja_parser *p, struct jinja_node *n);
/* A name as a node of NODE_NAME; as a value. */
struct jinja_node *jinja_parse_name(struct jinja_parser *p, const char *at, size_t n);
struct jinja_value *jinja_parse_word(struct jinja_parser *p, const char *at, size_t n);
bool jinja_parse_deeper(struct jinja_parser *p);

#endif
