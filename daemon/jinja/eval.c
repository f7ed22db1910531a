/*
 * Expressions. The first node that fails, the innermost one, gives the line of the error.
 */
#include "daemon/jinja/eval.h"

static struct jinja_value *name(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *v;

	for (uint32_t up = n->up; up; up--)
		f = f->up;
	v = f->slot[n->slot];
	return v ? v : jinja_undefined(s, NULL, n->value);
}

static struct jinja_value *sequence(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *v = jinja_sequence(s, n->type == NODE_TUPLE ? JINJA_TUPLE : JINJA_LIST, n->n_list);

	for (uint32_t i = 0; v && i < n->n_list; i++)
		v = jinja_list_append(s, v, jinja_eval(s, f, n->list[i]));
	return v;
}

static struct jinja_value *dict(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *v = jinja_dict(s);

	for (uint32_t i = 0; v && i + 1 < n->n_list; i += 2) {
		struct jinja_value *key = jinja_eval(s, f, n->list[i]);

		v = key ? jinja_dict_put(s, v, key, jinja_eval(s, f, n->list[i + 1])) : NULL;
	}
	return v;
}

static bool star(struct jinja_scratch *s, struct jinja_value *v, struct jinja_value *at)
{
	struct jinja_value *list = jinja_list_of(s, v);

	for (uint32_t i = 0; list && i < list->n && jinja_step(s, 1); i++)
		if (!jinja_list_append(s, at, list->l.at[i]))
			return false;
	return list;
}

static bool star_star(struct jinja_scratch *s, struct jinja_value *v, struct jinja_value *key,
		      struct jinja_value *value)
{
	if (v->kind != JINJA_DICT)
		return jinja_fail(s, "argument after ** must be a mapping, not %s", jinja_type(v));
	for (uint32_t i = 0; i < v->n && jinja_step(s, 1); i++) {
		if (v->d.at[i].key->kind != JINJA_STRING)
			return jinja_fail(s, "keywords must be strings");
		if (!jinja_list_append(s, key, v->d.at[i].key) || !jinja_list_append(s, value, v->d.at[i].value))
			return false;
	}
	return true;
}

bool jinja_eval_args(struct jinja_scratch *s, struct jinja_frame *f, struct jinja_node *const *list, uint32_t n,
		     struct jinja_args *a)
{
	struct jinja_value at = { .kind = JINJA_LIST }, key = at, value = at;

	*a = (struct jinja_args){ .n = 0 };
	for (uint32_t i = 0; i < n; i++) {
		struct jinja_value *v = jinja_eval(s, f, list[i]->a);
		bool ok;

		if (!v)
			return false;
		if (list[i]->op == ARG_STAR)
			ok = star(s, v, &at);
		else if (list[i]->op == ARG_STAR_STAR)
			ok = star_star(s, v, &key, &value);
		else if (list[i]->value)
			ok = jinja_list_append(s, &key, list[i]->value) && jinja_list_append(s, &value, v);
		else
			ok = jinja_list_append(s, &at, v);
		if (!ok)
			return false;
	}
	*a = (struct jinja_args){ .at = at.l.at, .key = key.l.at, .value = value.l.at, .n = at.n, .n_kw = key.n };
	return true;
}

static struct jinja_value *call(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *callee = jinja_eval(s, f, n->a);
	struct jinja_args a;

	return callee && jinja_eval_args(s, f, n->list, n->n_list, &a) ? jinja_call(s, callee, &a) : NULL;
}

/* A chain of filters whose first has no operand is given `innermost`. */
struct jinja_value *jinja_eval_filter(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n,
				      struct jinja_value *innermost)
{
	struct jinja_value *v;
	struct jinja_args a;

	if (!n->a)
		v = innermost;
	else if (n->a->type == NODE_FILTER) {
		if (!jinja_enter(s))
			return NULL;
		v = jinja_eval_filter(s, f, n->a, innermost);
		jinja_leave(s);
	} else
		v = jinja_eval(s, f, n->a);
	if (!v || !jinja_eval_args(s, f, n->list, n->n_list, &a))
		return NULL;
	v = n->row ? jinja_row_call(s, n->row, v, &a)
		   : jinja_fail(s, "No filter named '%.*s' found.", (int)n->value->n, n->value->s.p);
	if (!v && !s->line)
		s->line = n->line;
	return v;
}

static struct jinja_value *test(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *v = jinja_eval(s, f, n->a);
	struct jinja_args a;

	if (!v || !jinja_eval_args(s, f, n->list, n->n_list, &a))
		return NULL;
	return n->row ? jinja_row_call(s, n->row, v, &a)
		      : jinja_fail(s, "No test named '%.*s' found.", (int)n->value->n, n->value->s.p);
}

static struct jinja_value *chain(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *v = jinja_eval(s, f, n->a);

	for (uint32_t i = 0; v && i < n->n_list; i++) {
		struct jinja_value *right = jinja_eval(s, f, n->list[i]->a);

		v = right ? jinja_operate(s, n->list[i]->op, v, right) : NULL;
	}
	return v;
}

