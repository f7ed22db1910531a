/*
 * Methods of str. Places are counted in characters.
 */
#include "daemon/jinja/format.h"
#include "daemon/jinja/text.h"
#include "daemon/jinja/utf8.h"

#include <stdio.h>

static struct jinja_value *text_or_none(struct jinja_scratch *s, struct jinja_value *v)
{
	return v && v->kind == JINJA_NONE ? NULL : jinja_arg_text(s, v);
}

#define CASE(name, how)                                                                                             \
	static struct jinja_value *str_##name(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a) \
	{                                                                                                           \
		(void)a;                                                                                            \
		return jinja_text_case(s, v, how);                                                                  \
	}

CASE(upper, CASE_UPPER)
CASE(lower, CASE_LOWER)
CASE(title, CASE_TITLE)
CASE(capitalize, CASE_CAPITAL)
CASE(swapcase, CASE_SWAP)
CASE(casefold, CASE_FOLD)

#define STRIP(name, left, right)                                                                                    \
	static struct jinja_value *str_##name(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a) \
	{                                                                                                           \
		struct jinja_value *chars = text_or_none(s, a->bound[0]);                                           \
                                                                                                                    \
		return jinja_failed(s) ? NULL : jinja_text_strip(s, v, chars, left, right);                         \
	}

STRIP(strip, true, true)
STRIP(lstrip, true, false)
STRIP(rstrip, false, true)

#define PAD(name, sides)                                                                                              \
	static struct jinja_value *str_##name(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)   \
	{                                                                                                             \
		return jinja_text_pad(s, v, jinja_arg_int(s, a->bound[0], 0), jinja_arg_text(s, a->bound[1]), sides); \
	}

PAD(ljust, 1)
PAD(rjust, 2)
PAD(center, 3)

static struct jinja_value *str_zfill(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	int64_t width = jinja_arg_int(s, a->bound[0], 0), pad = width - jinja_length(s, v);
	bool has_sign = v->n && (*v->s.p == '-' || *v->s.p == '+');
	struct jinja_build b;

	if (pad <= 0 || jinja_failed(s))
		return v;
	if (pad > UINT32_MAX)
		return jinja_over(s, "memory for values");
	jinja_build_init(&b, s, 0);
	jinja_add_part(&b, v, 0, has_sign);
	jinja_add_fill(&b, '0', (size_t)pad);
	jinja_add_part(&b, v, has_sign, v->n);
	return jinja_built(&b);
}

static struct jinja_value *str_split(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	int64_t max = jinja_arg_int(s, a->bound[1], -1);

	return jinja_failed(s) ? NULL : jinja_text_split(s, v, a->bound[0], max, false);
}

static struct jinja_value *str_rsplit(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	int64_t max = jinja_arg_int(s, a->bound[1], -1);

	return jinja_failed(s) ? NULL : jinja_text_split(s, v, a->bound[0], max, true);
}

static struct jinja_value *str_splitlines(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return jinja_text_lines(s, v, jinja_arg_true(a->bound[0], false));
}

static struct jinja_value *partition(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a, bool last)
{
	struct jinja_value *by = jinja_arg_text(s, a->bound[0]), *t = jinja_sequence(s, JINJA_TUPLE, 3),
			   *none = jinja_word(s, "");
	int64_t at;

	if (!by || !t || !none)
		return NULL;
	if (!by->n)
		return jinja_fail(s, "empty separator");
	at = jinja_text_find(s, v, 0, v->n, by, last);
	if (at < 0 && last)
		return jinja_list_append(s, jinja_list_append(s, jinja_list_append(s, t, none), none), v);
	if (at < 0)
		return jinja_list_append(s, jinja_list_append(s, jinja_list_append(s, t, v), none), none);
	t = jinja_list_append(s, t, jinja_text_part(s, v, 0, (size_t)at));
	t = jinja_list_append(s, t, by);
	return jinja_list_append(s, t, jinja_text_part(s, v, (size_t)at + by->n, v->n));
}

static struct jinja_value *str_partition(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return partition(s, v, a, false);
}

static struct jinja_value *str_rpartition(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return partition(s, v, a, true);
}

