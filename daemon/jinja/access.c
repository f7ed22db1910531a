/*
 * Attributes, items, and slices. Where Python's object has an attribute of that name it goes before an item, and where neither
 * is there the result is undefined. An attribute that the immutable sandbox refuses is undefined, too, and says so when it is called.
 */
#include "daemon/jinja/eval.h"
#include "daemon/jinja/utf8.h"

static struct jinja_value *refused(struct jinja_scratch *s, struct jinja_value *v, const struct jinja_value *name)
{
	struct jinja_value *u = jinja_undefined(s, v, (struct jinja_value *)name);

	if (u)
		u->flags |= JINJA_UNSAFE;
	return u;
}

/* The attributes of every object of Python that the sandbox keeps from templates. */
static bool is_internal(const struct jinja_value *name)
{
	static const char *const word[] = { "class",   "len", "init", "dict", "doc",  "iter",
					    "getitem", "str", "repr", "eq",   "hash", "module" };

	if (name->n < 6 || memcmp(name->s.p, "__", 2))
		return false;
	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		if (name->n == strlen(word[i]) + 4 && !memcmp(name->s.p + 2, word[i], name->n - 4) &&
		    !memcmp(name->s.p + name->n - 2, "__", 2))
			return true;
	return false;
}

struct jinja_value *jinja_own_attribute(struct jinja_scratch *s, struct jinja_value *v, const struct jinja_value *name)
{
	const char *p = name->s.p;
	const struct jinja_row *row;
	struct jinja_value *m;

	if (is_internal(name))
		return refused(s, v, name);
	if (v->kind == JINJA_LOOP)
		return jinja_loop_attribute(s, v, p, name->n);
	if (v->kind == JINJA_NAMESPACE)
		return jinja_dict_find_text(v, p, name->n);
	if (v->kind == JINJA_TUPLE && (v->flags & JINJA_GROUP) &&
	    (jinja_is_text(name, "grouper") || jinja_is_text(name, "list")))
		return v->l.at[*p == 'l'];
	if (v->kind == JINJA_MACRO && jinja_is_text(name, "name"))
		return ((const struct jinja_node *)v->o.what)->value;
	row = jinja_method_of(v, p, name->n);
	if (!row)
		return NULL;
	if (!row->fn)
		return refused(s, v, name);
	m = jinja_new_value(s, JINJA_METHOD);
	if (!m)
		return NULL;
	m->m.row = row;
	m->m.self = v;
	return m;
}

struct jinja_value *jinja_attribute(struct jinja_scratch *s, struct jinja_value *v, const struct jinja_value *name,
				    bool may_be_method)
{
	struct jinja_value *found = NULL;

	if (is_internal(name))
		return refused(s, v, name);
	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	if (may_be_method || v->kind != JINJA_DICT)
		found = jinja_own_attribute(s, v, name);
	if (!found && v->kind == JINJA_DICT && jinja_step(s, name->n / 64))
		found = jinja_dict_find_text(v, name->s.p, name->n);
	if (found || jinja_failed(s))
		return found;
	return jinja_undefined(s, v, (struct jinja_value *)name);
}

/* Bytes of each character are one: nothing past ASCII. Found out once for each string. */
static bool is_ascii(struct jinja_scratch *s, struct jinja_value *v)
{
	if (!(v->flags & (JINJA_ASCII | JINJA_NOT_ASCII))) {
		size_t i = 0;

		if (v->s.mark == jinja_all || !jinja_step(s, v->n / 64)) /* a constant is shared and stays as it is */
			return false;
		while (i < v->n && (unsigned char)v->s.p[i] < 0x80)
			i++;
		v->flags |= i == v->n ? JINJA_ASCII : JINJA_NOT_ASCII;
	}
	return v->flags & JINJA_ASCII;
}

/* Where the k-th character begins. */
static size_t place(const struct jinja_value *v, int64_t k)
{
	size_t at = 0, len;

	for (; k > 0 && at < v->n; k--, at += len)
		jinja_utf8_get(v->s.p + at, v->n - at, &len);
	return at;
}

static struct jinja_value *part(struct jinja_scratch *s, const struct jinja_value *v, size_t from, size_t to)
{
	return jinja_text(s, v->s.p + from, to - from, jinja_mark_at(v->s.mark, from));
}

static struct jinja_value *character(struct jinja_scratch *s, struct jinja_value *v, int64_t i)
{
	size_t at, len;

	if (is_ascii(s, v))
		return part(s, v, (size_t)i, (size_t)i + 1);
	if (!jinja_step(s, v->n / 64))
		return NULL;
	at = place(v, i);
	jinja_utf8_get(v->s.p + at, v->n - at, &len);
	return part(s, v, at, at + len);
}

static int64_t length(struct jinja_scratch *s, struct jinja_value *v)
{
	return v->kind == JINJA_STRING && is_ascii(s, v) ? v->n : jinja_length(s, v);
}

static bool has_places(const struct jinja_value *v)
{
	return v->kind == JINJA_STRING || v->kind == JINJA_LIST || v->kind == JINJA_TUPLE || v->kind == JINJA_RANGE;
}

