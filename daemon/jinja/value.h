/*
 * Values of a rendering, and the scratch that they live in. A value is 24 bytes and the data that it points to; all of it is in the
 * scratch's arena, or in the template's for constants. Nothing is freed but all at once, nothing is changed once it is visible to
 * a template, but for namespaces, loops, cyclers, joiners, and generators.
 *
 * Failure: a function that makes a value returns NULL, one that answers a question returns false or 0, and the scratch holds the
 * first error (failed()). NULL passes through, so that only the user of the result looks.
 */
#ifndef GYRE_DAEMON_JINJA_VALUE_H
#define GYRE_DAEMON_JINJA_VALUE_H

#include "daemon/jinja/jinja.h"

#include <string.h>

enum jinja_kind {
	JINJA_UNDEFINED,
	JINJA_NONE,
	JINJA_BOOL,
	JINJA_INT,
	JINJA_BIG, /* an integer past 64 bits: its decimal digits, none of them without need (big.h) */
	JINJA_FLOAT,
	JINJA_STRING,
	JINJA_LIST,
	JINJA_TUPLE,
	JINJA_GENERATOR, /* a list that is gone through once */
	JINJA_KEYS,      /* the views of a dict: lists by other names */
	JINJA_VALUES,
	JINJA_ITEMS,
	JINJA_DICT,
	JINJA_NAMESPACE,
	JINJA_RANGE,
	JINJA_MACRO,
	JINJA_FUNCTION,
	JINJA_METHOD,
	JINJA_LOOP,
	JINJA_CYCLER,
	JINJA_JOINER,
	JINJA_SELF, /* the template itself, which has no blocks and so nothing to ask for */
	JINJA_N_KIND,
};

enum jinja_flag {
	JINJA_SAFE = 1,       /* string: markup, so that a string joined to it is escaped */
	JINJA_ASCII = 2,      /* string: known to be */
	JINJA_NOT_ASCII = 4,  /* string: known not to be */
	JINJA_HINT = 8,       /* undefined: name is the whole message */
	JINJA_UNSAFE = 16,    /* undefined: the sandbox refused the attribute */
	JINJA_GROUP = 32,     /* tuple: of groupby, with the attributes grouper and list */
	JINJA_RECURSIVE = 64, /* loop: may be called */
};

struct jinja_pair {
	struct jinja_value *key, *value;
};

struct jinja_index;
struct jinja_row;

struct jinja_value {
	uint8_t kind, flags;
	uint32_t n; /* bytes, items, members */
	union {
		int64_t i;
		double f;
		struct {
			const char *p;
			const uint8_t *
				mark; /* NULL: none is the template's; jinja_all: every one; else [n] 1 for the template's */
		} s;
		struct {
			struct jinja_value **at;
			uint32_t cap, pos; /* pos: items that a generator has given */
		} l;
		struct {
			struct jinja_pair *at;
			struct jinja_index *index; /* NULL while small */
		} d;
		struct {
			int64_t start, step;
		} r;
		struct {
			struct jinja_value *object, *name; /* object NULL: a variable */
		} u;
		struct {
			const struct jinja_row *row;
			struct jinja_value *self;
		} m;
		struct {
			const void *what;
			void *where;
		} o;
	};
};

extern const uint8_t jinja_all[1]; /* only its address says something */

struct jinja_scratch {
	struct jinja_limits limit;
	char *arena;
	size_t used, cap, last; /* last: where the newest allocation begins, which alone can grow in place */
	char *out;
	size_t n_out;
	struct jinja_range *range;
	size_t n_range, range_cap,
		range_base; /* ranges before range_base belong to text outside the innermost capture */
	uint64_t n_step;
	uint32_t depth, nest, line;
	int error; /* 0, -EINVAL, -E2BIG */
	char message[2048];
	struct jinja_value **global; /* by number of name: the meaning of a free name in this rendering */
	const struct jinja *template;
};

