/*
 * Dicts: members in the order of insertion, and past a few of them an index of their hashes. Looking along the index costs steps,
 * so that keys made to collide run out of them.
 */
#include "daemon/jinja/value.h"

#define SMALL 8 /* members that are searched one by one */

struct jinja_index {
	uint32_t mask;
	uint32_t slot[]; /* [mask + 1] number of the member, from 1; 0: free */
};

static uint64_t text_hash(const char *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * 0x100000001b3;
	return h ^ h >> 29;
}

bool jinja_hash(struct jinja_scratch *s, const struct jinja_value *v, uint64_t *h)
{
	switch (v->kind) {
	case JINJA_BIG:
		*h = 7; /* as a double past 64 bits, which may be equal to it */
		return true;
	case JINJA_STRING:
		*h = text_hash(v->s.p, v->n);
		return jinja_step(s, v->n / 64);
	case JINJA_BOOL:
	case JINJA_INT:
		*h = (uint64_t)v->i * 0x9e3779b97f4a7c15;
		return true;
	case JINJA_FLOAT:
		*h = v->f >= -9e18 && v->f <= 9e18 ? (uint64_t)(int64_t)v->f * 0x9e3779b97f4a7c15 : 7;
		return true;
	case JINJA_TUPLE:
		*h = 0x345678;
		if (!jinja_enter(s))
			return false;
		for (uint32_t i = 0; i < v->n && jinja_step(s, 1); i++) {
			uint64_t x = 0;

			if (!jinja_hash(s, v->l.at[i], &x))
				break;
			*h = (*h ^ x) * 0x100000001b3;
		}
		jinja_leave(s);
		return !jinja_failed(s);
	case JINJA_LIST:
	case JINJA_DICT:
	case JINJA_KEYS:
	case JINJA_ITEMS:
		jinja_fail(s, "unhashable type: '%s'", jinja_type(v));
		return false;
	default:
		*h = v->kind; /* few, and compared by identity */
		return true;
	}
}

struct jinja_value *jinja_dict(struct jinja_scratch *s)
{
	return jinja_new_value(s, JINJA_DICT);
}

static bool is_key(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b)
{
	if (a->kind == JINJA_STRING && b->kind == JINJA_STRING)
		return a->n == b->n && jinja_step(s, a->n / 64) && !memcmp(a->s.p, b->s.p, a->n);
	return jinja_equal(s, a, b);
}

/* The member's number, or n; its hash if the index needs one. */
static uint32_t find(struct jinja_scratch *s, const struct jinja_value *d, const struct jinja_value *key, uint64_t h)
{
	uint32_t i, k;

	if (!d->d.index) {
		for (i = 0; i < d->n; i++)
			if (is_key(s, d->d.at[i].key, key))
				return i;
		return d->n;
	}
	for (i = (uint32_t)h & d->d.index->mask; (k = d->d.index->slot[i]); i = (i + 1) & d->d.index->mask)
		if (is_key(s, d->d.at[k - 1].key, key))
			return k - 1;
		else if (!jinja_step(s, 1))
			break;
	return d->n;
}

static void index_add(struct jinja_scratch *s, struct jinja_index *x, uint64_t h, uint32_t number)
{
	uint32_t i = (uint32_t)h & x->mask;

	while (x->slot[i] && jinja_step(s, 1))
		i = (i + 1) & x->mask;
	if (!x->slot[i])
		x->slot[i] = number;
}

static bool reindex(struct jinja_scratch *s, struct jinja_value *d, uint32_t cap)
{
	struct jinja_index *x = jinja_alloc(s, sizeof(*x) + 2 * (size_t)cap * sizeof(x->slot[0]));

	if (!x)
		return false;
	x->mask = 2 * cap - 1;
	memset(x->slot, 0, 2 * (size_t)cap * sizeof(x->slot[0]));
	for (uint32_t i = 0; i < d->n; i++) {
		uint64_t h = 0;

		if (!jinja_hash(s, d->d.at[i].key, &h))
			return false;
		index_add(s, x, h, i + 1);
	}
	d->d.index = x;
	return !jinja_failed(s);
}

/* Room is for 8, 16, 32 ... members, whichever n calls for. */
static bool widen(struct jinja_scratch *s, struct jinja_value *d)
{
	uint32_t cap = d->n ? 2 * d->n : SMALL;

	if (d->n && (d->n < SMALL || (d->n & (d->n - 1))))
		return true;
	if (d->n > UINT32_MAX / 64) {
		jinja_over(s, "memory for values");
		return false;
	}
	d->d.at = jinja_grow(s, d->d.at, d->n * sizeof(*d->d.at), cap * sizeof(*d->d.at));
	return d->d.at && (cap <= SMALL || reindex(s, d, cap));
}

struct jinja_value *jinja_dict_put(struct jinja_scratch *s, struct jinja_value *d, struct jinja_value *key,
				   struct jinja_value *v)
{
	uint64_t h = 0;
	uint32_t i;

	if (!d || !key || !v || !jinja_hash(s, key, &h))
		return NULL;
	i = find(s, d, key, h);
	if (jinja_failed(s))
		return NULL;
	if (i == d->n) {
		if (!widen(s, d))
			return NULL;
		d->d.at[i].key = key;
		d->n++;
		if (d->d.index)
			index_add(s, d->d.index, h, d->n);
	}
	d->d.at[i].value = v;
	return jinja_failed(s) ? NULL : d;
}

struct jinja_value *jinja_dict_find(struct jinja_scratch *s, const struct jinja_value *d, const struct jinja_value *key)
{
	uint64_t h = 0;
	uint32_t i;

	if ((d->d.index || key->kind != JINJA_STRING) && !jinja_hash(s, key, &h))
		return NULL;
	i = find(s, d, key, h);
	return i < d->n ? d->d.at[i].value : NULL;
}

struct jinja_value *jinja_dict_find_text(const struct jinja_value *d, const char *p, size_t n)
{
	uint32_t i, k;

	for (i = 0; !d->d.index && i < d->n; i++)
		if (d->d.at[i].key->kind == JINJA_STRING && d->d.at[i].key->n == n &&
		    !memcmp(d->d.at[i].key->s.p, p, n))
			return d->d.at[i].value;
	if (!d->d.index)
		return NULL;
	for (i = (uint32_t)text_hash(p, n) & d->d.index->mask; (k = d->d.index->slot[i]);
	     i = (i + 1) & d->d.index->mask) {
		const struct jinja_pair *m = &d->d.at[k - 1];

		if (m->key->kind == JINJA_STRING && m->key->n == n && !memcmp(m->key->s.p, p, n))
			return m->value;
	}
	return NULL;
}

struct jinja_value *jinja_dict_set(struct jinja_scratch *s, struct jinja_value *dict, const char *key, size_t n_key,
				   struct jinja_value *v)
{
	return dict && v ? jinja_dict_put(s, dict, jinja_string(s, key, n_key, false), v) : NULL;
}

struct jinja_value *jinja_dict_update(struct jinja_scratch *s, struct jinja_value *dict,
				      const struct jinja_value *other)
{
	for (uint32_t i = 0; dict && other && i < other->n; i++)
		if (!jinja_step(s, 1) || !jinja_dict_put(s, dict, other->d.at[i].key, other->d.at[i].value))
			return NULL;
	return other ? dict : NULL;
}

const struct jinja_value *jinja_dict_get(const struct jinja_value *dict, const char *key)
{
	return jinja_dict_find_text(dict, key, strlen(key));
}
