/*
 * Shared by both halves of the resolver: symbols of the scopes around, and looking at a statement's names.
 */
#ifndef GYRE_DAEMON_JINJA_SYMBOLS_H
#define GYRE_DAEMON_JINJA_SYMBOLS_H

#include "daemon/jinja/scope.h"

#define SYMBOL_NONE UINT32_MAX

struct symbol {
	uint32_t name, hides; /* hides: a symbol, or SYMBOL_NONE */
	uint32_t scope;       /* how deep */
	uint16_t function;    /* how deep */
	bool stored;
	struct jinja_load load;
};

struct resolver {
	struct jinja *t;
	struct jinja_lexer *x;
	struct symbol *symbol;
	uint32_t n, cap;
	uint32_t *innermost; /* [n_name] symbols, or SYMBOL_NONE */
	uint32_t *flip;      /* symbols older than the innermost branch that it stored to */
	uint32_t n_flip, flip_cap;
	uint32_t scope;
	uint16_t depth; /* of functions */
	struct jinja_function *function;
	bool soft; /* inside a condition: an unknown row fails only when it is reached */
	bool failed;
};

/* A scope's own symbol for a name, if it has one. */
uint32_t symbol_own(const struct resolver *r, uint32_t name);
void symbol_push(struct resolver *r, uint32_t name, struct jinja_load load, bool stored);
void symbol_pop_to(struct resolver *r, uint32_t n);

/* Notes a node's names in the scope that is open; targets are stored to, or are the scope's parameters. */
void symbol_look(struct resolver *r, const struct jinja_node *n);
void symbol_look_list(struct resolver *r, struct jinja_node *const *list, uint32_t n);
void symbol_look_param(struct resolver *r, uint32_t name);
void symbol_look_target(struct resolver *r, const struct jinja_node *n, bool is_param);

#endif
