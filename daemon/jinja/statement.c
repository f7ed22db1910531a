/*
 * Statements write to the output, set variables, or end the turn of a loop.
 */
#include "daemon/jinja/eval.h"

struct jinja_frame *jinja_frame_new(struct jinja_scratch *s, const struct jinja_function *function,
				    struct jinja_frame *up)
{
	size_t n = sizeof(struct jinja_frame) + function->n_slot * sizeof(struct jinja_value *);
	struct jinja_frame *f = jinja_alloc(s, n);

	if (!f || !jinja_step(s, n / 64))
		return NULL;
	memset(f, 0, n);
	f->up = up;
	return f;
}

bool jinja_scope_enter(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_scope *scope)
{
	for (uint32_t i = 0; i < scope->n_load; i++) {
		const struct jinja_load *l = &scope->load[i];
		struct jinja_frame *from = f;

		for (uint32_t up = l->up; up; up--)
			from = from->up;
		f->slot[l->slot] = l->type == LOAD_GLOBAL  ? s->global[l->from]
				   : l->type == LOAD_ALIAS ? from->slot[l->from]
							   : NULL;
	}
	return jinja_step(s, scope->n_load / 8);
}

static bool unpack(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *target,
		   struct jinja_value *v)
{
	struct jinja_value *list;

	if (v->kind == JINJA_UNDEFINED ||
	    !(jinja_is_sequence(v) || v->kind == JINJA_STRING || v->kind == JINJA_DICT || v->kind == JINJA_RANGE)) {
		if (v->kind != JINJA_UNDEFINED)
			return jinja_fail(s, "cannot unpack non-iterable %s object", jinja_type(v));
	}
	list = jinja_list_of(s, v);
	if (!list)
		return false;
	if (list->n > target->n_list)
		return jinja_fail(s, "too many values to unpack (expected %u)", target->n_list);
	if (list->n < target->n_list)
		return jinja_fail(s, "not enough values to unpack (expected %u, got %u)", target->n_list, list->n);
	for (uint32_t i = 0; i < list->n; i++)
		if (!jinja_assign(s, f, target->list[i], list->l.at[i]))
			return false;
	return true;
}

static bool assign_attribute(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *target,
			     struct jinja_value *v)
{
	struct jinja_value *ns = jinja_eval(s, f, target->a);
	const struct jinja_value *attr = target->value;

	if (!ns)
		return false;
	if (ns->kind != JINJA_NAMESPACE)
		return jinja_fail(s, "cannot assign attribute on non-namespace object");
	if (attr->n && attr->s.p[0] == '_')
		return jinja_fail(s,
				  "Chat templates cannot store underscore-prefixed attributes on a namespace, but got "
				  "'%.*s'. Please "
				  "rename the attribute.",
				  (int)attr->n, attr->s.p);
	return jinja_dict_put(s, ns, target->value, v);
}

bool jinja_assign(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *target,
		  struct jinja_value *v)
{
	bool ok = true;

	if (!v)
		return false;
	if (target->type == NODE_TUPLE)
		ok = unpack(s, f, target, v);
	else if (target->type == NODE_NS_ATTR)
		ok = assign_attribute(s, f, target, v);
	else
		f->slot[target->slot] = v;
	if (!ok && !s->line)
		s->line = target->line;
	return ok;
}

static bool output(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	for (uint32_t i = 0; i < n->n_list; i++) {
		struct jinja_value *v = jinja_str(s, jinja_eval(s, f, n->list[i]));

		if (!v || !jinja_emit(s, v->s.p, v->n, v->s.mark))
			return false;
	}
	return true;
}

static enum jinja_flow branch(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	for (uint32_t i = 0; i < n->n_list; i++) {
		const struct jinja_node *b = n->list[i];
		struct jinja_value *v = b->a ? jinja_eval(s, f, b->a) : NULL;

		if (b->a && !v)
			return FLOW_FAIL;
		if (!b->a || jinja_truth(v))
			return jinja_run(s, f, b->list, b->n_list);
	}
	return FLOW_ON;
}

/* The text of a body as a value, NULL if it did not come to its end. */
static enum jinja_flow captured(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n,
				struct jinja_value **text)
{
	struct jinja_capture was = jinja_capture_begin(s);
	enum jinja_flow flow = jinja_scope_enter(s, f, n->scope) ? jinja_run(s, f, n->list, n->n_list) : FLOW_FAIL;