static bool is_hashable(const struct jinja_value *v)
{
	if (v->kind == JINJA_TUPLE)
		for (uint32_t i = 0; i < v->n; i++)
			if (!is_hashable(v->l.at[i]))
				return false;
	return v->kind != JINJA_LIST && v->kind != JINJA_DICT && v->kind != JINJA_KEYS && v->kind != JINJA_ITEMS;
}

struct jinja_value *jinja_item(struct jinja_scratch *s, struct jinja_value *v, struct jinja_value *key)
{
	struct jinja_value *found = NULL;
	int64_t i, n;

	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	if (v->kind == JINJA_DICT && key->kind == JINJA_STRING)
		found = jinja_dict_find(s, v, key);
	else if (v->kind == JINJA_DICT && is_hashable(key))
		found = jinja_dict_find(s, v, key);
	if (!found && jinja_is_int(key) && has_places(v)) {
		n = length(s, v);
		i = key->i < 0 ? key->i + n : key->i;
		if (i < 0 || i >= n || jinja_failed(s))
			return jinja_undefined(s, v, key);
		if (v->kind == JINJA_STRING)
			return character(s, v, i);
		return v->kind == JINJA_RANGE ? jinja_int(s, jinja_range_item(v, i)) : v->l.at[i];
	}
	if (!found && !jinja_failed(s) && key->kind == JINJA_STRING)
		found = jinja_own_attribute(s, v, key);
	if (found || jinja_failed(s))
		return found;
	return jinja_undefined(s, v, key);
}

/* One bound as Python clips it to 0..n, or to -1..n-1 when going down. */
static bool bound(struct jinja_scratch *s, const struct jinja_value *v, int64_t n, bool down, int64_t otherwise,
		  int64_t *to)
{
	if (!v || v->kind == JINJA_NONE) {
		*to = otherwise;
		return true;
	}
	if (!jinja_is_int(v))
		return jinja_fail(s, "slice indices must be integers or None or have an __index__ method");
	*to = v->i < 0 ? v->i + n : v->i;
	if (*to < 0)
		*to = down ? -1 : 0;
	if (*to > n - down)
		*to = n - down;
	return true;
}

static struct jinja_value *slice_text(struct jinja_scratch *s, struct jinja_value *v, int64_t from, int64_t step,
				      int64_t count)
{
	struct jinja_value *chars;
	struct jinja_build b;

	if (is_ascii(s, v) && step == 1)
		return part(s, v, (size_t)from, (size_t)(from + count));
	if (!jinja_step(s, v->n / 64))
		return NULL;
	if (step == 1) {
		size_t at = place(v, from), len, end = at;

		for (; count; count--, end += len)
			jinja_utf8_get(v->s.p + end, v->n - end, &len);
		return part(s, v, at, end);
	}
	chars = jinja_list_of(s, v);
	jinja_build_init(&b, s, 0);
	for (int64_t k = 0; chars && k < count && jinja_step(s, 1); k++)
		jinja_add_string(&b, chars->l.at[from + k * step]);
	return chars ? jinja_built(&b) : NULL;
}

static struct jinja_value *slice_items(struct jinja_scratch *s, const struct jinja_value *v, int64_t from, int64_t step,
				       int64_t count)
{
	struct jinja_value *to;

	if (v->kind == JINJA_RANGE) {
		to = jinja_new_value(s, JINJA_RANGE);
		if (!to)
			return NULL;
		to->n = (uint32_t)count;
		to->r.start = jinja_range_item(v, from);
		to->r.step =
			(int64_t)((uint64_t)v->r.step * (uint64_t)step); /* past 64 bits only where no second item is */
		return to;
	}
	to = jinja_sequence(s, v->kind, (size_t)count);
	for (int64_t k = 0; to && k < count && jinja_step(s, 1); k++)
		to = jinja_list_append(s, to, v->l.at[from + k * step]);
	return jinja_failed(s) ? NULL : to;
}

struct jinja_value *jinja_slice(struct jinja_scratch *s, struct jinja_value *v, const struct jinja_value *from,
				const struct jinja_value *to, const struct jinja_value *step)
{
	int64_t n, a, z, by = 1, count;

	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	if (v->kind == JINJA_DICT)
		return jinja_fail(s, "unhashable type: 'slice'");
	if (!has_places(v))
		return jinja_fail(s, "'%s' object is not subscriptable", jinja_type(v));
	if (step && step->kind != JINJA_NONE) {
		if (!jinja_is_int(step))
			return jinja_fail(s, "slice indices must be integers or None or have an __index__ method");
		by = step->i < -INT32_MAX ? -INT32_MAX : step->i > INT32_MAX ? INT32_MAX : step->i;
	}
	if (!by)
		return jinja_fail(s, "slice step cannot be zero");
	n = length(s, v);
	if (jinja_failed(s) || !bound(s, from, n, by < 0, by < 0 ? n - 1 : 0, &a) ||
	    !bound(s, to, n, by < 0, by < 0 ? -1 : n, &z))
		return NULL;
	count = by > 0 ? (z - a + by - 1) / by : (a - z - by - 1) / -by;
	if (count < 0 || (by > 0 ? z <= a : z >= a))
		count = 0;
	return v->kind == JINJA_STRING ? slice_text(s, v, a, by, count) : slice_items(s, v, a, by, count);
}
