/*
 * Methods of strings that take a mapping; those of numbers; and the one of strings that would make something else than text.
 */
#include "daemon/jinja/format.h"
#include "daemon/jinja/object.h"
#include "daemon/jinja/text.h"
#include "daemon/jinja/utf8.h"

#include <math.h>

static struct jinja_value *str_format_map(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	const struct jinja_value *map = a->bound[0];
	struct jinja_args named = { 0 };

	if (map->kind != JINJA_DICT)
		return jinja_fail(s, "format_map() takes a mapping, not '%s'", jinja_type(map));
	named.key = jinja_alloc(s, map->n * sizeof(*named.key));
	named.value = jinja_alloc(s, map->n * sizeof(*named.value));
	if (!named.key || !named.value)
		return NULL;
	for (uint32_t i = 0; i < map->n && jinja_step(s, 1); i++) {
		if (map->d.at[i].key->kind != JINJA_STRING)
			continue;
		named.key[named.n_kw] = map->d.at[i].key;
		named.value[named.n_kw++] = map->d.at[i].value;
	}
	return jinja_failed(s) ? NULL : jinja_braces(s, v, &named);
}

/* What a table of translate has for a character takes its place; an integer keeps the mark of what it stands for. */
static void put_translated(struct jinja_build *b, const struct jinja_value *to, const uint8_t *mark)
{
	if (to->kind == JINJA_STRING)
		jinja_add_string(b, to);
	else if (jinja_is_int(to) && to->i >= 0 && to->i <= 0x10ffff)
		jinja_add_rune(b, (uint32_t)to->i, mark);
	else if (to->kind != JINJA_NONE)
		jinja_fail(b->s, "character mapping must return integer, None or str, not %s", jinja_type(to));
}

static struct jinja_value *str_translate(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	const struct jinja_value *table = a->bound[0];
	struct jinja_build b;
	size_t len;

	if (table->kind != JINJA_DICT)
		return jinja_fail(s, "translate() takes a dict here, not '%s'", jinja_type(table));
	jinja_build_init(&b, s, v->n);
	for (size_t i = 0; i < v->n && jinja_step(s, 1); i += len) {
		const struct jinja_value key = { .kind = JINJA_INT, .i = jinja_utf8_get(v->s.p + i, v->n - i, &len) };
		const struct jinja_value *to = jinja_dict_find(s, table, &key);

		if (to)
			put_translated(&b, to, jinja_mark_of(v->s.mark, i));
		else
			jinja_add_part(&b, v, i, i + len);
	}
	return jinja_built(&b);
}

static struct jinja_value *rune_at(struct jinja_scratch *s, const struct jinja_value *v, size_t *i)
{
	size_t len;
	uint32_t c = jinja_utf8_get(v->s.p + *i, v->n - *i, &len);

	*i += len;
	return jinja_int(s, c);
}

static struct jinja_value *table_of_dict(struct jinja_scratch *s, const struct jinja_value *from)
{
	struct jinja_value *table = jinja_dict(s);

	for (uint32_t i = 0; table && i < from->n && jinja_step(s, 1); i++) {
		struct jinja_value *key = from->d.at[i].key;
		size_t at = 0;

		if (key->kind == JINJA_STRING && jinja_length(s, key) != 1)
			return jinja_fail(s, "string keys in translate table must be of length 1");
		if (key->kind == JINJA_STRING)
			key = rune_at(s, key, &at);
		else if (!jinja_is_int(key))
			return jinja_fail(s, "keys in translate table must be strings or integers");
		table = jinja_dict_put(s, table, key, from->d.at[i].value);
	}
	return table;
}

static struct jinja_value *str_maketrans(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *from = a->bound[0], *to = jinja_arg_text(s, a->bound[1]),
			   *less = jinja_arg_text(s, a->bound[2]), *table = jinja_dict(s);

	(void)v;
	if (!a->bound[1])
		return from->kind == JINJA_DICT
			       ? table_of_dict(s, from)
			       : jinja_fail(s, "if you give only one argument to maketrans it must be a dict");
	if (!jinja_arg_text(s, from) || !to || jinja_failed(s))
		return NULL;
	if (jinja_length(s, from) != jinja_length(s, to))
		return jinja_fail(s, "the first two maketrans arguments must have equal length");
	for (size_t i = 0, k = 0; table && i < from->n && jinja_step(s, 1);) {
		struct jinja_value *key = rune_at(s, from, &i);

		table = jinja_dict_put(s, table, key, rune_at(s, to, &k));
	}
	for (size_t i = 0; table && less && i < less->n && jinja_step(s, 1);)
		table = jinja_dict_put(s, table, rune_at(s, less, &i), jinja_none(s));
	return table;
}

static struct jinja_value *str_encode(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)v;
	(void)a;
	return jinja_fail(s, "the method 'encode' is refused: a prompt is made of text, not of bytes");
}

static struct jinja_value *float_is_integer(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	return jinja_bool(s, isfinite(v->f) && floor(v->f) == v->f);
}

static uint64_t magnitude(const struct jinja_value *v)
{
	return v->i < 0 ? -(uint64_t)v->i : (uint64_t)v->i;
}

static struct jinja_value *int_bit_length(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	return jinja_int(s, magnitude(v) ? 64 - __builtin_clzll(magnitude(v)) : 0);
}

static struct jinja_value *int_bit_count(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	return jinja_int(s, __builtin_popcountll(magnitude(v)));
}

static const struct jinja_row str_row[] = {
	{ "format_map", str_format_map, "mapping", 1, 0 },
	{ "translate", str_translate, "table", 1, 0 },
	{ "maketrans", str_maketrans, "x y z", 1, 0 },
	{ "encode", str_encode, "", 0, ROW_REST | ROW_NAMED },
};

static const struct jinja_row number_row[] = {
	{ "is_integer", float_is_integer, "", 0, 0 },
	{ "bit_length", int_bit_length, "", 0, 0 },
	{ "bit_count", int_bit_count, "", 0, 0 },
};

const struct jinja_table jinja_methods_str_map = { str_row, sizeof(str_row) / sizeof(str_row[0]) };
const struct jinja_table jinja_methods_float = { number_row, 1 };
const struct jinja_table jinja_methods_int = { number_row + 1, 2 };
