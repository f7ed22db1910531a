/*
 * Calls: macros, loops that call themselves, and everything that is a row.
 */
#include "daemon/jinja/eval.h"

struct jinja_value *jinja_macro_new(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *v = jinja_new_value(s, JINJA_MACRO);

	if (!v)
		return NULL;
	v->o.what = n;
	v->o.where = f;
	return v;
}

static bool deeper(struct jinja_scratch *s)
{
	if (s->depth >= s->limit.depth)
		return jinja_over(s, "nested calls");
	s->depth++;
	return true;
}

/* The named argument of that name; taken[] says which were asked for. */
static struct jinja_value *named(struct jinja_scratch *s, const struct jinja_args *a, const struct jinja_value *name,
				 struct jinja_value **left)
{
	if (!jinja_step(s, a->n_kw / 8))
		return NULL;
	for (uint32_t i = 0; i < a->n_kw; i++)
		if (left[i] && a->key[i]->n == name->n && !memcmp(a->key[i]->s.p, name->s.p, name->n)) {
			struct jinja_value *v = left[i];

			left[i] = NULL;
			return v;
		}
	return NULL;
}

static struct jinja_value *missing_param(struct jinja_scratch *s, const struct jinja_value *name)
{
	struct jinja_build b;
	struct jinja_value *v;

	jinja_build_init(&b, s, 0);
	jinja_add_word(&b, "parameter '");
	jinja_add_string(&b, name);
	jinja_add_word(&b, "' was not provided");
	v = jinja_undefined(s, NULL, jinja_built(&b));
	if (v)
		v->flags |= JINJA_HINT;
	return v;
}

static bool varargs(struct jinja_scratch *s, const struct jinja_node *n, struct jinja_frame *f,
		    const struct jinja_args *a)
{
	uint32_t n_param = n->macro->n_param;
	struct jinja_value *rest;

	if (n->macro->varargs < 0 && a->n > n_param)
		return jinja_fail(s, "macro '%.*s' takes not more than %u argument(s)", (int)n->value->n, n->value->s.p,
				  n_param);
	if (n->macro->varargs < 0)
		return true;
	rest = jinja_sequence(s, JINJA_TUPLE, a->n > n_param ? a->n - n_param : 0);
	for (uint32_t i = n_param; i < a->n; i++)
		rest = jinja_list_append(s, rest, a->at[i]);
	f->slot[n->macro->varargs] = rest;
	return rest;
}

static bool kwargs(struct jinja_scratch *s, const struct jinja_node *n, struct jinja_frame *f,
		   const struct jinja_args *a, struct jinja_value **left)
{
	struct jinja_value *rest = n->macro->kwargs < 0 ? NULL : jinja_dict(s);

	for (uint32_t i = 0; i < a->n_kw; i++) {
		if (!left[i])
			continue;
		if (n->macro->kwargs < 0 && jinja_is_text(a->key[i], "caller"))
			return jinja_fail(s,
					  "macro '%.*s' was invoked with two values for the special caller argument. "
					  "This is most likely a bug.",
					  (int)n->value->n, n->value->s.p);
		if (n->macro->kwargs < 0)
			return jinja_fail(s, "macro '%.*s' takes no keyword argument '%.*s'", (int)n->value->n,
					  n->value->s.p, (int)a->key[i]->n, a->key[i]->s.p);
		if (!jinja_dict_put(s, rest, a->key[i], left[i]))
			return false;
	}
	if (n->macro->kwargs >= 0)
		f->slot[n->macro->kwargs] = rest;
	return n->macro->kwargs < 0 || rest;
}

/* Parameters without a value take their default, which may speak of those before it. */
static bool defaults(struct jinja_scratch *s, const struct jinja_node *n, struct jinja_frame *f)
{
	for (uint32_t i = 0; i < n->macro->n_param; i++) {
		const struct jinja_node *p = n->macro->param[i];

		if (f->slot[p->slot])
			continue;
		f->slot[p->slot] = p->b ? jinja_eval(s, f, p->b) : missing_param(s, p->value);
		if (!f->slot[p->slot])
			return false;
	}
	return true;
}

