/*
 * Filters that ask each item something: map, select, sort, and their like.
 */
#include "daemon/jinja/eval.h"
#include "daemon/jinja/number.h"
#include "daemon/jinja/pick.h"
#include "daemon/jinja/text.h"

static struct jinja_value *generator(struct jinja_scratch *s, struct jinja_value *list)
{
	if (!list || jinja_failed(s))
		return NULL;
	list->kind = JINJA_GENERATOR;
	return list;
}

/* One name of a dotted path; digits are a number. */
static struct jinja_value *path_part(struct jinja_scratch *s, const struct jinja_value *path, size_t from, size_t to)
{
	int64_t i;
	bool digits = to > from;

	for (size_t k = from; k < to; k++)
		digits &= path->s.p[k] >= '0' && path->s.p[k] <= '9';
	if (digits && jinja_parse_int(path->s.p + from, to - from, 10, &i))
		return jinja_int(s, i);
	return jinja_text_part(s, path, from, to);
}

static struct jinja_value *by_path(struct jinja_scratch *s, const struct jinja_pick *pick,
				   const struct jinja_value *path, struct jinja_value *item)
{
	size_t from = 0;

	if (path->kind != JINJA_STRING)
		return jinja_item(s, item, (struct jinja_value *)path);
	while (item && from <= path->n && jinja_step(s, 1)) {
		const char *dot = memchr(path->s.p + from, '.', path->n - from);
		size_t to = dot ? (size_t)(dot - path->s.p) : path->n;
		struct jinja_value *part = path_part(s, path, from, to);

		item = part ? jinja_item(s, item, part) : NULL;
		if (item && item->kind == JINJA_UNDEFINED && pick->otherwise)
			item = pick->otherwise;
		from = to + 1;
	}
	return jinja_failed(s) ? NULL : item;
}

struct jinja_value *jinja_picked(struct jinja_scratch *s, const struct jinja_pick *pick, struct jinja_value *item)
{
	if (pick->attribute && pick->attribute->kind != JINJA_NONE)
		item = by_path(s, pick, pick->attribute, item);
	if (item && pick->fold && item->kind == JINJA_STRING)
		item = jinja_text_case(s, item, CASE_LOWER);
	return item;
}

struct jinja_value *jinja_dict_items(struct jinja_scratch *s, const struct jinja_value *dict)
{
	struct jinja_value *list = jinja_sequence(s, JINJA_LIST, dict->n);

	for (uint32_t i = 0; list && i < dict->n && jinja_step(s, 1); i++)
		list = jinja_list_append(s, list, jinja_pair_of(s, dict->d.at[i].key, dict->d.at[i].value));
	return jinja_failed(s) ? NULL : list;
}

static struct jinja_value *named(const struct jinja_args *a, const char *name)
{
	for (uint32_t i = 0; i < a->n_kw; i++)
		if (jinja_is_text(a->key[i], name))
			return a->value[i];
	return NULL;
}

static struct jinja_value *filter_map(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_pick pick = { .attribute = a->n ? NULL : named(a, "attribute"),
				   .otherwise = a->n ? NULL : named(a, "default") };
	struct jinja_value *list, *to = jinja_list(s);

	if (!a->n && !pick.attribute)
		return jinja_fail(s, "map requires a filter argument");
	if (!a->n && a->n_kw > 1u + (pick.otherwise != NULL))
		return jinja_fail(s, "Unexpected keyword argument");
	if (!jinja_truth(v))
		return generator(s, to);
	list = jinja_list_of(s, v);
	for (uint32_t i = 0; list && to && i < list->n && jinja_step(s, 1); i++) {
		struct jinja_value *item = list->l.at[i];

		to = jinja_list_append(
			s, to, a->n ? jinja_filter_by_name(s, a->at[0], item, a, 1) : jinja_picked(s, &pick, item));
	}
	return list ? generator(s, to) : NULL;
}