/* The byte where the character begins that a place names, clipped; from the end where it is negative. */
static size_t place(struct jinja_scratch *s, const struct jinja_value *v, const struct jinja_value *at,
		    size_t otherwise)
{
	int64_t i;
	size_t byte = 0, len;

	if (!at || at->kind == JINJA_NONE)
		return otherwise;
	i = jinja_arg_int(s, at, 0);
	if (i < 0)
		i += jinja_length(s, v);
	for (; i > 0 && byte < v->n; i--, byte += len)
		jinja_utf8_get(v->s.p + byte, v->n - byte, &len);
	if (i > 0)
		return SIZE_MAX; /* past the end, where even an empty string is not found */
	return jinja_step(s, v->n / 64) ? byte : 0;
}

static bool window(struct jinja_scratch *s, const struct jinja_value *v, const struct jinja_args *a, size_t *from,
		   size_t *to)
{
	*from = place(s, v, a->bound[1], 0);
	*to = place(s, v, a->bound[2], v->n);
	if (*to > v->n)
		*to = v->n;
	return *from <= *to && !jinja_failed(s);
}

/* In characters; -1. */
static int64_t found(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a, bool last)
{
	struct jinja_value *what = jinja_arg_text(s, a->bound[0]), part;
	size_t from, to;
	int64_t at;

	if (!what || !window(s, v, a, &from, &to))
		return -1;
	at = jinja_text_find(s, v, from, to, what, last);
	if (at < 0)
		return -1;
	part = *v;
	part.n = (uint32_t)at;
	return jinja_length(s, &part);
}

static struct jinja_value *str_find(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return jinja_int(s, found(s, v, a, false));
}

static struct jinja_value *str_rfind(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return jinja_int(s, found(s, v, a, true));
}

static struct jinja_value *str_index(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	int64_t at = found(s, v, a, false);

	return at < 0 ? jinja_fail(s, "substring not found") : jinja_int(s, at);
}

static struct jinja_value *str_rindex(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	int64_t at = found(s, v, a, true);

	return at < 0 ? jinja_fail(s, "substring not found") : jinja_int(s, at);
}

static struct jinja_value *str_count(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *what = jinja_arg_text(s, a->bound[0]), part = *v;
	size_t from, to;
	const char *at;
	int64_t n = 0;

	if (!what || !window(s, v, a, &from, &to))
		return jinja_int(s, 0);
	if (!what->n) {
		part.s.p += from;
		part.n = (uint32_t)(to - from);
		return jinja_int(s, jinja_length(s, &part) + 1);
	}
	for (; (at = memmem(v->s.p + from, to - from, what->s.p, what->n)) && jinja_step(s, 1); n++)
		from = (size_t)(at - v->s.p) + what->n;
	return jinja_step(s, v->n / 64) ? jinja_int(s, n) : NULL;
}

static bool has_end(const struct jinja_value *v, size_t from, size_t to, const struct jinja_value *end, bool at_front)
{
	if (end->n > to - from)
		return false;
	return !memcmp(v->s.p + (at_front ? from : to - end->n), end->s.p, end->n);
}

static struct jinja_value *ends(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a, bool at_front)
{
	const char *name = at_front ? "startswith" : "endswith";
	struct jinja_value *what = a->bound[0];
	bool yes = false;
	size_t from, to;

	if (what->kind != JINJA_STRING && what->kind != JINJA_TUPLE)
		return jinja_fail(s, "%s first arg must be str or a tuple of str, not %s", name, jinja_type(what));
	if (!window(s, v, a, &from, &to))
		return jinja_bool(s, false);
	if (what->kind == JINJA_STRING)
		return jinja_bool(s, has_end(v, from, to, what, at_front));
	for (uint32_t i = 0; i < what->n && !yes && jinja_step(s, 1); i++) {
		if (what->l.at[i]->kind != JINJA_STRING)
			return jinja_fail(s, "tuple for %s must only contain str, not %s", name,
					  jinja_type(what->l.at[i]));
		yes = has_end(v, from, to, what->l.at[i], at_front);
	}
	return jinja_bool(s, yes);
}

static struct jinja_value *str_startswith(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return ends(s, v, a, true);
}

static struct jinja_value *str_endswith(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return ends(s, v, a, false);
}

static struct jinja_value *str_removeprefix(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *what = jinja_arg_text(s, a->bound[0]);

	return what ? jinja_text_part(s, v, has_end(v, 0, v->n, what, true) ? what->n : 0, v->n) : NULL;
}