static bool arguments(struct jinja_scratch *s, const struct jinja_node *n, struct jinja_frame *f,
		      const struct jinja_args *a)
{
	struct jinja_value **left = a->n_kw ? jinja_alloc(s, a->n_kw * sizeof(*left)) : NULL;
	static const struct jinja_value caller = { .kind = JINJA_STRING, .n = 6, .s = { "caller", NULL } };

	if (a->n_kw && !left)
		return false;
	for (uint32_t i = 0; i < a->n_kw; i++)
		left[i] = a->value[i];
	for (uint32_t i = 0; i < n->macro->n_param; i++) {
		const struct jinja_node *p = n->macro->param[i];
		struct jinja_value *v = i < a->n ? a->at[i] : named(s, a, p->value, left);

		f->slot[p->slot] = v;
	}
	if (n->macro->caller >= 0) {
		f->slot[n->macro->caller] = named(s, a, &caller, left);
		if (!f->slot[n->macro->caller])
			f->slot[n->macro->caller] = jinja_hint(s, "No caller defined");
	}
	return kwargs(s, n, f, a, left) && varargs(s, n, f, a) && jinja_scope_enter(s, f, n->scope) &&
	       defaults(s, n, f);
}

struct jinja_value *jinja_macro_call(struct jinja_scratch *s, struct jinja_value *macro, struct jinja_args *a)
{
	const struct jinja_node *n = macro->o.what;
	struct jinja_frame *f;
	struct jinja_value *v = NULL;
	struct jinja_capture was;
	enum jinja_flow flow;

	if (!deeper(s))
		return NULL;
	f = jinja_frame_new(s, &n->macro->function, macro->o.where);
	if (f && arguments(s, n, f, a)) {
		was = jinja_capture_begin(s);
		flow = jinja_run(s, f, n->list, n->n_list);
		v = jinja_capture_end(s, was);
		if (flow == FLOW_FAIL)
			v = NULL;
	}
	s->depth--;
	return v;
}

struct jinja_value *jinja_loop_call(struct jinja_scratch *s, struct jinja_value *loop, struct jinja_args *a)
{
	const struct jinja_loop *l = loop->o.where;
	struct jinja_capture was;
	struct jinja_value *v;
	enum jinja_flow flow;

	if (!l->node->is_recursive)
		return jinja_fail(s, "The loop must have the 'recursive' marker to be called recursively.");
	if (a->n != 1 || a->n_kw)
		return jinja_fail(s, "a loop is called with what it shall go through");
	if (!deeper(s))
		return NULL;
	was = jinja_capture_begin(s);
	flow = jinja_loop_run(s, l->around, l->around, l->node, a->at[0], l->depth0 + 1);
	v = jinja_capture_end(s, was);
	s->depth--;
	return flow == FLOW_FAIL ? NULL : v;
}

static struct jinja_value *join_once(struct jinja_scratch *s, struct jinja_value *joiner)
{
	struct jinja_cycle *c = joiner->o.where;

	return c->pos++ ? c->list : jinja_word(s, "");
}

struct jinja_value *jinja_call(struct jinja_scratch *s, struct jinja_value *callee, struct jinja_args *a)
{
	switch (callee->kind) {
	case JINJA_MACRO:
		return jinja_macro_call(s, callee, a);
	case JINJA_FUNCTION:
	case JINJA_METHOD:
		return jinja_row_call(s, callee->m.row, callee->m.self, a);
	case JINJA_LOOP:
		return jinja_loop_call(s, callee, a);
	case JINJA_JOINER:
		return join_once(s, callee);
	case JINJA_UNDEFINED:
		return jinja_fail_undefined(s, callee);
	default:
		return jinja_fail(s, "'%s' object is not callable", jinja_type(callee));
	}
}