/* Items for which the test says `wanted`; skip: arguments before the test's name (the attribute). */
static struct jinja_value *chosen(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a, uint32_t skip,
				  bool wanted)
{
	struct jinja_pick pick = { .attribute = skip && a->n ? a->at[0] : NULL };
	struct jinja_value *list, *to = jinja_list(s);

	if (skip && !a->n)
		return jinja_fail(s, "Missing parameter for attribute name");
	if (!jinja_truth(v))
		return generator(s, to);
	list = jinja_list_of(s, v);
	for (uint32_t i = 0; list && to && i < list->n && jinja_step(s, 1); i++) {
		struct jinja_value *item = jinja_picked(s, &pick, list->l.at[i]);
		int yes;

		if (!item)
			return NULL;
		yes = a->n > skip ? jinja_test_by_name(s, a->at[skip], item, a, skip + 1) : jinja_truth(item);
		if (yes < 0)
			return NULL;
		if (yes == wanted)
			to = jinja_list_append(s, to, list->l.at[i]);
	}
	return list ? generator(s, to) : NULL;
}

static struct jinja_value *filter_select(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return chosen(s, v, a, 0, true);
}

static struct jinja_value *filter_reject(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return chosen(s, v, a, 0, false);
}

static struct jinja_value *filter_selectattr(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return chosen(s, v, a, 1, true);
}

static struct jinja_value *filter_rejectattr(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return chosen(s, v, a, 1, false);
}

static int forward(const void *a, const void *b, void *s)
{
	const struct jinja_pair *x = a, *y = b;

	return jinja_failed(s) ? 0 : jinja_compare(s, x->key, y->key, "<");
}

static int backward(const void *a, const void *b, void *s)
{
	return forward(b, a, s);
}

/* A list of the attributes that "a,b" names, of one item if it is no such text: equal ones are not compared further, be they undefined. */
static struct jinja_value *sort_key(struct jinja_scratch *s, const struct jinja_pick *pick, struct jinja_value *item)
{
	const struct jinja_value *path = pick->attribute;
	struct jinja_value *key;
	struct jinja_pick one = *pick;
	size_t from = 0;

	key = jinja_list(s);
	if (!path || path->kind != JINJA_STRING)
		return jinja_list_append(s, key, jinja_picked(s, pick, item));
	while (key && from <= path->n && jinja_step(s, 1)) {
		const char *comma = memchr(path->s.p + from, ',', path->n - from);
		size_t to = comma ? (size_t)(comma - path->s.p) : path->n;

		one.attribute = jinja_text_part(s, path, from, to);
		key = jinja_list_append(s, key, one.attribute ? jinja_picked(s, &one, item) : NULL);
		from = to + 1;
	}
	return key;
}

typedef struct jinja_value *key_fn(struct jinja_scratch *s, const struct jinja_pick *pick, struct jinja_value *item);

/* Items with their keys, in order. */
static struct jinja_pair *ordered(struct jinja_scratch *s, const struct jinja_value *list,
				  const struct jinja_pick *pick, key_fn *key, bool reverse)
{
	struct jinja_pair *p = jinja_alloc(s, list->n * sizeof(*p));

	for (uint32_t i = 0; p && i < list->n; i++) {
		p[i].key = key(s, pick, list->l.at[i]);
		p[i].value = list->l.at[i];
		if (!p[i].key || !jinja_step(s, 1))
			return NULL;
	}
	return p && jinja_sort(s, p, list->n, sizeof(*p), reverse ? backward : forward) ? p : NULL;
}

static struct jinja_value *values(struct jinja_scratch *s, const struct jinja_pair *p, uint32_t n)
{
	struct jinja_value *list = jinja_sequence(s, JINJA_LIST, n);

	for (uint32_t i = 0; i < n; i++)
		list = jinja_list_append(s, list, p[i].value);
	return list;
}

static struct jinja_value *filter_sort(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_pick pick = { .attribute = a->bound[2], .fold = !jinja_arg_true(a->bound[1], false) };
	struct jinja_value *list = jinja_list_of(s, v);
	struct jinja_pair *p = list ? ordered(s, list, &pick, sort_key, jinja_arg_true(a->bound[0], false)) : NULL;

	return p ? values(s, p, list->n) : NULL;
}

static struct jinja_value *filter_dictsort(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	bool by_value = a->bound[1] && jinja_is_text(a->bound[1], "value");
	struct jinja_pick pick = { .attribute = jinja_int(s, by_value), .fold = !jinja_arg_true(a->bound[0], false) };
	struct jinja_value *list;
	struct jinja_pair *p;

	if (a->bound[1] && !by_value && !jinja_is_text(a->bound[1], "key"))
		return jinja_fail(s, "You can only sort by either \"key\" or \"value\"");
	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	if (v->kind != JINJA_DICT)
		return jinja_fail(s, "'%s' object has no attribute 'items'", jinja_type(v));
	list = jinja_dict_items(s, v);
	p = list && pick.attribute ? ordered(s, list, &pick, jinja_picked, jinja_arg_true(a->bound[2], false)) : NULL;
	return p ? values(s, p, list->n) : NULL;
}