/* The first error stays. Both return NULL. */
void *jinja_fail(struct jinja_scratch *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void *jinja_over(struct jinja_scratch *s, const char *what);

static inline bool jinja_failed(const struct jinja_scratch *s)
{
	return s->error;
}

/* n more steps. false: none are left. */
static inline bool jinja_step(struct jinja_scratch *s, uint64_t n)
{
	s->n_step += n;
	if (s->n_step > s->limit.n_step)
		jinja_over(s, "steps");
	return !s->error;
}

/* Aligned to 8, not cleared. NULL: full. */
void *jinja_alloc(struct jinja_scratch *s, size_t n);
/* n_old bytes at p become n_new: in place where p is the newest allocation, else copied. */
void *jinja_grow(struct jinja_scratch *s, void *p, size_t n_old, size_t n_new);

/* Recursion over values or syntax: one level in. false: too deep. jinja_leave once for each jinja_enter that said true. */
bool jinja_enter(struct jinja_scratch *s);

static inline void jinja_leave(struct jinja_scratch *s)
{
	s->nest--;
}

struct jinja_value *jinja_new_value(struct jinja_scratch *s, enum jinja_kind kind);
struct jinja_value *jinja_float(struct jinja_scratch *s, double f);
/* A string of bytes that are in place. */
struct jinja_value *jinja_text(struct jinja_scratch *s, const char *p, size_t n, const uint8_t *mark);
/* Of a C string that outlives the rendering; not the template's. */
struct jinja_value *jinja_word(struct jinja_scratch *s, const char *word);
struct jinja_value *jinja_undefined(struct jinja_scratch *s, struct jinja_value *object, struct jinja_value *name);
struct jinja_value *jinja_hint(struct jinja_scratch *s, const char *hint);
/* A sequence with room for n. */
struct jinja_value *jinja_sequence(struct jinja_scratch *s, enum jinja_kind kind, size_t n);
struct jinja_value *jinja_pair_of(struct jinja_scratch *s, struct jinja_value *a, struct jinja_value *b); /* a tuple */

struct jinja_value *jinja_dict_put(struct jinja_scratch *s, struct jinja_value *dict, struct jinja_value *key,
				   struct jinja_value *v);
/* NULL: not there (or not hashable, an error then). */
struct jinja_value *jinja_dict_find(struct jinja_scratch *s, const struct jinja_value *dict,
				    const struct jinja_value *key);
struct jinja_value *jinja_dict_find_text(const struct jinja_value *dict, const char *p, size_t n);

static inline bool jinja_is_sequence(const struct jinja_value *v)
{
	return v->kind >= JINJA_LIST && v->kind <= JINJA_ITEMS;
}

static inline bool jinja_is_int(const struct jinja_value *v)
{
	return v->kind == JINJA_INT || v->kind == JINJA_BOOL;
}

static inline bool jinja_is_number(const struct jinja_value *v)
{
	return v->kind >= JINJA_BOOL && v->kind <= JINJA_FLOAT;
}

static inline bool jinja_is_text(const struct jinja_value *v, const char *word)
{
	return v->kind == JINJA_STRING && v->n == strlen(word) && !memcmp(v->s.p, word, v->n);
}

/* Of a range; past 64 bits only where no item is, so that it wraps round. */
static inline int64_t jinja_range_item(const struct jinja_value *v, int64_t i)
{
	return (int64_t)((uint64_t)v->r.start + (uint64_t)v->r.step * (uint64_t)i);
}

/* Mark of the bytes from `at` on. */
static inline const uint8_t *jinja_mark_at(const uint8_t *mark, size_t at)
{
	return mark && mark != jinja_all ? mark + at : mark;
}

/* Python's name of the type; as Jinja names the object in messages ("dict object"). */
const char *jinja_type(const struct jinja_value *v);
/* "'x' is undefined" and its like. Fails with it; NULL. */
void *jinja_fail_undefined(struct jinja_scratch *s, const struct jinja_value *v);

bool jinja_truth(const struct jinja_value *v);
bool jinja_equal(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b);
/* <0, 0, >0 as op ("<") asks; fails where Python does. */
int jinja_compare(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b, const char *op);
bool jinja_contains(struct jinja_scratch *s, const struct jinja_value *in, const struct jinja_value *v);
bool jinja_hash(struct jinja_scratch *s, const struct jinja_value *v, uint64_t *h);
double jinja_double(const struct jinja_value *v); /* of a number */

/* Stable; s is the comparison's third argument. false: failed. */
bool jinja_sort(struct jinja_scratch *s, void *at, size_t n, size_t size,
		int (*compare)(const void *a, const void *b, void *s));

/* Everything that can be iterated, as a sequence (itself where it is one). A generator's rest. */
struct jinja_value *jinja_list_of(struct jinja_scratch *s, struct jinja_value *v);
/* -1 and an error: it has none. */
int64_t jinja_length(struct jinja_scratch *s, const struct jinja_value *v);

#endif