static struct jinja_value *str_removesuffix(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *what = jinja_arg_text(s, a->bound[0]);

	return what ? jinja_text_part(s, v, 0, has_end(v, 0, v->n, what, false) ? v->n - what->n : v->n) : NULL;
}

static struct jinja_value *str_replace(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *old = jinja_arg_text(s, a->bound[0]), *by = jinja_arg_text(s, a->bound[1]);
	int64_t count = jinja_arg_int(s, a->bound[2], -1);

	return old && by && !jinja_failed(s) ? jinja_text_replace(s, v, old, by, count) : NULL;
}

static struct jinja_value *str_join(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *list = jinja_list_of(s, a->bound[0]);
	struct jinja_build b;

	if (!list)
		return NULL;
	jinja_build_init(&b, s, 0);
	for (uint32_t i = 0; i < list->n && jinja_step(s, 1); i++) {
		const struct jinja_value *item = list->l.at[i];

		if (item->kind != JINJA_STRING)
			return jinja_fail(s, "sequence item %u: expected str instance, %s found", i, jinja_type(item));
		if (i)
			jinja_add_string(&b, v);
		jinja_add_string(&b, item);
	}
	return jinja_built(&b);
}

static struct jinja_value *str_expandtabs(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	int64_t size = jinja_arg_int(s, a->bound[0], 8), column = 0;
	struct jinja_build b;
	size_t len;

	if (size > 1 << 16)
		return jinja_over(s, "memory for values");
	jinja_build_init(&b, s, v->n);
	for (size_t i = 0; i < v->n && jinja_step(s, 1); i += len) {
		uint32_t c = jinja_utf8_get(v->s.p + i, v->n - i, &len);

		if (c == '\t') {
			if (size > 0)
				jinja_add_fill(&b, ' ', (size_t)(size - column % size));
			column = size > 0 ? column + size - column % size : column;
			continue;
		}
		column = c == '\n' || c == '\r' ? 0 : column + 1;
		jinja_add_part(&b, v, i, i + len);
	}
	return jinja_built(&b);
}

static struct jinja_value *str_format(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return jinja_braces(s, v, a);
}

static const struct jinja_row row[] = {
	{ "strip", str_strip, "chars", 0, 0 },
	{ "split", str_split, "sep maxsplit", 0, 0 },
	{ "startswith", str_startswith, "prefix start end", 1, 0 },
	{ "endswith", str_endswith, "suffix start end", 1, 0 },
	{ "lstrip", str_lstrip, "chars", 0, 0 },
	{ "rstrip", str_rstrip, "chars", 0, 0 },
	{ "replace", str_replace, "old new count", 2, 0 },
	{ "upper", str_upper, "", 0, 0 },
	{ "lower", str_lower, "", 0, 0 },
	{ "title", str_title, "", 0, 0 },
	{ "capitalize", str_capitalize, "", 0, 0 },
	{ "swapcase", str_swapcase, "", 0, 0 },
	{ "casefold", str_casefold, "", 0, 0 },
	{ "join", str_join, "iterable", 1, 0 },
	{ "find", str_find, "sub start end", 1, 0 },
	{ "rfind", str_rfind, "sub start end", 1, 0 },
	{ "index", str_index, "sub start end", 1, 0 },
	{ "rindex", str_rindex, "sub start end", 1, 0 },
	{ "count", str_count, "sub start end", 1, 0 },
	{ "rsplit", str_rsplit, "sep maxsplit", 0, 0 },
	{ "splitlines", str_splitlines, "keepends", 0, 0 },
	{ "partition", str_partition, "sep", 1, 0 },
	{ "rpartition", str_rpartition, "sep", 1, 0 },
	{ "removeprefix", str_removeprefix, "prefix", 1, 0 },
	{ "removesuffix", str_removesuffix, "suffix", 1, 0 },
	{ "ljust", str_ljust, "width fillchar", 1, 0 },
	{ "rjust", str_rjust, "width fillchar", 1, 0 },
	{ "center", str_center, "width fillchar", 1, 0 },
	{ "zfill", str_zfill, "width", 1, 0 },
	{ "expandtabs", str_expandtabs, "tabsize", 0, 0 },
	{ "format", str_format, "", 0, ROW_REST | ROW_NAMED },
};

const struct jinja_table jinja_methods_str = { row, sizeof(row) / sizeof(row[0]) };
