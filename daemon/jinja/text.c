#include "daemon/jinja/text.h"

#include "daemon/jinja/unicode.h"
#include "daemon/jinja/utf8.h"

struct jinja_value *jinja_text_part(struct jinja_scratch *s, const struct jinja_value *v, size_t from, size_t to)
{
	struct jinja_value *part = jinja_text(s, v->s.p + from, to - from, jinja_mark_at(v->s.mark, from));

	if (part)
		part->flags = v->flags & (JINJA_SAFE | JINJA_ASCII);
	return part;
}

/* The character that ends at byte `to`; where it begins. */
static uint32_t before(const struct jinja_value *v, size_t to, size_t *at)
{
	size_t len;

	for (size_t back = 4; back > 1; back--)
		if (to >= back) {
			uint32_t c = jinja_utf8_get(v->s.p + to - back, back, &len);

			if (len == back) {
				*at = to - back;
				return c;
			}
		}
	*at = to - 1;
	return jinja_utf8_get(v->s.p + to - 1, 1, &len);
}

/* Whether the sigma at bytes [at, at + 2) ends a word: a letter before it, none behind. */
static bool is_last_sigma(struct jinja_scratch *s, const struct jinja_value *v, size_t at)
{
	size_t i = at, len;
	uint32_t c = 0;
	bool behind = false;

	while (i && jinja_step(s, 1)) {
		c = before(v, i, &i);
		if (!jinja_is_skipped(c))
			break;
		c = 0;
	}
	for (i = at + 2; i < v->n && jinja_step(s, 1); i += len) {
		uint32_t d = jinja_utf8_get(v->s.p + i, v->n - i, &len);

		if (jinja_is_skipped(d))
			continue;
		behind = jinja_is_cased(d);
		break;
	}
	return c && jinja_is_cased(c) && !behind;
}

/* Folding is, but for a few letters, the upper case made lower again. */
static int to_fold(uint32_t c, uint32_t as[3])
{
	int n = c == 0x131 ? jinja_to_lower(c, as) : jinja_to_upper(c, as);

	for (int i = 0; i < n; i++) {
		uint32_t low[3];

		if (jinja_to_lower(as[i], low) == 1)
			as[i] = low[0];
	}
	return n;
}

static void add_case(struct jinja_build *b, const struct jinja_value *v, size_t at, uint32_t c,
		     int (*to)(uint32_t c, uint32_t as[3]))
{
	uint32_t as[3];
	int n = to(c, as);

	if (c == 0x3a3 && to == jinja_to_lower && is_last_sigma(b->s, v, at))
		as[0] = 0x3c2;
	for (int i = 0; i < n; i++)
		jinja_add_rune(b, as[i], jinja_mark_of(v->s.mark, at));
}

struct jinja_value *jinja_text_case(struct jinja_scratch *s, const struct jinja_value *v, enum jinja_case how)
{
	bool in_word = false, first = true;
	struct jinja_build b;
	size_t len;

	jinja_build_init(&b, s, v->n);
	for (size_t i = 0; i < v->n && !jinja_failed(s); i += len) {
		uint32_t c = jinja_utf8_get(v->s.p + i, v->n - i, &len);
		int (*to)(uint32_t, uint32_t[3]) = how == CASE_UPPER ? jinja_to_upper : jinja_to_lower;

		if ((how == CASE_CAPITAL && first) || (how == CASE_TITLE && !in_word))
			to = jinja_to_title;
		if (how == CASE_SWAP)
			to = jinja_is_upper(c) ? jinja_to_lower : jinja_to_upper;
		if (how == CASE_FOLD)
			to = to_fold;
		if (how == CASE_TITLE)
			in_word = jinja_is_cased(c);
		first = false;
		if (c >= UTF8_LONE && c < 0xe000)
			jinja_add_part(&b, v, i, i + len);
		else
			add_case(&b, v, i, c, to);
	}
	jinja_step(s, v->n / 8);
	return jinja_built(&b);
}

static bool is_stripped(struct jinja_scratch *s, uint32_t c, const struct jinja_value *chars)
{
	if (!chars)
		return jinja_is_space(c);
	for (size_t i = 0, len; i < chars->n && jinja_step(s, 1); i += len)
		if (jinja_utf8_get(chars->s.p + i, chars->n - i, &len) == c)
			return true;
	return false;
}

