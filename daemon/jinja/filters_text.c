/*
 * Filters that take their value as text.
 */
#include "daemon/jinja/eval.h"
#include "daemon/jinja/format.h"
#include "daemon/jinja/number.h"
#include "daemon/jinja/text.h"
#include "daemon/jinja/unicode.h"
#include "daemon/jinja/utf8.h"

#include <stdio.h>

static struct jinja_value *filter_upper(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	v = jinja_str(s, v);
	return v ? jinja_text_case(s, v, CASE_UPPER) : NULL;
}

static struct jinja_value *filter_lower(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	v = jinja_str(s, v);
	return v ? jinja_text_case(s, v, CASE_LOWER) : NULL;
}

static struct jinja_value *filter_capitalize(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	v = jinja_str(s, v);
	return v ? jinja_text_case(s, v, CASE_CAPITAL) : NULL;
}

/* Words begin behind blanks, "-", and opening brackets. */
static struct jinja_value *filter_title(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_build b;
	bool begins = true;
	size_t len;

	(void)a;
	v = jinja_str(s, v);
	if (!v)
		return NULL;
	jinja_build_init(&b, s, v->n);
	for (size_t i = 0; i < v->n && jinja_step(s, 1); i += len) {
		uint32_t c = jinja_utf8_get(v->s.p + i, v->n - i, &len), as[3];
		int n = begins ? jinja_to_upper(c, as) : jinja_to_lower(c, as);

		for (int k = 0; k < n; k++)
			jinja_add_rune(&b, as[k], jinja_mark_of(v->s.mark, i));
		begins = jinja_is_space(c) || (c < 0x80 && c && strchr("-({[<", (int)c));
	}
	return jinja_built(&b);
}

static struct jinja_value *filter_trim(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *chars =
		a->bound[0] && a->bound[0]->kind != JINJA_NONE ? jinja_arg_text(s, a->bound[0]) : NULL;

	v = jinja_str(s, v);
	return v && !jinja_failed(s) ? jinja_text_strip(s, v, chars, true, true) : NULL;
}

static struct jinja_value *filter_replace(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *text = jinja_str(s, v), *old = jinja_str(s, a->bound[0]), *by = jinja_str(s, a->bound[1]);
	bool all = !a->bound[2] || a->bound[2]->kind == JINJA_NONE;

	text = text && old && by ? jinja_text_replace(s, text, old, by, all ? -1 : jinja_arg_int(s, a->bound[2], -1))
				 : NULL;
	if (text && (text->flags & JINJA_SAFE))
		text->flags &= (uint8_t)~JINJA_SAFE;
	return text;
}

static struct jinja_value *filter_center(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	v = jinja_str(s, v);
	return v ? jinja_text_pad(s, v, jinja_arg_int(s, a->bound[0], 80), NULL, 3) : NULL;
}

static struct jinja_value *spaces(struct jinja_scratch *s, int64_t n)
{
	struct jinja_build b;

	if (n > UINT32_MAX)
		return jinja_over(s, "memory for values");
	jinja_build_init(&b, s, 0);
	jinja_add_fill(&b, ' ', n > 0 ? (size_t)n : 0);
	return jinja_built(&b);
}

static struct jinja_value *filter_indent(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	bool first = jinja_arg_true(a->bound[1], false), blank = jinja_arg_true(a->bound[2], false);
	struct jinja_value *indent = a->bound[0] && a->bound[0]->kind == JINJA_STRING
					     ? a->bound[0]
					     : spaces(s, jinja_arg_int(s, a->bound[0], 4)),
			   *lines;
	struct jinja_build b;

	if (v->kind != JINJA_STRING && v->kind != JINJA_UNDEFINED)
		return jinja_fail(s, "unsupported operand type(s) for +=: '%s' and 'str'", jinja_type(v));
	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	lines = jinja_text_lines(s, v, false);
	if (!lines || !indent)
		return NULL;
	jinja_build_init(&b, s, v->n);
	if (first)
		jinja_add_string(&b, indent);
	for (uint32_t i = 0; i < lines->n && jinja_step(s, 1); i++) {
		if (i)
			jinja_add_word(&b, "\n");
		if (i && (blank || lines->l.at[i]->n))
			jinja_add_string(&b, indent);
		jinja_add_string(&b, lines->l.at[i]);
	}
	if (jinja_text_ends_line(v)) { /* the filter puts a newline behind the text before it cuts lines */
		jinja_add_word(&b, "\n");
		if (blank)
			jinja_add_string(&b, indent);
	}
	return jinja_built(&b);
}

