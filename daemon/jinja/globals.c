/*
 * The names to which neither the template nor the caller gave a meaning.
 */
#include "daemon/jinja/eval.h"
#include "daemon/jinja/format.h"

#define RANGE_MAX 100000 /* as the sandbox has it */

static struct jinja_value *raise_exception(struct jinja_scratch *s, struct jinja_value *self, struct jinja_args *a)
{
	struct jinja_value *text = jinja_str(s, a->bound[0]);

	(void)self;
	return text ? jinja_fail(s, "%.*s", (int)text->n, text->s.p) : NULL;
}

static struct jinja_value *strftime_now(struct jinja_scratch *s, struct jinja_value *self, struct jinja_args *a)
{
	struct jinja_value *format = jinja_arg_text(s, a->bound[0]);

	(void)self;
	return format ? jinja_strftime(s, format, s->limit.now) : NULL;
}

static struct jinja_value *range(struct jinja_scratch *s, struct jinja_value *self, struct jinja_args *a)
{
	int64_t start = a->n > 1 ? jinja_arg_int(s, a->bound[0], 0) : 0, stop = jinja_arg_int(s, a->bound[a->n > 1], 0),
		step = jinja_arg_int(s, a->bound[2], 1);
	struct jinja_value *v = jinja_new_value(s, JINJA_RANGE);
	__int128 n;

	(void)self;
	if (!v || jinja_failed(s))
		return NULL;
	if (!step)
		return jinja_fail(s, "range() arg 3 must not be zero");
	n = step > 0 ? ((__int128)stop - start + step - 1) / step
		     : ((__int128)start - stop - step - 1) / -(__int128)step;
	if (n < 0 || (step > 0 ? start >= stop : start <= stop))
		n = 0;
	if (n > RANGE_MAX)
		return jinja_fail(s, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", RANGE_MAX);
	v->n = (uint32_t)n;
	v->r.start = start;
	v->r.step = step;
	return v;
}

/* Members of the first argument, a mapping or pairs, then the named ones. */
static struct jinja_value *members(struct jinja_scratch *s, struct jinja_args *a, enum jinja_kind kind)
{
	struct jinja_value *v = jinja_new_value(s, kind), *from = a->n ? a->at[0] : NULL, *list;

	if (from && v && (from->kind == JINJA_DICT || from->kind == JINJA_NAMESPACE)) {
		v = jinja_dict_update(s, v, from);
	} else if (from && v) {
		list = jinja_list_of(s, from);
		for (uint32_t i = 0; list && v && i < list->n && jinja_step(s, 1); i++) {
			struct jinja_value *pair = jinja_list_of(s, list->l.at[i]);

			if (pair && pair->n != 2)
				return jinja_fail(s,
						  "dictionary update sequence element #%u has length %u; 2 is required",
						  i, pair->n);
			v = pair ? jinja_dict_put(s, v, pair->l.at[0], pair->l.at[1]) : NULL;
		}
		if (!list)
			return NULL;
	}
	for (uint32_t i = 0; v && i < a->n_kw; i++)
		v = jinja_dict_put(s, v, a->key[i], a->value[i]);
	return v;
}

static struct jinja_value *dict(struct jinja_scratch *s, struct jinja_value *self, struct jinja_args *a)
{
	(void)self;
	if (a->n > 1)
		return jinja_fail(s, "dict expected at most 1 argument, got %u", a->n);
	return members(s, a, JINJA_DICT);
}

static struct jinja_value *namespace(struct jinja_scratch *s, struct jinja_value *self, struct jinja_args *a)
{
	struct jinja_value *v;

	(void)self;
	if (a->n > 1)
		return jinja_fail(s, "dict expected at most 1 argument, got %u", a->n);
	v = members(s, a, JINJA_NAMESPACE);
	for (uint32_t i = 0; v && i < v->n; i++) {
		const struct jinja_value *key = v->d.at[i].key;

		if (key->kind == JINJA_STRING && key->n && *key->s.p == '_')
			return jinja_fail(s,
					  "Chat templates cannot store underscore-prefixed attributes on a namespace, "
					  "but got '%.*s'. Please "
					  "rename the attribute.",
					  (int)key->n, key->s.p);
	}
	return v;
}

static struct jinja_value *cycle_of(struct jinja_scratch *s, enum jinja_kind kind, struct jinja_value *list)
{
	struct jinja_value *v = jinja_new_value(s, kind);
	struct jinja_cycle *c = jinja_alloc(s, sizeof(*c));

	if (!v || !c || !list)
		return NULL;
	c->list = list;
	c->pos = 0;
	v->o.where = c;
	return v;
}

static struct jinja_value *cycler(struct jinja_scratch *s, struct jinja_value *self, struct jinja_args *a)
{
	struct jinja_value *list = jinja_sequence(s, JINJA_LIST, a->n);

	(void)self;
	if (!a->n)
		return jinja_fail(s, "at least one item has to be provided");
	for (uint32_t i = 0; i < a->n; i++)
		list = jinja_list_append(s, list, a->at[i]);
	return cycle_of(s, JINJA_CYCLER, list);
}

static struct jinja_value *joiner(struct jinja_scratch *s, struct jinja_value *self, struct jinja_args *a)
{
	(void)self;
	return cycle_of(s, JINJA_JOINER, a->bound[0] ? a->bound[0] : jinja_word(s, ", "));
}

static struct jinja_value *lipsum(struct jinja_scratch *s, struct jinja_value *self, struct jinja_args *a)
{
	(void)self;
	(void)a;
	return jinja_fail(s, "lipsum() is refused: text by chance has no place in a prompt");
}

static const struct jinja_row row[] = {
	{ "raise_exception", raise_exception, "message", 1, 0 },
	{ "strftime_now", strftime_now, "format", 1, 0 },
	{ "range", range, "start stop step", 1, 0 },
	{ "namespace", namespace, "", 0, ROW_REST | ROW_NAMED },
	{ "dict", dict, "", 0, ROW_REST | ROW_NAMED },
	{ "cycler", cycler, "", 0, ROW_REST },
	{ "joiner", joiner, "sep", 0, 0 },
	{ "lipsum", lipsum, "", 0, ROW_REST | ROW_NAMED },
};

static struct jinja_value *function(struct jinja_scratch *s, const struct jinja_row *r)
{
	struct jinja_value *v = jinja_new_value(s, JINJA_FUNCTION);

	if (v)
		v->m.row = r;
	return v;
}

struct jinja_value *jinja_builtin(struct jinja_scratch *s, const char *p, size_t n)
{
	static const struct jinja_table table = { row, sizeof(row) / sizeof(row[0]) };
	const struct jinja_row *r = jinja_table_find(&table, p, n);

	if (n == 4 && !memcmp(p, "self", n))
		return jinja_new_value(s, JINJA_SELF);
	return r ? function(s, r) : NULL;
}