struct jinja_value *jinja_text_strip(struct jinja_scratch *s, const struct jinja_value *v,
				     const struct jinja_value *chars, bool left, bool right)
{
	size_t from = 0, to = v->n, len;

	while (left && from < to && is_stripped(s, jinja_utf8_get(v->s.p + from, to - from, &len), chars))
		from += len;
	while (right && from < to) {
		size_t at;

		if (!is_stripped(s, before(v, to, &at), chars))
			break;
		to = at < from ? from : at;
	}
	return jinja_step(s, (v->n - (to - from)) / 64) ? jinja_text_part(s, v, from, to) : NULL;
}

int64_t jinja_text_find(struct jinja_scratch *s, const struct jinja_value *v, size_t from, size_t to,
			const struct jinja_value *what, bool last)
{
	const char *at;

	if (!jinja_step(s, (to - from) / 64))
		return -1;
	if (!last) {
		at = what->n <= to - from ? memmem(v->s.p + from, to - from, what->s.p, what->n) : NULL;
		return at ? at - v->s.p : -1;
	}
	for (size_t i = to - from >= what->n ? to - what->n + 1 : from; i > from; i--) {
		if (!memcmp(v->s.p + i - 1, what->s.p, what->n))
			return (int64_t)i - 1;
		if (!(i & 15) && !jinja_step(s, 1 + what->n / 64))
			break;
	}
	return -1;
}

/* An empty string is found between any two characters. */
static struct jinja_value *interleave(struct jinja_scratch *s, const struct jinja_value *v,
				      const struct jinja_value *by, int64_t count)
{
	struct jinja_build b;
	size_t i = 0, len;

	jinja_build_init(&b, s, 0);
	for (; i < v->n && count && jinja_step(s, 1); i += len, count--) {
		jinja_utf8_get(v->s.p + i, v->n - i, &len);
		jinja_add_string(&b, by);
		jinja_add_part(&b, v, i, i + len);
	}
	if (count)
		jinja_add_string(&b, by);
	jinja_add_part(&b, v, i, v->n);
	return jinja_built(&b);
}

struct jinja_value *jinja_text_replace(struct jinja_scratch *s, const struct jinja_value *v,
				       const struct jinja_value *old, const struct jinja_value *by, int64_t count)
{
	struct jinja_build b;
	const char *next;
	size_t from = 0;
	int64_t at;

	if (!old->n)
		return interleave(s, v, by, count);
	at = count ? jinja_text_find(s, v, 0, v->n, old, false) : -1;
	if (at < 0)
		return jinja_text_part(s, v, 0, v->n);
	jinja_build_init(&b, s, v->n);
	for (; at >= 0 && count && jinja_step(s, 1); count--) {
		jinja_add_part(&b, v, from, (size_t)at);
		if (!jinja_add_string(&b, by))
			return NULL;
		from = (size_t)at + old->n;
		next = memmem(v->s.p + from, v->n - from, old->s.p, old->n);
		at = next ? next - v->s.p : -1;
	}
	jinja_add_part(&b, v, from, v->n);
	return jinja_built(&b);
}

static void fill_with(struct jinja_build *b, const struct jinja_value *fill, int64_t n)
{
	if (fill->n == 1 && !fill->s.mark)
		jinja_add_fill(b, *fill->s.p, (size_t)n);
	else
		for (; n > 0 && jinja_step(b->s, 1); n--)
			jinja_add_string(b, fill);
}

struct jinja_value *jinja_text_pad(struct jinja_scratch *s, struct jinja_value *v, int64_t width,
				   const struct jinja_value *fill, int sides)
{
	static const struct jinja_value space = { .kind = JINJA_STRING, .n = 1, .s = { " ", NULL } };
	int64_t pad = width - jinja_length(s, v), left = 0;
	struct jinja_build b;

	if (jinja_failed(s) || pad <= 0)
		return v;
	if (fill && jinja_length(s, fill) != 1)
		return jinja_fail(s, "The fill character must be exactly one character long");
	if (pad > UINT32_MAX)
		return jinja_over(s, "memory for values");
	if (sides == 3)
		left = pad / 2 + (pad & width & 1);
	else if (sides == 2)
		left = pad;
	jinja_build_init(&b, s, 0);
	fill_with(&b, fill ? fill : &space, left);
	jinja_add_string(&b, v);
	fill_with(&b, fill ? fill : &space, pad - left);
	return jinja_built(&b);
}

