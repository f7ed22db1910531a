/*
 * Expressions to values, statements to text.
 */
#ifndef GYRE_DAEMON_JINJA_EVAL_H
#define GYRE_DAEMON_JINJA_EVAL_H

#include "daemon/jinja/object.h"

enum jinja_flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAIL };

struct jinja_value *jinja_eval(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n);
struct jinja_value *jinja_eval_filter(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n,
				      struct jinja_value *innermost);
bool jinja_eval_args(struct jinja_scratch *s, struct jinja_frame *f, struct jinja_node *const *list, uint32_t n,
		     struct jinja_args *a);
struct jinja_value *jinja_call(struct jinja_scratch *s, struct jinja_value *callee, struct jinja_args *a);
enum jinja_flow jinja_run(struct jinja_scratch *s, struct jinja_frame *f, struct jinja_node *const *list, uint32_t n);
bool jinja_scope_enter(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_scope *scope);
bool jinja_assign(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *target,
		  struct jinja_value *v);
struct jinja_frame *jinja_frame_new(struct jinja_scratch *s, const struct jinja_function *function,
				    struct jinja_frame *up);

/* Operators and access, by value. */
struct jinja_value *jinja_operate(struct jinja_scratch *s, enum jinja_op op, struct jinja_value *a,
				  struct jinja_value *b);
struct jinja_value *jinja_concat(struct jinja_scratch *s, struct jinja_value **part, uint32_t n);
struct jinja_value *jinja_attribute(struct jinja_scratch *s, struct jinja_value *v, const struct jinja_value *name,
				    bool may_be_method);
/* Of the Python object that v stands for; NULL: it has none of that name. */
struct jinja_value *jinja_own_attribute(struct jinja_scratch *s, struct jinja_value *v, const struct jinja_value *name);
struct jinja_value *jinja_item(struct jinja_scratch *s, struct jinja_value *v, struct jinja_value *key);
struct jinja_value *jinja_slice(struct jinja_scratch *s, struct jinja_value *v, const struct jinja_value *from,
				const struct jinja_value *to, const struct jinja_value *step);

/* Calls. */
struct jinja_value *jinja_macro_new(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n);
struct jinja_value *jinja_macro_call(struct jinja_scratch *s, struct jinja_value *macro, struct jinja_args *a);
struct jinja_value *jinja_loop_call(struct jinja_scratch *s, struct jinja_value *loop, struct jinja_args *a);
enum jinja_flow jinja_loop_run(struct jinja_scratch *s, struct jinja_frame *around, struct jinja_frame *f,
			       const struct jinja_node *n, struct jinja_value *iter, uint32_t depth0);

/* Text goes to the scratch's output; between begin and end it becomes a value instead. */
struct jinja_capture {
	size_t n_out, n_range, range_base;
};

bool jinja_emit(struct jinja_scratch *s, const char *p, size_t n, const uint8_t *mark);
struct jinja_capture jinja_capture_begin(struct jinja_scratch *s);
struct jinja_value *jinja_capture_end(struct jinja_scratch *s, struct jinja_capture was);

#endif
