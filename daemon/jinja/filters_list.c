/*
 * Filters that take their value as a list, whole.
 */
#include "daemon/jinja/eval.h"
#include "daemon/jinja/pick.h"
#include "daemon/jinja/text.h"

static struct jinja_value *generator(struct jinja_value *list)
{
	if (list)
		list->kind = JINJA_GENERATOR;
	return list;
}

static struct jinja_value *filter_first(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *list = jinja_list_of(s, v);

	(void)a;
	if (!list)
		return NULL;
	return list->n ? list->l.at[0] : jinja_hint(s, "No first item, sequence was empty.");
}

static struct jinja_value *filter_last(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *list;

	(void)a;
	if (v->kind == JINJA_GENERATOR)
		return jinja_fail(s, "'generator' object is not reversible");
	list = jinja_list_of(s, v);
	if (!list)
		return NULL;
	return list->n ? list->l.at[list->n - 1] : jinja_hint(s, "No last item, sequence was empty.");
}

/* A list of its own, though a list is its own jinja_list_of. */
static struct jinja_value *copied(struct jinja_scratch *s, struct jinja_value *v)
{
	struct jinja_value *list = jinja_list_of(s, v), *copy;

	copy = list ? jinja_sequence(s, JINJA_LIST, list->n) : NULL;
	for (uint32_t i = 0; copy && i < list->n && jinja_step(s, 1); i++)
		copy = jinja_list_append(s, copy, list->l.at[i]);
	return jinja_failed(s) ? NULL : copy;
}

static struct jinja_value *filter_list(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	return copied(s, v);
}

static struct jinja_value *filter_items(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	if (v->kind == JINJA_UNDEFINED)
		return generator(jinja_list(s));
	if (v->kind != JINJA_DICT)
		return jinja_fail(s, "Can only get item pairs from a mapping.");
	return generator(jinja_dict_items(s, v));
}

static struct jinja_value *filter_reverse(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	static const struct jinja_value down = { .kind = JINJA_INT, .i = -1 };
	struct jinja_value *list;

	(void)a;
	if (v->kind == JINJA_STRING)
		return jinja_slice(s, v, NULL, NULL, &down);
	list = copied(s, v);
	for (uint32_t i = 0; list && i < list->n / 2; i++) {
		struct jinja_value *x = list->l.at[i];

		list->l.at[i] = list->l.at[list->n - 1 - i];
		list->l.at[list->n - 1 - i] = x;
	}
	return generator(list);
}

static struct jinja_value *filter_join(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *list = jinja_list_of(s, v), *between = a->bound[0] ? jinja_str(s, a->bound[0]) : NULL;
	struct jinja_pick pick = { .attribute = a->bound[1] };
	struct jinja_build b;

	jinja_build_init(&b, s, 0);
	for (uint32_t i = 0; list && i < list->n && jinja_step(s, 1); i++) {
		struct jinja_value *item = jinja_str(s, jinja_picked(s, &pick, list->l.at[i]));

		if (i && between)
			jinja_add_string(&b, between);
		if (!item || !jinja_add_string(&b, item))
			return NULL;
	}
	return list ? jinja_built(&b) : NULL;
}

static struct jinja_value *filter_sum(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *list = jinja_list_of(s, v), *total = a->bound[1] ? a->bound[1] : jinja_int(s, 0);
	struct jinja_pick pick = { .attribute = a->bound[0] };

	if (total && total->kind == JINJA_STRING)
		return jinja_fail(s, "sum() can't sum strings [use ''.join(seq) instead]");
	for (uint32_t i = 0; list && total && i < list->n && jinja_step(s, 1); i++) {
		struct jinja_value *item = jinja_picked(s, &pick, list->l.at[i]);

		total = item ? jinja_operate(s, OP_ADD, total, item) : NULL;
	}
	return list ? total : NULL;
}

