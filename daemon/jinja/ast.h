/*
 * A parsed template: a tree of nodes in the template's own arena, with every name resolved to a slot, every filter and test to its row,
 * and every constant to its value. Immutable once jinja_new has returned.
 */
#ifndef GYRE_DAEMON_JINJA_AST_H
#define GYRE_DAEMON_JINJA_AST_H

#include "daemon/jinja/value.h"

enum jinja_node_type {
	/* expressions */
	NODE_CONST,    /* value */
	NODE_NAME,     /* slot, up */
	NODE_TUPLE,    /* list */
	NODE_LIST,     /* list */
	NODE_DICT,     /* list: key, value, key, value */
	NODE_ATTR,     /* a . value */
	NODE_ITEM,     /* a [ b ] */
	NODE_SLICE,    /* as the b of a NODE_ITEM: a : b : c, each may be NULL */
	NODE_CALL,     /* a ( list of NODE_ARG ) */
	NODE_ARG,      /* a; op; value: the keyword */
	NODE_FILTER,   /* a | row ( list of NODE_ARG ); a NULL in filter blocks */
	NODE_TEST,     /* a is row ( list ) */
	NODE_NOT,      /* a */
	NODE_NEGATIVE, /* a */
	NODE_POSITIVE, /* a */
	NODE_CHAIN,    /* a, then list of NODE_LINK: arithmetic from the left */
	NODE_LINK,     /* op a */
	NODE_COMPARE,  /* a, then list of NODE_LINK */
	NODE_CONCAT,   /* list */
	NODE_AND,      /* list */
	NODE_OR,       /* list */
	NODE_IF_ELSE,  /* a if b else c; c may be NULL */
	NODE_NS_ATTR,  /* target: name node a . value */
	/* statements */
	NODE_TEXT,         /* value */
	NODE_OUTPUT,       /* list */
	NODE_IF,           /* list of NODE_BRANCH */
	NODE_BRANCH,       /* a (NULL: else): list */
	NODE_FOR,          /* a target, b iter, c test; list body, other: else */
	NODE_SET,          /* a target, b value */
	NODE_SET_BLOCK,    /* a target, b filter chain, list body */
	NODE_WITH,         /* other: values, a: their targets as a tuple; list body */
	NODE_MACRO,        /* value: name; a: name node; other: parameters; list body */
	NODE_CALL_BLOCK,   /* a: the call; b: a NODE_MACRO without a name */
	NODE_FILTER_BLOCK, /* a: filter chain; list body */
	NODE_SCOPE,        /* list: generation */
	NODE_BREAK,
	NODE_CONTINUE,
};

enum jinja_op {
	OP_ADD,
	OP_SUB,
	OP_MUL,
	OP_DIV,
	OP_FLOOR,
	OP_MOD,
	OP_POW,
	OP_EQ,
	OP_NE,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_IN,
	OP_NOT_IN,
};

/* The values of NODE_ARG's op. */
enum jinja_arg { ARG_PLAIN, ARG_STAR, ARG_STAR_STAR };

/* How a variable begins when its scope is entered. */
enum jinja_load_type {
	LOAD_PARAM,   /* set by the statement that makes the scope */
	LOAD_GLOBAL,  /* the name's meaning outside of the template */
	LOAD_ALIAS,   /* as the variable of an outer scope is now */
	LOAD_NOTHING, /* undefined until set */
};

struct jinja_load {
	uint8_t type;
	uint16_t up;   /* of the outer variable */
	uint32_t slot; /* of this one */
	uint32_t from; /* slot of the outer one, or number of the name */
};

/* The variables of a statement's body. */
struct jinja_scope {
	struct jinja_load *load; /* those to be set on entry */
	uint32_t n_load;
};

/* Variables live in frames: one for the template, one for each call of a macro or of a recursive loop. */
struct jinja_function {
	uint32_t n_slot;
};

struct jinja_node {
	uint8_t type, op;
	uint16_t up; /* frames outward */
	uint32_t line;
	uint32_t slot;   /* NODE_FOR: of `loop`, if is_loop_used */
	uint32_t number; /* NODE_NAME: which name */
	uint32_t n_list, n_other, n_cap;
	uint16_t height;
	bool is_loop_used, is_recursive;
	struct jinja_node *a, *b, *c;
	struct jinja_node **list, **other;
	struct jinja_value *value;
	const struct jinja_row *row;
	struct jinja_scope *scope, *test_scope, *else_scope;
	struct jinja_macro *macro;
	struct jinja_function *function; /* NODE_FOR: if recursive */
};

/* Slots of the names a macro's body may ask for; -1: it does not. */
struct jinja_macro {
	struct jinja_function function;
	int64_t caller, kwargs, varargs;
	struct jinja_node **param; /* NODE_NAME; b: the default */
	uint32_t n_param;
	int32_t caller_param; /* which parameter is called so; -1: none */
};

struct jinja_name {
	const char *p;
	uint32_t n;
	uint32_t chain; /* while parsing: the next one of its hash, from 1 */
	bool is_global; /* some scope asks the outside for it */
	struct jinja_value *value;
};

#define JINJA_NAMES_MAX 4096

struct jinja_chunk {
	struct jinja_chunk *next;
	size_t used, cap;
	char data[];
};

struct jinja {
	struct jinja_chunk *chunk;
	char *source; /* lines end in \n, the last newline is gone */
	size_t n_source;
	struct jinja_node *root; /* NODE_SCOPE */
	struct jinja_function function;
	struct jinja_name *name;
	uint32_t n_name, name_cap;
};

/* Cleared memory that lives as long as the template. NULL: none is left. */
void *jinja_keep(struct jinja *t, size_t n);

#endif