static struct jinja_value *filter_unique(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_pick pick = { .attribute = a->bound[1], .fold = !jinja_arg_true(a->bound[0], false) };
	struct jinja_value *list = jinja_list_of(s, v), *to = jinja_list(s), *seen = jinja_dict(s);

	for (uint32_t i = 0; list && seen && i < list->n && jinja_step(s, 1); i++) {
		struct jinja_value *key = jinja_picked(s, &pick, list->l.at[i]);

		if (!key)
			return NULL;
		if (jinja_dict_find(s, seen, key))
			continue;
		seen = jinja_dict_put(s, seen, key, key);
		to = jinja_list_append(s, to, list->l.at[i]);
	}
	return list ? generator(s, to) : NULL;
}

static struct jinja_value *extreme(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a, bool least)
{
	struct jinja_pick pick = { .attribute = a->bound[1], .fold = !jinja_arg_true(a->bound[0], false) };
	struct jinja_value *list = jinja_list_of(s, v), *best = NULL, *best_key = NULL;

	for (uint32_t i = 0; list && i < list->n && jinja_step(s, 1); i++) {
		struct jinja_value *key = jinja_picked(s, &pick, list->l.at[i]);

		if (!key)
			return NULL;
		if (best &&
		    (least ? jinja_compare(s, key, best_key, "<") >= 0 : jinja_compare(s, key, best_key, ">") <= 0))
			continue;
		best = list->l.at[i];
		best_key = key;
	}
	if (list && !best)
		return jinja_hint(s, "No aggregated item, sequence was empty.");
	return list ? best : NULL;
}

static struct jinja_value *filter_min(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return extreme(s, v, a, true);
}

static struct jinja_value *filter_max(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return extreme(s, v, a, false);
}

static struct jinja_value *group(struct jinja_scratch *s, const struct jinja_pair *p, uint32_t n,
				 const struct jinja_pick *pick)
{
	struct jinja_pick exact = { pick->attribute, pick->otherwise, false };
	struct jinja_value *g = jinja_pair_of(s, jinja_picked(s, &exact, p->value), values(s, p, n));

	if (g)
		g->flags |= JINJA_GROUP;
	return g;
}

static struct jinja_value *filter_groupby(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_pick pick = { .attribute = a->bound[0],
				   .otherwise = a->bound[1],
				   .fold = !jinja_arg_true(a->bound[2], false) };
	struct jinja_value *list = jinja_list_of(s, v), *to = jinja_list(s);
	struct jinja_pair *p = list ? ordered(s, list, &pick, jinja_picked, false) : NULL;

	for (uint32_t i = 0, n; p && to && i < list->n; i += n) {
		for (n = 1; i + n < list->n && jinja_step(s, 1) && jinja_equal(s, p[i].key, p[i + n].key); n++)
			;
		to = jinja_list_append(s, to, group(s, p + i, n, &pick));
	}
	return p ? to : NULL;
}

static const struct jinja_row row[] = {
	{ "map", filter_map, "", 0, ROW_REST | ROW_NAMED },
	{ "select", filter_select, "", 0, ROW_REST | ROW_NAMED },
	{ "reject", filter_reject, "", 0, ROW_REST | ROW_NAMED },
	{ "selectattr", filter_selectattr, "", 0, ROW_REST | ROW_NAMED },
	{ "rejectattr", filter_rejectattr, "", 0, ROW_REST | ROW_NAMED },
	{ "sort", filter_sort, "reverse case_sensitive attribute", 0, 0 },
	{ "dictsort", filter_dictsort, "case_sensitive by reverse", 0, 0 },
	{ "unique", filter_unique, "case_sensitive attribute", 0, 0 },
	{ "min", filter_min, "case_sensitive attribute", 0, 0 },
	{ "max", filter_max, "case_sensitive attribute", 0, 0 },
	{ "groupby", filter_groupby, "attribute default case_sensitive", 1, 0 },
};

const struct jinja_table jinja_filters_pick = { row, sizeof(row) / sizeof(row[0]) };
