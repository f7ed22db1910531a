/*
 * JSON in, straight into the arena. jansson would refuse integers past 64 bits, which Python carries through a template digit by
 * digit, would refuse lone surrogates, and takes the heap beyond any limit of ours.
 * A lone surrogate becomes U+FFFD, as it has no bytes in UTF-8.
 */
#include "daemon/jinja/value.h"

#include "daemon/jinja/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGITS_MAX 18 /* so many fit 64 bits whatever the digits are */

struct reader {
	struct jinja_scratch *s;
	const char *begin, *p, *end;
	const char *wrong; /* the expected token, for the message */
};

static struct jinja_value *value(struct reader *r);

static void *wrong(struct reader *r, const char *what)
{
	if (!r->wrong)
		r->wrong = what;
	return NULL;
}

static void blank(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool next_is(struct reader *r, char c)
{
	blank(r);
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static bool hex4(struct reader *r, uint32_t *u)
{
	*u = 0;
	if (r->end - r->p < 4)
		return false;
	for (int i = 0; i < 4; i++, r->p++) {
		if (!isxdigit((unsigned char)*r->p))
			return false;
		*u = *u << 4 | (uint32_t)(isdigit((unsigned char)*r->p) ? *r->p - '0' : (*r->p | 32) - 'a' + 10);
	}
	return true;
}

/* Behind "\u". */
static size_t unicode_escape(struct reader *r, char *to)
{
	uint32_t u, low;
	const char *back;

	if (!hex4(r, &u))
		return 0;
	back = r->p;
	if (u >= 0xd800 && u < 0xdc00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u') {
		r->p += 2;
		if (hex4(r, &low) && low >= 0xdc00 && low < 0xe000)
			return jinja_utf8_put(to, 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00));
		r->p = back;
	}
	return jinja_utf8_put(to, u >= 0xd800 && u < 0xe000 ? 0xfffd : u);
}

static struct jinja_value *string(struct reader *r)
{
	static const char plain[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *q = r->p;
	char *to;
	size_t n = 0;

	while (q < r->end && *q != '"')
		q += *q == '\\' && q + 1 < r->end ? 2 : 1;
	if (q >= r->end)
		return wrong(r, "a string's end");
	to = jinja_alloc(r->s, (size_t)(q - r->p));
	if (!to)
		return NULL;
	while (*r->p != '"') {
		const char *e;
		size_t k;

		if ((unsigned char)*r->p < ' ')
			return wrong(r, "no control character in a string");
		if (*r->p != '\\') {
			to[n++] = *r->p++;
			continue;
		}
		r->p += 2;
		e = r->p[-1] ? strchr(plain, r->p[-1]) : NULL;
		if (e) {
			to[n++] = means[e - plain];
			continue;
		}
		k = r->p[-1] == 'u' ? unicode_escape(r, to + n) : 0;
		if (!k)
			return wrong(r, "an escape");
		n += k;
	}
	r->p++;
	return jinja_text(r->s, to, n, NULL);
}

static struct jinja_value *number(struct reader *r)
{
	const char *from = r->p;
	char text[512];
	bool is_float = false;
	size_t n;

	for (; r->p < r->end && strchr("+-.eE0123456789", *r->p) && *r->p; r->p++)
		is_float |= *r->p == '.' || *r->p == 'e' || *r->p == 'E';
	n = (size_t)(r->p - from);
	if (!n || !isdigit((unsigned char)from[n - 1]) || n >= sizeof(text))
		return wrong(r, "a value");
	memcpy(text, from, n);
	text[n] = 0;
	if (is_float) {
		char *end;
		double f = strtod(text, &end);

		return *end || *text == '+' || *text == '.' ? wrong(r, "a number") : jinja_float(r->s, f);
	}
	if (strspn(text + (*text == '-'), "0123456789") != n - (*text == '-') ||
	    (text[*text == '-'] == '0' && n > 1u + (*text == '-')))
		return wrong(r, "a number");
	if (n > DIGITS_MAX) {
		struct jinja_value *v;
		long long i;

		errno = 0;
		i = strtoll(text, NULL, 10);
		if (!errno)
			return jinja_int(r->s, i);
		v = jinja_string(r->s, text, n, false);
		if (v)
			v->kind = JINJA_BIG;
		return v;
	}
	return jinja_int(r->s, strtoll(text, NULL, 10));
}

static struct jinja_value *word(struct reader *r, const char *text, struct jinja_value *v)
{
	size_t n = strlen(text);

	if ((size_t)(r->end - r->p) < n || memcmp(r->p, text, n))
		return wrong(r, "a value");
	r->p += n;
	return v;
}

static struct jinja_value *array(struct reader *r)
{
	struct jinja_value *list = jinja_list(r->s);

	if (next_is(r, ']'))
		return list;
	do
		if (!jinja_list_append(r->s, list, value(r)))
			return NULL;
	while (next_is(r, ','));
	return next_is(r, ']') ? list : wrong(r, "',' or ']'");
}

static struct jinja_value *object(struct reader *r)
{
	struct jinja_value *dict = jinja_dict(r->s), *key;

	if (next_is(r, '}'))
		return dict;
	do {
		if (!next_is(r, '"'))
			return wrong(r, "a key in quotes");
		key = string(r);
		if (!key || !next_is(r, ':'))
			return wrong(r, "':'");
		if (!jinja_dict_put(r->s, dict, key, value(r)))
			return NULL;
	} while (next_is(r, ','));
	return next_is(r, '}') ? dict : wrong(r, "',' or '}'");
}

static struct jinja_value *any(struct reader *r)
{
	blank(r);
	if (r->p == r->end)
		return wrong(r, "a value");
	switch (*r->p) {
	case '{':
		r->p++;
		return object(r);
	case '[':
		r->p++;
		return array(r);
	case '"':
		r->p++;
		return string(r);
	case 't':
		return word(r, "true", jinja_bool(r->s, true));
	case 'f':
		return word(r, "false", jinja_bool(r->s, false));
	case 'n':
		return word(r, "null", jinja_none(r->s));
	default:
		return number(r);
	}
}

static struct jinja_value *value(struct reader *r)
{
	struct jinja_value *v;

	if (r->s->nest >= r->s->limit.depth)
		return wrong(r, "less nesting");
	if (!jinja_enter(r->s))
		return NULL;
	v = any(r);
	jinja_leave(r->s);
	return v;
}

struct jinja_value *jinja_json(struct jinja_scratch *s, const char *p, size_t n, char *err, size_t err_len)
{
	struct reader r = { .s = s, .begin = p, .p = p, .end = p + n };
	struct jinja_value *v = value(&r);

	blank(&r);
	if (v && r.p < r.end)
		v = wrong(&r, "the end");
	if (!v && err_len)
		snprintf(err, err_len, "JSON: %s at byte %td",
			 r.wrong && !jinja_failed(s) ? r.wrong : "room for the value", r.p - r.begin);
	if (!v && err_len && r.wrong && !jinja_failed(s))
		snprintf(err, err_len, "JSON: %s was expected at byte %td", r.wrong, r.p - r.begin);
	return v;
}
