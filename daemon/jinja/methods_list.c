/*
 * Methods of lists, tuples, dicts, and cyclers. A method that would change a list or a dict has no function: the sandbox refuses it.
 */
#include "daemon/jinja/eval.h"
#include "daemon/jinja/pick.h"

static struct jinja_value *list_index(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	int64_t from = jinja_arg_int(s, a->bound[1], 0), to = jinja_arg_int(s, a->bound[2], v->n);

	v = jinja_list_of(s, v);
	if (!v)
		return NULL;
	from = from < 0 ? (from + v->n < 0 ? 0 : from + v->n) : from;
	to = to < 0 ? to + v->n : to > v->n ? v->n : to;
	for (int64_t i = from; i < to && jinja_step(s, 1); i++)
		if (jinja_equal(s, v->l.at[i], a->bound[0]))
			return jinja_int(s, i);
	return jinja_fail(s, "value is not in list");
}

static struct jinja_value *list_count(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	int64_t n = 0;

	v = jinja_list_of(s, v);
	for (uint32_t i = 0; v && i < v->n && jinja_step(s, 1); i++)
		n += jinja_equal(s, v->l.at[i], a->bound[0]);
	return jinja_int(s, n);
}

static struct jinja_value *list_copy(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	return jinja_slice(s, v, NULL, NULL, NULL);
}

static struct jinja_value *dict_items(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *list = jinja_dict_items(s, v);

	(void)a;
	if (list)
		list->kind = JINJA_ITEMS;
	return list;
}

static struct jinja_value *dict_keys(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *list = jinja_list_of(s, v);

	(void)a;
	if (list)
		list->kind = JINJA_KEYS;
	return list;
}

static struct jinja_value *dict_values(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *list = jinja_sequence(s, JINJA_VALUES, v->n);

	(void)a;
	for (uint32_t i = 0; list && i < v->n && jinja_step(s, 1); i++)
		list = jinja_list_append(s, list, v->d.at[i].value);
	return list;
}

static struct jinja_value *dict_get(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *found = jinja_dict_find(s, v, a->bound[0]);

	if (found || jinja_failed(s))
		return found;
	return a->bound[1] ? a->bound[1] : jinja_none(s);
}

static struct jinja_value *dict_copy(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	return jinja_dict_update(s, jinja_dict(s), v);
}

static struct jinja_value *dict_fromkeys(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *keys = jinja_list_of(s, a->bound[0]), *dict = jinja_dict(s),
			   *value = a->bound[1] ? a->bound[1] : jinja_none(s);

	(void)v;
	for (uint32_t i = 0; keys && dict && i < keys->n && jinja_step(s, 1); i++)
		dict = jinja_dict_put(s, dict, keys->l.at[i], value);
	return keys ? dict : NULL;
}

static struct jinja_value *cycler_next(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_cycle *c = v->o.where;
	struct jinja_value *item = c->list->l.at[c->pos];

	(void)s;
	(void)a;
	c->pos = (c->pos + 1) % c->list->n;
	return item;
}

static struct jinja_value *cycler_reset(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_cycle *c = v->o.where;

	(void)a;
	c->pos = 0;
	return jinja_none(s);
}

static const struct jinja_row list_row[] = {
	{ "index", list_index, "value start stop", 1, 0 },
	{ "count", list_count, "value", 1, 0 },
	{ "copy", list_copy, "", 0, 0 },
	{ "append", NULL, "", 0, 0 },
	{ "clear", NULL, "", 0, 0 },
	{ "pop", NULL, "", 0, 0 },
	{ "reverse", NULL, "", 0, 0 },
	{ "insert", NULL, "", 0, 0 },
	{ "sort", NULL, "", 0, 0 },
	{ "extend", NULL, "", 0, 0 },
	{ "remove", NULL, "", 0, 0 },
};

static const struct jinja_row dict_row[] = {
	{ "get", dict_get, "key default", 1, 0 },
	{ "items", dict_items, "", 0, 0 },
	{ "keys", dict_keys, "", 0, 0 },
	{ "values", dict_values, "", 0, 0 },
	{ "copy", dict_copy, "", 0, 0 },
	{ "fromkeys", dict_fromkeys, "iterable value", 1, 0 },
	{ "clear", NULL, "", 0, 0 },
	{ "pop", NULL, "", 0, 0 },
	{ "popitem", NULL, "", 0, 0 },
	{ "setdefault", NULL, "", 0, 0 },
	{ "update", NULL, "", 0, 0 },
};

static const struct jinja_row cycler_row[] = {
	{ "next", cycler_next, "", 0, 0 },
	{ "reset", cycler_reset, "", 0, 0 },
};

const struct jinja_table jinja_methods_list = { list_row, sizeof(list_row) / sizeof(list_row[0]) };
const struct jinja_table jinja_methods_tuple = { list_row, 2 };
const struct jinja_table jinja_methods_dict = { dict_row, sizeof(dict_row) / sizeof(dict_row[0]) };
const struct jinja_table jinja_methods_cycler = { cycler_row, sizeof(cycler_row) / sizeof(cycler_row[0]) };
