/*
 * Literals: numbers as Python writes them, strings with its escapes; strings in a row are one.
 */
#include "daemon/jinja/parse.h"

#include "daemon/jinja/big.h"
#include "daemon/jinja/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct jinja_node *jinja_parse_constant(struct jinja_parser *p, enum jinja_kind kind)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_CONST);

	if (!n)
		return NULL;
	n->value = jinja_keep(p->t, sizeof(*n->value));
	if (!n->value)
		return jinja_parse_fail(p, "no memory for the template");
	n->value->kind = (uint8_t)kind;
	return n;
}

struct jinja_node *jinja_parse_integer(struct jinja_parser *p, const char *at, size_t n)
{
	struct jinja_node *node = jinja_parse_constant(p, JINJA_INT);
	char *text = node ? jinja_keep(p->t, n + 1) : NULL, *digits = text;
	size_t k = 0;

	if (!text)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (at[i] != '_')
			text[k++] = at[i];
	errno = 0;
	if (text[0] == '0' && k > 1 && strchr("bBoO", text[1]))
		node->value->i = strtoll(digits + 2, NULL, (text[1] | 32) == 'b' ? 2 : 8);
	else
		node->value->i = strtoll(digits, NULL, k > 1 && (text[1] | 32) == 'x' ? 16 : 10);
	if (!errno)
		return node;
	if (strspn(text, "0123456789") != k)
		return jinja_parse_fail(p, "an integer past 64 bits must be decimal");
	if (k > JINJA_DIGITS_MAX)
		return jinja_parse_fail(p, "an integer past %u digits", JINJA_DIGITS_MAX);
	node->value->kind = JINJA_BIG;
	node->value->n = (uint32_t)k;
	node->value->s.p = text;
	node->value->s.mark = NULL;
	return node;
}

struct jinja_node *jinja_parse_real(struct jinja_parser *p, const char *at, size_t n)
{
	struct jinja_node *node = jinja_parse_constant(p, JINJA_FLOAT);
	char *text = node ? jinja_keep(p->t, n + 1) : NULL;
	size_t k = 0;

	if (!text)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (at[i] != '_')
			text[k++] = at[i];
	node->value->f = strtod(text, NULL);
	return node;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* \x41 \u0041 \U00000041: n digits at `at`. */
static bool hex_escape(const char *at, const char *end, int n, uint32_t *c)
{
	*c = 0;
	for (int i = 0; i < n; i++, at++) {
		if (at >= end || hex_digit(*at) < 0)
			return false;
		*c = *c << 4 | (uint32_t)hex_digit(*at);
	}
	return *c <= 0x10ffff;
}

/*
 * A character past ASCII behind a backslash: Python has written it as an escape by then, whose backslash the other one escapes.
 * Such a string is longer than its source.
 */
static size_t spelled(const char **q, const char *end, char *to)
{
	size_t len;
	uint32_t c = jinja_utf8_get(*q - 1, (size_t)(end - *q) + 1, &len);

	*q += len - 1;
	return (size_t)sprintf(to, c < 0x100 ? "x%02x" : c < 0x10000 ? "u%04x" : "U%08x", c);
}

/* Behind the backslash at *q; the bytes it stands for. */
static size_t escape(struct jinja_parser *p, const char **q, const char *end, char *to)
{
	static const char plain[] = "\\'\"abfnrtv", means[] = "\\'\"\a\b\f\n\r\t\v";
	char c = *(*q)++;
	const char *e = c ? strchr(plain, c) : NULL;
	int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
	uint32_t rune = 0;

	if (c == '\n')
		return 0;
	if (e) {
		*to = means[e - plain];
		return 1;
	}
	if (c >= '0' && c <= '7') {
		rune = (uint32_t)(c - '0');
		for (int i = 0; i < 2 && *q < end && **q >= '0' && **q <= '7'; i++)
			rune = rune << 3 | (uint32_t)(*(*q)++ - '0');
		return jinja_utf8_put(to, rune);
	}
	if (digits && hex_escape(*q, end, digits, &rune)) {
		*q += digits;
		return jinja_utf8_put(to, rune >= 0xd800 && rune < 0xe000 ? 0xfffd : rune);
	}
	if (digits || c == 'N') {
		jinja_parse_fail(p, digits ? "truncated escape in a string" : "\\N{} is not known here");
		return 0;
	}
	to[0] = '\\';
	if ((unsigned char)c < 0x80) {
		to[1] = c;
		return 2;
	}
	return 1 + spelled(q, end, to + 1);
}

static size_t unescape(struct jinja_parser *p, const struct jinja_token *t, char *to)
{
	const char *q = t->p, *end = t->p + t->n;
	size_t n = 0;

	while (q < end)
		if (*q != '\\')
			to[n++] = *q++;
		else {
			q++;
			n += escape(p, &q, end, to + n);
		}
	return n;
}

/* Three bytes become ten at the worst: a backslash and a character of two. */
#define GROWN(n) (4 * (n) + 16)

struct jinja_node *jinja_parse_strings(struct jinja_parser *p)
{
	struct jinja_node *n = jinja_parse_constant(p, JINJA_STRING);
	size_t size = p->now.n, room;
	char *to;

	if (p->next.type != TOKEN_STRING && n && !memchr(p->now.p, '\\', p->now.n)) {
		*n->value =
			(struct jinja_value){ .kind = JINJA_STRING, .n = (uint32_t)size, .s = { p->now.p, jinja_all } };
		return jinja_parse_next(p) ? n : NULL;
	}
	to = n ? jinja_keep(p->t, room = GROWN(size)) : NULL;
	if (!to)
		return NULL;
	*n->value = (struct jinja_value){ .kind = JINJA_STRING, .s = { to, jinja_all } };
	n->value->n = (uint32_t)unescape(p, &p->now, to);
	while (jinja_parse_next(p) && p->now.type == TOKEN_STRING) {
		if (room - n->value->n < GROWN(p->now.n)) { /* by halves again: many short ones in a row are one */
			char *longer = jinja_keep(p->t, room += room / 2 + GROWN(p->now.n));

			if (!longer)
				return jinja_parse_fail(p, "no memory for the template");
			memcpy(longer, to, n->value->n);
			n->value->s.p = to = longer;
		}
		n->value->n += (uint32_t)unescape(p, &p->now, to + n->value->n);
	}
	return p->failed ? NULL : n;
}
