/*
 * The for statement and `loop`. Where `loop` is used the items that fail the test are sorted out beforehand, as the body's
 * variables would else be overwritten by a look ahead; otherwise each item is tested when its turn comes, as Jinja2 does.
 */
#include "daemon/jinja/eval.h"

static bool passes(struct jinja_scratch *s, struct jinja_loop *l, struct jinja_value *item)
{
	struct jinja_value *v;

	if (!l->node->c)
		return true;
	if (!jinja_assign(s, l->frame, l->node->a, item) || !jinja_scope_enter(s, l->frame, l->node->test_scope))
		return false;
	v = jinja_eval(s, l->frame, l->node->c);
	return v && jinja_truth(v);
}

struct jinja_value *jinja_loop_take(struct jinja_loop *l)
{
	struct jinja_value *v = NULL;

	while (!v && l->pos < l->list->n && jinja_step(l->s, 1)) {
		v = l->list->l.at[l->pos++];
		if (!l->node->is_loop_used && !passes(l->s, l, v))
			v = NULL;
	}
	return jinja_failed(l->s) ? NULL : v;
}

int64_t jinja_loop_length(const struct jinja_value *v)
{
	const struct jinja_loop *l = v->o.where;

	return l->list->n;
}

static struct jinja_value *sorted_out(struct jinja_scratch *s, struct jinja_loop *l)
{
	struct jinja_value *list = jinja_list(s);

	for (uint32_t i = 0; list && i < l->list->n && jinja_step(s, 1); i++)
		if (passes(s, l, l->list->l.at[i]))
			list = jinja_list_append(s, list, l->list->l.at[i]);
	return jinja_failed(s) ? NULL : list;
}

static bool loop_init(struct jinja_scratch *s, struct jinja_loop *l, struct jinja_value *iter)
{
	l->s = s;
	l->index0 = -1;
	l->list = jinja_list_of(s, iter);
	if (l->list && l->node->c && l->node->is_loop_used)
		l->list = sorted_out(s, l);
	return l->list;
}

static enum jinja_flow turns(struct jinja_scratch *s, struct jinja_loop *l)
{
	const struct jinja_node *n = l->node;
	struct jinja_value *item;
	enum jinja_flow flow = FLOW_ON;

	while (flow != FLOW_BREAK && flow != FLOW_FAIL && (item = jinja_loop_take(l))) {
		l->index0++;
		l->before = l->current;
		l->current = item;
		if (!jinja_assign(s, l->frame, n->a, item) || !jinja_scope_enter(s, l->frame, n->scope))
			return FLOW_FAIL;
		flow = jinja_run(s, l->frame, n->list, n->n_list);
		l->has_finished |= flow == FLOW_ON;
	}
	return jinja_failed(s) ? FLOW_FAIL : FLOW_ON;
}

enum jinja_flow jinja_loop_run(struct jinja_scratch *s, struct jinja_frame *around, struct jinja_frame *f,
			       const struct jinja_node *n, struct jinja_value *iter, uint32_t depth0)
{
	struct jinja_loop *l = iter ? jinja_alloc(s, sizeof(*l)) : NULL;
	struct jinja_value *loop;

	if (!l)
		return FLOW_FAIL;
	if (n->is_recursive)
		f = jinja_frame_new(s, n->function, around);
	if (!f)
		return FLOW_FAIL;
	*l = (struct jinja_loop){ .node = n, .frame = f, .around = around, .depth0 = depth0 };
	if (!loop_init(s, l, iter))
		return FLOW_FAIL;
	if (n->is_loop_used) {
		loop = jinja_new_value(s, JINJA_LOOP);
		if (!loop)
			return FLOW_FAIL;
		loop->o.where = l;
		f->slot[n->slot] = loop;
	}
	if (turns(s, l) == FLOW_FAIL)
		return FLOW_FAIL;
	if (l->has_finished || !n->n_other)
		return FLOW_ON;
	return jinja_scope_enter(s, f, n->else_scope) ? jinja_run(s, f, n->other, n->n_other) : FLOW_FAIL;
}

static struct jinja_value *cycle(struct jinja_scratch *s, struct jinja_value *self, struct jinja_args *a)
{
	const struct jinja_loop *l = self->o.where;

	return a->n ? a->at[l->index0 % a->n] : jinja_fail(s, "no items for cycling given");
}

static struct jinja_value *changed(struct jinja_scratch *s, struct jinja_value *self, struct jinja_args *a)
{
	struct jinja_loop *l = self->o.where;
	struct jinja_value *now = jinja_sequence(s, JINJA_TUPLE, a->n);

	for (uint32_t i = 0; i < a->n; i++)
		now = jinja_list_append(s, now, a->at[i]);
	if (!now)
		return NULL;
	if (l->changed && jinja_equal(s, l->changed, now))
		return jinja_bool(s, false);
	l->changed = now;
	return jinja_failed(s) ? NULL : jinja_bool(s, true);
}

static const struct jinja_row method[] = {
	{ "cycle", cycle, "", 0, ROW_REST },
	{ "changed", changed, "", 0, ROW_REST },
};

struct jinja_value *jinja_loop_attribute(struct jinja_scratch *s, struct jinja_value *v, const char *p, size_t n)
{
	struct jinja_loop *l = v->o.where;
	int64_t length = l->list->n;
	struct jinja_value *m;

#define IS(word) (n == sizeof(word) - 1 && !memcmp(p, word, n))
	if (IS("index"))
		return jinja_int(s, l->index0 + 1);
	if (IS("index0"))
		return jinja_int(s, l->index0);
	if (IS("first"))
		return jinja_bool(s, !l->index0);
	if (IS("last"))
		return jinja_bool(s, l->index0 + 1 == length);
	if (IS("length"))
		return jinja_int(s, length);
	if (IS("revindex"))
		return jinja_int(s, length - l->index0);
	if (IS("revindex0"))
		return jinja_int(s, length - l->index0 - 1);
	if (IS("depth"))
		return jinja_int(s, (int64_t)l->depth0 + 1);
	if (IS("depth0"))
		return jinja_int(s, l->depth0);
	if (IS("previtem"))
		return l->before ? l->before : jinja_hint(s, "there is no previous item");
	if (IS("nextitem"))
		return l->pos < l->list->n ? l->list->l.at[l->pos] : jinja_hint(s, "there is no next item");
#undef IS
	for (size_t i = 0; i < 2; i++)
		if (strlen(method[i].name) == n && !memcmp(method[i].name, p, n)) {
			m = jinja_new_value(s, JINJA_METHOD);
			if (!m)
				return NULL;
			m->m.row = &method[i];
			m->m.self = v;
			return m;
		}
	return NULL;
}