static bool holds(struct jinja_scratch *s, enum jinja_op op, const struct jinja_value *a, const struct jinja_value *b)
{
	switch (op) {
	case OP_EQ:
		return jinja_equal(s, a, b);
	case OP_NE:
		return !jinja_equal(s, a, b);
	case OP_LT:
		return jinja_compare(s, a, b, "<") < 0;
	case OP_LE:
		return jinja_compare(s, a, b, "<=") <= 0;
	case OP_GT:
		return jinja_compare(s, a, b, ">") > 0;
	case OP_GE:
		return jinja_compare(s, a, b, ">=") >= 0;
	case OP_IN:
		return jinja_contains(s, b, a);
	default:
		return !jinja_contains(s, b, a);
	}
}

static struct jinja_value *compare(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *left = jinja_eval(s, f, n->a);
	bool yes = true;

	for (uint32_t i = 0; left && yes && i < n->n_list; i++) {
		struct jinja_value *right = jinja_eval(s, f, n->list[i]->a);

		if (!right)
			return NULL;
		yes = holds(s, n->list[i]->op, left, right);
		left = right;
	}
	return left && !jinja_failed(s) ? jinja_bool(s, yes) : NULL;
}

static struct jinja_value *concat(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *parts = jinja_sequence(s, JINJA_LIST, n->n_list);

	for (uint32_t i = 0; parts && i < n->n_list; i++)
		parts = jinja_list_append(s, parts, jinja_str(s, jinja_eval(s, f, n->list[i])));
	return parts ? jinja_concat(s, parts->l.at, parts->n) : NULL;
}

/* The first that decides, or the last. */
static struct jinja_value *decide(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n, bool by)
{
	struct jinja_value *v = NULL;

	for (uint32_t i = 0; i < n->n_list; i++) {
		v = jinja_eval(s, f, n->list[i]);
		if (!v || jinja_truth(v) == by)
			break;
	}
	return v;
}

static struct jinja_value *if_else(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *condition = jinja_eval(s, f, n->b);

	if (!condition)
		return NULL;
	if (jinja_truth(condition))
		return jinja_eval(s, f, n->a);
	return n->c ? jinja_eval(s, f, n->c)
		    : jinja_hint(s, "the inline if-expression evaluated to false and no else section was defined.");
}

static struct jinja_value *item(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *v = jinja_eval(s, f, n->a), *part[3] = { NULL, NULL, NULL };
	const struct jinja_node *from[3];

	if (!v)
		return NULL;
	if (n->b->type != NODE_SLICE) {
		part[0] = jinja_eval(s, f, n->b);
		return part[0] ? jinja_item(s, v, part[0]) : NULL;
	}
	from[0] = n->b->a;
	from[1] = n->b->b;
	from[2] = n->b->c;
	for (int i = 0; i < 3; i++) {
		if (!from[i])
			continue;
		part[i] = jinja_eval(s, f, from[i]);
		if (!part[i])
			return NULL;
	}
	return jinja_slice(s, v, part[0], part[1], part[2]);
}

static struct jinja_value *sign(struct jinja_scratch *s, struct jinja_value *v, bool negative)
{
	struct jinja_value zero = { .kind = JINJA_INT };

	if (!v)
		return NULL;
	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	if (!jinja_is_number(v))
		return jinja_fail(s, "bad operand type for unary %c: '%s'", negative ? '-' : '+', jinja_type(v));
	if (v->kind == JINJA_FLOAT)
		return negative ? jinja_float(s, -v->f) : v;
	return jinja_operate(s, negative ? OP_SUB : OP_ADD, &zero, v);
}

static struct jinja_value *any(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *v;

	switch (n->type) {
	case NODE_CONST:
		return n->value;
	case NODE_NAME:
		return name(s, f, n);
	case NODE_ATTR:
		v = jinja_eval(s, f, n->a);
		return v ? jinja_attribute(s, v, n->value, n->row) : NULL;
	case NODE_ITEM:
		return item(s, f, n);
	case NODE_CALL:
		return call(s, f, n);
	case NODE_FILTER:
		return jinja_eval_filter(s, f, n, NULL);
	case NODE_TEST:
		return test(s, f, n);
	case NODE_NOT:
		v = jinja_eval(s, f, n->a);
		return v ? jinja_bool(s, !jinja_truth(v)) : NULL;
	case NODE_NEGATIVE:
	case NODE_POSITIVE:
		return sign(s, jinja_eval(s, f, n->a), n->type == NODE_NEGATIVE);
	case NODE_CHAIN:
		return chain(s, f, n);
	case NODE_COMPARE:
		return compare(s, f, n);
	case NODE_CONCAT:
		return concat(s, f, n);
	case NODE_AND:
	case NODE_OR:
		return decide(s, f, n, n->type == NODE_OR);
	case NODE_IF_ELSE:
		return if_else(s, f, n);
	case NODE_DICT:
		return dict(s, f, n);
	default:
		return sequence(s, f, n);
	}
}

struct jinja_value *jinja_eval(struct jinja_scratch *s, struct jinja_frame *f, const struct jinja_node *n)
{
	struct jinja_value *v = NULL;

	if (jinja_step(s, 1) && jinja_enter(s)) {
		v = any(s, f, n);
		jinja_leave(s);
	}
	if (!v && !s->line)
		s->line = n->line;
	return v;
}