/* Bytes of the first n characters. */
static size_t head(const struct jinja_value *v, int64_t n)
{
	size_t at = 0, len;

	for (; n > 0 && at < v->n; n--, at += len)
		jinja_utf8_get(v->s.p + at, v->n - at, &len);
	return at;
}

static struct jinja_value *filter_truncate(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	static struct jinja_value dots = { .kind = JINJA_STRING, .n = 3, .s = { "...", NULL } },
				  space = { .kind = JINJA_STRING, .n = 1, .s = { " ", NULL } };
	int64_t length = jinja_arg_int(s, a->bound[0], 255), leeway = 5, n_end, n, at;
	struct jinja_value *end = a->bound[2] ? jinja_arg_text(s, a->bound[2]) : &dots, *parts[2];

	if (a->bound[3] && a->bound[3]->kind != JINJA_NONE)
		leeway = jinja_arg_int(s, a->bound[3], 5);
	n_end = end ? jinja_length(s, end) : 0;
	n = jinja_length(s, v);
	if (jinja_failed(s))
		return NULL;
	if (length < n_end)
		return jinja_fail(s, "expected length >= %lld, got %lld", (long long)n_end, (long long)length);
	if (leeway < 0)
		return jinja_fail(s, "expected leeway >= 0, got %lld", (long long)leeway);
	if (leeway > INT32_MAX || length > INT32_MAX || n <= length + leeway)
		return v;
	if (v->kind != JINJA_STRING)
		return jinja_arg_text(s, v);
	parts[0] = jinja_text_part(s, v, 0, head(v, length - n_end));
	parts[1] = end;
	if (!parts[0] || !jinja_step(s, v->n / 64))
		return NULL;
	at = jinja_arg_true(a->bound[1], false) ? -1 : jinja_text_find(s, parts[0], 0, parts[0]->n, &space, true);
	if (at >= 0)
		parts[0] = jinja_text_part(s, parts[0], 0, (size_t)at);
	return parts[0] ? jinja_concat(s, parts, 2) : NULL;
}

static bool is_word(uint32_t c)
{
	return c == '_' || jinja_is_alpha(c) || jinja_is_numeric(c);
}

static struct jinja_value *filter_wordcount(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	int64_t n = 0;
	bool in = false;
	size_t len;

	(void)a;
	v = jinja_str(s, v);
	for (size_t i = 0; v && i < v->n; i += len) {
		bool is = is_word(jinja_utf8_get(v->s.p + i, v->n - i, &len));

		n += is && !in;
		in = is;
	}
	return v && jinja_step(s, v->n / 8) ? jinja_int(s, n) : NULL;
}

/* What may stand in a URL as it is; "/" in a path only. */
static void quote(struct jinja_build *b, const struct jinja_value *v, bool is_query)
{
	for (size_t i = 0; i < v->n && !jinja_failed(b->s); i++) {
		unsigned char c = (unsigned char)v->s.p[i];
		char text[4];

		if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c && strchr("_.-~", c)) ||
		    (c == '/' && !is_query)) {
			jinja_add_part(b, v, i, i + 1);
		} else if (c == ' ' && is_query) {
			jinja_add_word(b, "+");
		} else {
			snprintf(text, sizeof(text), "%%%02X", c);
			jinja_add_word(b, text);
		}
	}
}

static void quote_pair(struct jinja_build *b, struct jinja_value *key, struct jinja_value *value, bool first)
{
	if (!first)
		jinja_add_word(b, "&");
	key = jinja_str(b->s, key);
	value = jinja_str(b->s, value);
	if (!key || !value)
		return;
	quote(b, key, true);
	jinja_add_word(b, "=");
	quote(b, value, true);
}

static struct jinja_value *filter_urlencode(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_build b;

	(void)a;
	jinja_build_init(&b, s, v->n);
	if (v->kind == JINJA_DICT) {
		for (uint32_t i = 0; i < v->n && jinja_step(s, 1); i++)
			quote_pair(&b, v->d.at[i].key, v->d.at[i].value, !i);
	} else if (jinja_is_sequence(v)) {
		struct jinja_value *list = jinja_list_of(s, v);

		for (uint32_t i = 0; i < list->n && jinja_step(s, 1); i++) {
			struct jinja_value *pair = list->l.at[i];

			if (!jinja_is_sequence(pair) || pair->n != 2)
				return jinja_fail(s, "not a list of pairs");
			quote_pair(&b, pair->l.at[0], pair->l.at[1], !i);
		}
	} else {
		v = jinja_str(s, v);
		if (v)
			quote(&b, v, false);
	}
	return jinja_built(&b);
}

