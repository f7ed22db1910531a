/*
 * Values that are more than data: macros, loops, cyclers, joiners, callables, and integers past 64 bits.
 */
#ifndef GYRE_DAEMON_JINJA_OBJECT_H
#define GYRE_DAEMON_JINJA_OBJECT_H

#include "daemon/jinja/ast.h"
#include "daemon/jinja/build.h"
#include "daemon/jinja/rows.h"

struct jinja_frame {
	struct jinja_frame *up; /* the function around this one, as it was when this one was made */
	struct jinja_value *slot[];
};

/* A for statement under way; a test is asked as items are taken. */
struct jinja_loop {
	const struct jinja_node *node;
	struct jinja_frame *frame;  /* the body's */
	struct jinja_frame *around; /* that of the statement itself: a recursive call begins from it */
	struct jinja_value *list;   /* a sequence */
	uint32_t pos;               /* items taken of it */
	int64_t index0;
	struct jinja_value *before, *current;
	struct jinja_value *changed; /* the argument of the last call of changed() */
	uint32_t depth0;
	bool has_finished; /* some turn came to its end: else `else` runs, as in Jinja2 also when each was cut short */
	struct jinja_scratch *s;
};

/* The next item that passes the test, NULL at the end or on failure. */
struct jinja_value *jinja_loop_take(struct jinja_loop *l);
int64_t jinja_loop_length(const struct jinja_value *v);
struct jinja_value *jinja_loop_attribute(struct jinja_scratch *s, struct jinja_value *v, const char *p, size_t n);

struct jinja_cycle { /* of a cycler or a joiner */
	struct jinja_value *list;
	uint32_t pos;
};

bool jinja_add_object(struct jinja_build *b, const struct jinja_value *v);
double jinja_big_double(const struct jinja_value *v);

#endif
