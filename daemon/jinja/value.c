/*
 * Making values, for callers (jinja.h) and for the interpreter itself.
 */
#include "daemon/jinja/value.h"

struct jinja_value *jinja_new_value(struct jinja_scratch *s, enum jinja_kind kind)
{
	struct jinja_value *v = jinja_alloc(s, sizeof(*v));

	if (v)
		*v = (struct jinja_value){ .kind = (uint8_t)kind };
	return v;
}

struct jinja_value *jinja_none(struct jinja_scratch *s)
{
	return jinja_new_value(s, JINJA_NONE);
}

struct jinja_value *jinja_bool(struct jinja_scratch *s, bool b)
{
	struct jinja_value *v = jinja_new_value(s, JINJA_BOOL);

	if (v)
		v->i = b;
	return v;
}

struct jinja_value *jinja_int(struct jinja_scratch *s, int64_t i)
{
	struct jinja_value *v = jinja_new_value(s, JINJA_INT);

	if (v)
		v->i = i;
	return v;
}

struct jinja_value *jinja_float(struct jinja_scratch *s, double f)
{
	struct jinja_value *v = jinja_new_value(s, JINJA_FLOAT);

	if (v)
		v->f = f;
	return v;
}

struct jinja_value *jinja_text(struct jinja_scratch *s, const char *p, size_t n, const uint8_t *mark)
{
	struct jinja_value *v = jinja_new_value(s, JINJA_STRING);

	if (!v)
		return NULL;
	v->n = (uint32_t)n;
	v->s.p = p;
	v->s.mark = mark;
	return v;
}

struct jinja_value *jinja_word(struct jinja_scratch *s, const char *word)
{
	return jinja_text(s, word, strlen(word), NULL);
}

struct jinja_value *jinja_string(struct jinja_scratch *s, const char *p, size_t n, bool is_template)
{
	char *copy = jinja_alloc(s, n);

	if (!copy)
		return NULL;
	if (n)
		memcpy(copy, p, n);
	return jinja_text(s, copy, n, is_template ? jinja_all : NULL);
}

struct jinja_value *jinja_undefined(struct jinja_scratch *s, struct jinja_value *object, struct jinja_value *name)
{
	struct jinja_value *v = jinja_new_value(s, JINJA_UNDEFINED);

	if (!v)
		return NULL;
	v->u.object = object;
	v->u.name = name;
	return v;
}

struct jinja_value *jinja_hint(struct jinja_scratch *s, const char *hint)
{
	struct jinja_value *v = jinja_undefined(s, NULL, jinja_word(s, hint));

	if (v)
		v->flags |= JINJA_HINT;
	return v;
}

struct jinja_value *jinja_sequence(struct jinja_scratch *s, enum jinja_kind kind, size_t n)
{
	struct jinja_value *v = jinja_new_value(s, kind);

	if (!v || !n)
		return v;
	if (n > UINT32_MAX / sizeof(v))
		return jinja_over(s, "memory for values");
	v->l.at = jinja_alloc(s, n * sizeof(v));
	v->l.cap = (uint32_t)n;
	return v->l.at ? v : NULL;
}

struct jinja_value *jinja_list(struct jinja_scratch *s)
{
	return jinja_sequence(s, JINJA_LIST, 0);
}

struct jinja_value *jinja_list_append(struct jinja_scratch *s, struct jinja_value *list, struct jinja_value *v)
{
	if (!list || !v)
		return NULL;
	if (list->n == list->l.cap) {
		uint32_t cap = list->n ? 2 * list->n : 4;
		struct jinja_value **at;

		if (list->n > UINT32_MAX / 4)
			return jinja_over(s, "memory for values");
		at = jinja_grow(s, list->l.at, list->n * sizeof(v), cap * sizeof(v));
		if (!at)
			return NULL;
		list->l.at = at;
		list->l.cap = cap;
	}
	list->l.at[list->n++] = v;
	return list;
}

struct jinja_value *jinja_pair_of(struct jinja_scratch *s, struct jinja_value *a, struct jinja_value *b)
{
	struct jinja_value *t = jinja_sequence(s, JINJA_TUPLE, 2);

	return jinja_list_append(s, jinja_list_append(s, t, a), b);
}