static struct jinja_value *filter_batch(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *list = jinja_list_of(s, v), *all = jinja_list(s), *now = jinja_list(s);
	int64_t n = jinja_arg_int(s, a->bound[0], 1);

	for (uint32_t i = 0; list && all && now && i < list->n && jinja_step(s, 1); i++) {
		if (now->n == n) { /* of 0, too, before the first */
			all = jinja_list_append(s, all, now);
			now = jinja_list(s);
		}
		now = jinja_list_append(s, now, list->l.at[i]);
	}
	if (now && now->n && a->bound[1] && a->bound[1]->kind != JINJA_NONE)
		while (now && now->n < n && jinja_step(s, 1))
			now = jinja_list_append(s, now, a->bound[1]);
	if (now && now->n)
		all = jinja_list_append(s, all, now);
	return jinja_failed(s) ? NULL : generator(all);
}

static struct jinja_value *filter_slice(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *list = jinja_list_of(s, v), *all = jinja_list(s), *fill = a->bound[1];
	int64_t n = jinja_arg_int(s, a->bound[0], 1), at = 0;

	if (!list || !all || jinja_failed(s))
		return NULL;
	if (!n)
		return jinja_fail(s, "integer division or modulo by zero");
	for (int64_t k = 0; k < n && jinja_step(s, 1); k++) {
		int64_t size = list->n / n + (k < list->n % n);
		struct jinja_value *part = jinja_list(s);

		for (; part && size && jinja_step(s, 1); size--)
			part = jinja_list_append(s, part, list->l.at[at++]);
		if (part && fill && fill->kind != JINJA_NONE && k >= list->n % n)
			part = jinja_list_append(s, part, fill);
		all = jinja_list_append(s, all, part);
	}
	return jinja_failed(s) ? NULL : generator(all);
}

static struct jinja_value *filter_xmlattr(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	bool space = jinja_arg_true(a->bound[0], true);
	struct jinja_build b;
	struct jinja_value *text;

	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	if (v->kind != JINJA_DICT)
		return jinja_fail(s, "'%s' object has no attribute 'items'", jinja_type(v));
	jinja_build_init(&b, s, 0);
	for (uint32_t i = 0; i < v->n && jinja_step(s, 1); i++) {
		struct jinja_value *key = v->d.at[i].key, *value = v->d.at[i].value;

		if (value->kind == JINJA_NONE || value->kind == JINJA_UNDEFINED)
			continue;
		if (key->kind == JINJA_STRING)
			for (uint32_t k = 0; k < key->n; k++)
				if (strchr(" \t\n\f\r/>=", key->s.p[k]) && key->s.p[k])
					return jinja_fail(s, "Invalid character in attribute name: '%.*s'", (int)key->n,
							  key->s.p);
		if (b.n || space)
			jinja_add_word(&b, " ");
		key = jinja_escape(s, key);
		value = jinja_escape(s, value);
		if (!key || !value)
			return NULL;
		jinja_add_string(&b, key);
		jinja_add_word(&b, "=\"");
		jinja_add_string(&b, value);
		jinja_add_word(&b, "\"");
	}
	text = jinja_built(&b);
	return text;
}

static const struct jinja_row row[] = {
	{ "first", filter_first, "", 0, 0 },
	{ "last", filter_last, "", 0, 0 },
	{ "list", filter_list, "", 0, 0 },
	{ "items", filter_items, "", 0, 0 },
	{ "reverse", filter_reverse, "", 0, 0 },
	{ "join", filter_join, "d attribute", 0, 0 },
	{ "sum", filter_sum, "attribute start", 0, 0 },
	{ "batch", filter_batch, "linecount fill_with", 1, 0 },
	{ "slice", filter_slice, "slices fill_with", 1, 0 },
	{ "xmlattr", filter_xmlattr, "autospace", 0, 0 },
};

const struct jinja_table jinja_filters_list = { row, sizeof(row) / sizeof(row[0]) };