	*text = jinja_capture_end(s, was);
	return *text ? flow : FLOW_FAIL;
}

static enum jinja_flow set_block(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *text;
	enum jinja_flow flow = captured(s, f, n, &text);

	if (flow != FLOW_ON)
		return flow;
	if (n->b)
		text = jinja_eval_filter(s, f, n->b, text);
	return jinja_assign(s, f, n->a, text) ? FLOW_ON : FLOW_FAIL;
}

static enum jinja_flow filter_block(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *text;
	enum jinja_flow flow = captured(s, f, n, &text);

	if (flow != FLOW_ON)
		return flow;
	text = jinja_str(s, jinja_eval_filter(s, f, n->a, text));
	return text && jinja_emit(s, text->s.p, text->n, text->s.mark) ? FLOW_ON : FLOW_FAIL;
}

static enum jinja_flow with(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *values = jinja_sequence(s, JINJA_LIST, n->n_other);

	for (uint32_t i = 0; values && i < n->n_other; i++)
		values = jinja_list_append(s, values, jinja_eval(s, f, n->other[i]));
	if (!values || !jinja_scope_enter(s, f, n->scope))
		return FLOW_FAIL;
	for (uint32_t i = 0; i < n->n_other; i++)
		if (!jinja_assign(s, f, n->a->list[i], values->l.at[i]))
			return FLOW_FAIL;
	return jinja_run(s, f, n->list, n->n_list);
}

static bool call_block(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *callee = jinja_eval(s, f, n->a->a), *caller, *v;
	struct jinja_value key = { .kind = JINJA_LIST }, value = key;
	struct jinja_args a;

	if (!callee || !jinja_eval_args(s, f, n->a->list, n->a->n_list, &a))
		return false;
	caller = jinja_macro_new(s, f, n->b);
	for (uint32_t i = 0; i < a.n_kw; i++)
		if (!jinja_list_append(s, &key, a.key[i]) || !jinja_list_append(s, &value, a.value[i]))
			return false;
	if (!caller || !jinja_list_append(s, &key, n->b->value) || !jinja_list_append(s, &value, caller))
		return false;
	a.key = key.l.at;
	a.value = value.l.at;
	a.n_kw = key.n;
	v = jinja_str(s, jinja_call(s, callee, &a));
	return v && jinja_emit(s, v->s.p, v->n, v->s.mark);
}

static enum jinja_flow statement(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	bool ok = false;

	switch (n->type) {
	case NODE_TEXT:
		ok = jinja_emit(s, n->value->s.p, n->value->n, jinja_all);
		break;
	case NODE_OUTPUT:
		ok = output(s, f, n);
		break;
	case NODE_IF:
		return branch(s, f, n);
	case NODE_FOR:
		return jinja_loop_run(s, f, f, n, jinja_eval(s, f, n->b), 0);
	case NODE_SET:
		ok = jinja_assign(s, f, n->a, jinja_eval(s, f, n->b));
		break;
	case NODE_SET_BLOCK:
		return set_block(s, f, n);
	case NODE_FILTER_BLOCK:
		return filter_block(s, f, n);
	case NODE_WITH:
		return with(s, f, n);
	case NODE_MACRO:
		ok = jinja_assign(s, f, n->a, jinja_macro_new(s, f, n));
		break;
	case NODE_CALL_BLOCK:
		ok = call_block(s, f, n);
		break;
	case NODE_SCOPE:
		return jinja_scope_enter(s, f, n->scope) ? jinja_run(s, f, n->list, n->n_list) : FLOW_FAIL;
	case NODE_BREAK:
		return FLOW_BREAK;
	case NODE_CONTINUE:
		return FLOW_CONTINUE;
	}
	return ok ? FLOW_ON : FLOW_FAIL;
}

enum jinja_flow jinja_run(struct jinja_scratch *s, struct jinja_frame *f, struct jinja_node *const *list, uint32_t n)
{
	enum jinja_flow flow = FLOW_ON;

	if (!jinja_enter(s))
		return FLOW_FAIL;
	for (uint32_t i = 0; i < n && flow == FLOW_ON; i++) {
		flow = jinja_step(s, 1) ? statement(s, f, list[i]) : FLOW_FAIL;
		if (flow == FLOW_FAIL && !s->line)
			s->line = list[i]->line;
	}
	jinja_leave(s);
	return flow;
}