static bool is_line_end(uint32_t c)
{
	return (c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

struct jinja_value *jinja_text_lines(struct jinja_scratch *s, const struct jinja_value *v, bool keep_ends)
{
	struct jinja_value *list = jinja_list(s);
	size_t from = 0, len;

	for (size_t i = 0; list && i < v->n; i += len) {
		uint32_t c = jinja_utf8_get(v->s.p + i, v->n - i, &len);

		if (!is_line_end(c))
			continue;
		if (c == '\r' && i + 1 < v->n && v->s.p[i + 1] == '\n')
			len = 2;
		list = jinja_list_append(s, list, jinja_text_part(s, v, from, keep_ends ? i + len : i));
		from = i + len;
		jinja_step(s, 1);
	}
	if (list && from < v->n)
		list = jinja_list_append(s, list, jinja_text_part(s, v, from, v->n));
	return jinja_step(s, v->n / 64) ? list : NULL;
}

bool jinja_text_ends_line(const struct jinja_value *v)
{
	size_t at;
	uint32_t c = v->n ? before(v, v->n, &at) : 0;

	return is_line_end(c) && c != '\r';
}

static struct jinja_value *split_blank(struct jinja_scratch *s, const struct jinja_value *v, int64_t max)
{
	struct jinja_value *list = jinja_list(s);
	size_t i = 0, len;

	while (list && jinja_step(s, 1)) {
		size_t from;

		while (i < v->n && jinja_is_space(jinja_utf8_get(v->s.p + i, v->n - i, &len)))
			i += len;
		if (i == v->n)
			break;
		if (!max--)
			return jinja_list_append(s, list, jinja_text_part(s, v, i, v->n));
		for (from = i; i < v->n && !jinja_is_space(jinja_utf8_get(v->s.p + i, v->n - i, &len)); i += len)
			;
		list = jinja_list_append(s, list, jinja_text_part(s, v, from, i));
	}
	return jinja_step(s, v->n / 64) ? list : NULL;
}

static struct jinja_value *reversed(struct jinja_value *list)
{
	for (uint32_t i = 0; list && i < list->n / 2; i++) {
		struct jinja_value *v = list->l.at[i];

		list->l.at[i] = list->l.at[list->n - 1 - i];
		list->l.at[list->n - 1 - i] = v;
	}
	return list;
}

static struct jinja_value *rsplit_blank(struct jinja_scratch *s, const struct jinja_value *v, int64_t max)
{
	struct jinja_value *list = jinja_list(s);
	size_t to = v->n, at;

	while (list && jinja_step(s, 1)) {
		size_t end;

		while (to && jinja_is_space(before(v, to, &at)))
			to = at;
		if (!to)
			break;
		if (!max--) {
			list = jinja_list_append(s, list, jinja_text_part(s, v, 0, to));
			break;
		}
		for (end = to; to && !jinja_is_space(before(v, to, &at)); to = at)
			;
		list = jinja_list_append(s, list, jinja_text_part(s, v, to, end));
	}
	return jinja_step(s, v->n / 64) ? reversed(list) : NULL;
}

static struct jinja_value *split_by(struct jinja_scratch *s, const struct jinja_value *v, const struct jinja_value *by,
				    int64_t max)
{
	struct jinja_value *list = jinja_list(s);
	size_t from = 0;
	const char *at;

	while (list && max-- && (at = memmem(v->s.p + from, v->n - from, by->s.p, by->n)) && jinja_step(s, 1)) {
		list = jinja_list_append(s, list, jinja_text_part(s, v, from, (size_t)(at - v->s.p)));
		from = (size_t)(at - v->s.p) + by->n;
	}
	return list && jinja_step(s, v->n / 64) ? jinja_list_append(s, list, jinja_text_part(s, v, from, v->n)) : NULL;
}

static struct jinja_value *rsplit_by(struct jinja_scratch *s, const struct jinja_value *v, const struct jinja_value *by,
				     int64_t max)
{
	struct jinja_value *list = jinja_list(s);
	size_t to = v->n;
	int64_t at;

	while (list && max-- && (at = jinja_text_find(s, v, 0, to, by, true)) >= 0) {
		list = jinja_list_append(s, list, jinja_text_part(s, v, (size_t)at + by->n, to));
		to = (size_t)at;
	}
	return list ? reversed(jinja_list_append(s, list, jinja_text_part(s, v, 0, to))) : NULL;
}

struct jinja_value *jinja_text_split(struct jinja_scratch *s, const struct jinja_value *v, const struct jinja_value *by,
				     int64_t max, bool from_right)
{
	if (by && by->kind == JINJA_NONE)
		by = NULL;
	if (by && by->kind != JINJA_STRING)
		return jinja_fail(s, "must be str or None, not %s", jinja_type(by));
	if (by && !by->n)
		return jinja_fail(s, "empty separator");
	if (by)
		return from_right ? rsplit_by(s, v, by, max) : split_by(s, v, by, max);
	return from_right ? rsplit_blank(s, v, max) : split_blank(s, v, max);
}
