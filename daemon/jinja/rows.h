/*
 * Filters, tests, methods, and globals are rows of tables: a name, its parameters, and a function. Arguments are bound to the row's
 * parameters, by place and by name, before the function is called.
 */
#ifndef GYRE_DAEMON_JINJA_ROWS_H
#define GYRE_DAEMON_JINJA_ROWS_H

#include "daemon/jinja/value.h"

#define JINJA_BOUND_MAX 8

struct jinja_args {
	struct jinja_value *
		*at; /* [n] by place; those a row with ROW_REST did not bind are from its number of parameters on */
	struct jinja_value **key, **value; /* [n_kw] by name */
	uint32_t n, n_kw;
	struct jinja_value *bound[JINJA_BOUND_MAX]; /* by parameter; NULL: left out */
};

enum jinja_row_flag {
	ROW_REST = 1,  /* takes any number by place */
	ROW_NAMED = 2, /* and any by name */
};

/* self: the value that is filtered or tested, or the owner of the method. */
typedef struct jinja_value *jinja_row_fn(struct jinja_scratch *s, struct jinja_value *self, struct jinja_args *a);

struct jinja_row {
	const char *name;
	jinja_row_fn *fn;
	const char *params; /* separated by spaces */
	uint8_t n_required, flags;
};

const struct jinja_row *jinja_filter_row(const char *p, size_t n);
const struct jinja_row *jinja_test_row(const char *p, size_t n);
/* Any type's method of that name, to tell at once that a name is none; NULL. */
const struct jinja_row *jinja_method_name(const char *p, size_t n);
/* A method of this value's type. Refused ones have no function. */
const struct jinja_row *jinja_method_of(const struct jinja_value *v, const char *p, size_t n);
/* A name's meaning where the caller gave none; NULL: undefined. */
struct jinja_value *jinja_builtin(struct jinja_scratch *s, const char *p, size_t n);

/* Binds and calls. NULL: failed. */
struct jinja_value *jinja_row_call(struct jinja_scratch *s, const struct jinja_row *row, struct jinja_value *self,
				   struct jinja_args *a);
/* By name, with arguments from place `from` of a on; for map, select, and their like. */
struct jinja_value *jinja_filter_by_name(struct jinja_scratch *s, const struct jinja_value *name, struct jinja_value *v,
					 const struct jinja_args *a, uint32_t from);
/* 1, 0; -1: failed. */
int jinja_test_by_name(struct jinja_scratch *s, const struct jinja_value *name, struct jinja_value *v,
		       const struct jinja_args *a, uint32_t from);

struct jinja_table {
	const struct jinja_row *row;
	size_t n;
};

extern const struct jinja_table jinja_filters_plain, jinja_filters_text, jinja_filters_list, jinja_filters_pick,
	jinja_filters_wrap, jinja_filters_pprint;
extern const struct jinja_table jinja_methods_str, jinja_methods_str_is, jinja_methods_str_map, jinja_methods_list,
	jinja_methods_tuple, jinja_methods_dict, jinja_methods_cycler, jinja_methods_int, jinja_methods_float;

const struct jinja_row *jinja_table_find(const struct jinja_table *t, const char *p, size_t n);

/* Arguments as C sees them; the value where it was left out. Failing says so in Python's way. */
int64_t jinja_arg_int(struct jinja_scratch *s, const struct jinja_value *v, int64_t otherwise);
bool jinja_arg_true(const struct jinja_value *v, bool otherwise);
/* NULL and failed: not a string. */
struct jinja_value *jinja_arg_text(struct jinja_scratch *s, struct jinja_value *v);

#endif