static struct jinja_value *filter_format(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *given = NULL;

	if (a->n && a->n_kw)
		return jinja_fail(s, "can't handle positional and keyword arguments at the same time");
	if (a->n_kw) {
		given = jinja_dict(s);
		for (uint32_t i = 0; i < a->n_kw; i++)
			given = jinja_dict_put(s, given, a->key[i], a->value[i]);
	} else {
		given = jinja_sequence(s, JINJA_TUPLE, a->n);
		for (uint32_t i = 0; i < a->n; i++)
			given = jinja_list_append(s, given, a->at[i]);
	}
	v = jinja_str(s, v);
	return v && given ? jinja_percent(s, v, given) : NULL;
}

/* The character that an entity between '&' and ';' is; 0: none that is known here. */
static uint32_t entity(const char *p, size_t n)
{
	static const struct {
		const char *name;
		uint32_t c;
	} known[] = {
		{ "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' }, { "nbsp", 0xa0 }
	};
	int64_t c = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].name) == n && !memcmp(known[i].name, p, n))
			return known[i].c;
	if (n < 2 || *p != '#' ||
	    !jinja_parse_int(p + 1 + ((p[1] | 32) == 'x'), n - 1 - ((p[1] | 32) == 'x'), (p[1] | 32) == 'x' ? 16 : 10,
			     &c))
		return 0;
	return c > 0 && c <= 0x10ffff && !(c >= 0xd800 && c < 0xe000) ? (uint32_t)c : 0;
}

static struct jinja_value *unescaped(struct jinja_scratch *s, const struct jinja_value *v)
{
	struct jinja_build b;

	jinja_build_init(&b, s, v->n);
	for (size_t i = 0; i < v->n && jinja_step(s, 1); i++) {
		size_t n = v->n - i < 12 ? v->n - i : 12;
		const char *end = v->s.p[i] == '&' ? memchr(v->s.p + i, ';', n) : NULL;
		uint32_t c = end ? entity(v->s.p + i + 1, (size_t)(end - v->s.p) - i - 1) : 0;

		if (!c) {
			jinja_add_part(&b, v, i, i + 1);
			continue;
		}
		jinja_add_rune(&b, c, NULL);
		i = (size_t)(end - v->s.p);
	}
	return jinja_built(&b);
}

/* Comments and tags go, white space becomes single spaces. */
static struct jinja_value *filter_striptags(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *text = jinja_str(s, v), *words;
	struct jinja_build b;
	size_t i = 0;

	(void)a;
	if (!text)
		return NULL;
	jinja_build_init(&b, s, text->n);
	while (i < text->n && jinja_step(s, 1)) {
		const char *p = text->s.p + i, *open = memchr(p, '<', text->n - i), *close = NULL;

		if (open && text->n - (size_t)(open - text->s.p) >= 4 && !memcmp(open, "<!--", 4)) {
			close = memmem(open, text->n - (size_t)(open - text->s.p), "-->", 3);
			close = close ? close + 2 : NULL;
		}
		if (open && !close)
			close = memchr(open, '>', text->n - (size_t)(open - text->s.p));
		if (!close)
			break;
		jinja_add_part(&b, text, i, (size_t)(open - text->s.p));
		i = (size_t)(close - text->s.p) + 1;
	}
	jinja_add_part(&b, text, i, text->n);
	text = jinja_built(&b);
	words = text ? jinja_text_split(s, text, NULL, -1, false) : NULL;
	if (!words)
		return NULL;
	jinja_build_init(&b, s, text->n);
	for (uint32_t k = 0; k < words->n && jinja_step(s, 1); k++) {
		if (k)
			jinja_add_word(&b, " ");
		jinja_add_string(&b, words->l.at[k]);
	}
	text = jinja_built(&b);
	return text ? unescaped(s, text) : NULL;
}

static const struct jinja_row row[] = {
	{ "upper", filter_upper, "", 0, 0 },
	{ "lower", filter_lower, "", 0, 0 },
	{ "capitalize", filter_capitalize, "", 0, 0 },
	{ "title", filter_title, "", 0, 0 },
	{ "trim", filter_trim, "chars", 0, 0 },
	{ "replace", filter_replace, "old new count", 2, 0 },
	{ "center", filter_center, "width", 0, 0 },
	{ "indent", filter_indent, "width first blank", 0, 0 },
	{ "truncate", filter_truncate, "length killwords end leeway", 0, 0 },
	{ "wordcount", filter_wordcount, "", 0, 0 },
	{ "urlencode", filter_urlencode, "", 0, 0 },
	{ "format", filter_format, "", 0, ROW_REST | ROW_NAMED },
	{ "striptags", filter_striptags, "", 0, 0 },
};

const struct jinja_table jinja_filters_text = { row, sizeof(row) / sizeof(row[0]) };
