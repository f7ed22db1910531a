/*
 * Expressions.
 *
 *   expression  or [if or [else expression]]            or     and (or and)*           and   not (and not)*
 *   not         not not | compare                       compare  sum (op sum)*         sum   concat ((+|-) concat)*
 *   concat      product (~ product)*                    product  power ((*|/|//|%) power)*
 *   power       unary (** unary)*                       unary  (-|+) unary | primary postfix filters
 */
#include "daemon/jinja/parse.h"

#include "daemon/jinja/rows.h"
#include "daemon/jinja/unicode.h"
#include "daemon/jinja/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct jinja_node *constant(struct jinja_parser *p, enum jinja_kind kind)
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

static struct jinja_node *integer(struct jinja_parser *p, const char *at, size_t n)
{
	struct jinja_node *node = constant(p, JINJA_INT);
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
	node->value->kind = JINJA_BIG;
	node->value->n = (uint32_t)k;
	node->value->s.p = text;
	node->value->s.mark = NULL;
	return node;
}

static struct jinja_node *real(struct jinja_parser *p, const char *at, size_t n)
{
	struct jinja_node *node = constant(p, JINJA_FLOAT);
	char text[400];
	size_t k = 0;

	if (!node)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (at[i] != '_' && k + 1 < sizeof(text))
			text[k++] = at[i];
	text[k] = 0;
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

static struct jinja_node *strings(struct jinja_parser *p)
{
	struct jinja_node *n = constant(p, JINJA_STRING);
	size_t size = p->now.n;
	char *to;

	if (p->next.type != TOKEN_STRING && n && !memchr(p->now.p, '\\', p->now.n)) {
		*n->value =
			(struct jinja_value){ .kind = JINJA_STRING, .n = (uint32_t)size, .s = { p->now.p, jinja_all } };
		return jinja_parse_next(p) ? n : NULL;
	}
	to = n ? jinja_keep(p->t, GROWN(size)) : NULL;
	if (!to)
		return NULL;
	*n->value = (struct jinja_value){ .kind = JINJA_STRING, .s = { to, jinja_all } };
	n->value->n = (uint32_t)unescape(p, &p->now, to);
	while (jinja_parse_next(p) && p->now.type == TOKEN_STRING) {
		char *longer = jinja_keep(p->t, n->value->n + GROWN(p->now.n));

		if (!longer)
			return jinja_parse_fail(p, "no memory for the template");
		memcpy(longer, n->value->s.p, n->value->n);
		n->value->n += (uint32_t)unescape(p, &p->now, longer + n->value->n);
		n->value->s.p = longer;
	}
	return p->failed ? NULL : n;
}

static struct jinja_node *word(struct jinja_parser *p, bool with_namespace)
{
	struct jinja_token t = p->now;
	struct jinja_node *n = NULL, *ref;
	bool is_true = jinja_parse_is_name(p, "true") || jinja_parse_is_name(p, "True");

	if (is_true || jinja_parse_is_name(p, "false") || jinja_parse_is_name(p, "False")) {
		n = constant(p, JINJA_BOOL);
		if (n)
			n->value->i = is_true;
	} else if (jinja_parse_is_name(p, "none") || jinja_parse_is_name(p, "None")) {
		n = constant(p, JINJA_NONE);
	} else {
		n = jinja_parse_name(p, t.p, t.n);
	}
	if (!n || !jinja_parse_next(p) || n->type == NODE_CONST || !with_namespace || !jinja_parse_is(p, "."))
		return p->failed ? NULL : n;
	jinja_parse_next(p);
	if (p->now.type != TOKEN_NAME)
		return jinja_parse_unexpected(p, "name");
	ref = jinja_parse_node(p, NODE_NS_ATTR);
	if (!ref)
		return NULL;
	ref->a = n;
	ref->value = jinja_parse_word(p, p->now.p, p->now.n);
	return jinja_parse_next(p) ? jinja_parse_done(p, ref) : NULL;
}

static struct jinja_node *list(struct jinja_parser *p)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_LIST);

	jinja_parse_next(p);
	while (n && !p->failed && !jinja_parse_is(p, "]")) {
		if (n->n_list && !jinja_parse_expect(p, ","))
			return NULL;
		if (jinja_parse_is(p, "]"))
			break;
		if (!jinja_parse_append(p, n, jinja_parse_expression(p, true)))
			return NULL;
	}
	return jinja_parse_expect(p, "]") ? jinja_parse_done(p, n) : NULL;
}

static struct jinja_node *dict(struct jinja_parser *p)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_DICT);

	jinja_parse_next(p);
	while (n && !p->failed && !jinja_parse_is(p, "}")) {
		if (n->n_list && !jinja_parse_expect(p, ","))
			return NULL;
		if (jinja_parse_is(p, "}"))
			break;
		if (!jinja_parse_append(p, n, jinja_parse_expression(p, true)) || !jinja_parse_expect(p, ":") ||
		    !jinja_parse_append(p, n, jinja_parse_expression(p, true)))
			return NULL;
	}
	return jinja_parse_expect(p, "}") ? jinja_parse_done(p, n) : NULL;
}

static struct jinja_node *primary(struct jinja_parser *p, bool with_namespace)
{
	struct jinja_node *n;

	switch (p->now.type) {
	case TOKEN_NAME:
		return word(p, with_namespace);
	case TOKEN_STRING:
		return strings(p);
	case TOKEN_INTEGER:
		n = integer(p, p->now.p, p->now.n);
		return jinja_parse_next(p) ? n : NULL;
	case TOKEN_FLOAT:
		n = real(p, p->now.p, p->now.n);
		return jinja_parse_next(p) ? n : NULL;
	default:
		break;
	}
	if (jinja_parse_is(p, "[") || jinja_parse_is(p, "{"))
		return *p->now.p == '[' ? list(p) : dict(p);
	if (!jinja_parse_skip(p, "("))
		return jinja_parse_unexpected(p, NULL);
	n = jinja_parse_tuple(p, true, NULL, true);
	return jinja_parse_expect(p, ")") ? n : NULL;
}

static bool is_tuple_end(const struct jinja_parser *p, const char *end)
{
	return p->now.type == TOKEN_BLOCK_END || p->now.type == TOKEN_VARIABLE_END || jinja_parse_is(p, ")") ||
	       (end && jinja_parse_is_name(p, end));
}

/* Items by `simple` ones (names and literals) or whole expressions. */
static struct jinja_node *tuple(struct jinja_parser *p, bool simple, bool with_condition, bool with_namespace,
				const char *end, bool in_parentheses)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_TUPLE);
	bool is_tuple = false;

	while (n && !p->failed) {
		if (n->n_list && !jinja_parse_expect(p, ","))
			return NULL;
		if (is_tuple_end(p, end))
			break;
		if (!jinja_parse_append(
			    p, n, simple ? primary(p, with_namespace) : jinja_parse_expression(p, with_condition)))
			return NULL;
		if (!jinja_parse_is(p, ","))
			break;
		is_tuple = true;
	}
	if (!n || p->failed)
		return NULL;
	if (!is_tuple && n->n_list)
		return n->list[0];
	if (!is_tuple && !in_parentheses)
		return jinja_parse_unexpected(p, "expression");
	return jinja_parse_done(p, n);
}

struct jinja_node *jinja_parse_tuple(struct jinja_parser *p, bool with_condition, const char *end, bool in_parentheses)
{
	return tuple(p, false, with_condition, false, end, in_parentheses);
}

static bool can_assign(struct jinja_parser *p, const struct jinja_node *n)
{
	if (n->type == NODE_TUPLE) {
		for (uint32_t i = 0; i < n->n_list; i++)
			if (!can_assign(p, n->list[i]))
				return false;
		return true;
	}
	if (n->type != NODE_NAME && n->type != NODE_NS_ATTR)
		return jinja_parse_fail(p, "can't assign to a value");
	return true;
}

struct jinja_node *jinja_parse_target(struct jinja_parser *p, bool with_tuple, bool with_namespace, const char *end)
{
	struct jinja_node *n =
		with_tuple ? tuple(p, true, false, with_namespace, end, false) : primary(p, with_namespace);

	return n && can_assign(p, n) ? n : NULL;
}

static struct jinja_node *arg(struct jinja_parser *p)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_ARG);

	if (!n)
		return NULL;
	if (jinja_parse_skip(p, "*")) {
		n->op = ARG_STAR;
	} else if (jinja_parse_skip(p, "**")) {
		n->op = ARG_STAR_STAR;
	} else if (p->now.type == TOKEN_NAME && p->next.type == TOKEN_OPERATOR && p->next.n == 1 && *p->next.p == '=') {
		n->value = jinja_parse_word(p, p->now.p, p->now.n);
		jinja_parse_next(p);
		jinja_parse_next(p);
	}
	n->a = jinja_parse_expression(p, true);
	return n->a ? jinja_parse_done(p, n) : NULL;
}

/* In parentheses, appended to n's list. */
static bool args(struct jinja_parser *p, struct jinja_node *n)
{
	bool named = false, first = true;

	if (!n || !jinja_parse_expect(p, "("))
		return false;
	while (!p->failed && !jinja_parse_is(p, ")")) {
		struct jinja_node *one;

		if (!first && !jinja_parse_expect(p, ","))
			return false;
		if (jinja_parse_is(p, ")"))
			break;
		first = false;
		one = arg(p);
		if (!jinja_parse_append(p, n, one))
			return false;
		if (named && one->op == ARG_PLAIN && !one->value)
			return jinja_parse_fail(p, "invalid syntax for function call expression");
		named |= one->value || one->op == ARG_STAR_STAR;
	}
	return jinja_parse_expect(p, ")");
}

static struct jinja_node *call(struct jinja_parser *p, struct jinja_node *of)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_CALL);

	if (!n)
		return NULL;
	n->a = of;
	return args(p, n) ? jinja_parse_done(p, n) : NULL;
}

/* "1", ":", "1:2:3" and so on between brackets. */
static struct jinja_node *subscript_part(struct jinja_parser *p)
{
	struct jinja_node *n, *part[3] = { NULL, NULL, NULL };
	int k = 0;

	if (!jinja_parse_is(p, ":")) {
		part[0] = jinja_parse_expression(p, true);
		if (!part[0] || !jinja_parse_is(p, ":"))
			return part[0];
	}
	n = jinja_parse_node(p, NODE_SLICE);
	while (k < 2 && jinja_parse_skip(p, ":")) {
		k++;
		if (jinja_parse_is(p, ":") || jinja_parse_is(p, "]") || jinja_parse_is(p, ","))
			continue;
		part[k] = jinja_parse_expression(p, true);
		if (!part[k])
			return NULL;
	}
	if (!n || p->failed)
		return NULL;
	n->a = part[0];
	n->b = part[1];
	n->c = part[2];
	return jinja_parse_done(p, n);
}

static struct jinja_node *attribute(struct jinja_parser *p, struct jinja_node *of)
{
	struct jinja_node *n;

	jinja_parse_next(p);
	if (p->now.type == TOKEN_INTEGER) {
		n = jinja_parse_node(p, NODE_ITEM);
		if (!n)
			return NULL;
		n->a = of;
		n->b = integer(p, p->now.p, p->now.n);
	} else {
		if (p->now.type != TOKEN_NAME)
			return jinja_parse_unexpected(p, "name");
		n = jinja_parse_node(p, NODE_ATTR);
		if (!n)
			return NULL;
		n->a = of;
		n->value = jinja_parse_word(p, p->now.p, p->now.n);
		n->row = jinja_method_name(p->now.p, p->now.n);
	}
	return jinja_parse_next(p) ? jinja_parse_done(p, n) : NULL;
}

static struct jinja_node *subscript(struct jinja_parser *p, struct jinja_node *of)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_ITEM), *part, *several = NULL;

	jinja_parse_next(p);
	part = subscript_part(p);
	if (n && jinja_parse_is(p, ","))
		several = jinja_parse_node(p, NODE_TUPLE);
	if (several) {
		jinja_parse_append(p, several, part);
		while (jinja_parse_skip(p, ","))
			if (!jinja_parse_append(p, several, subscript_part(p)))
				return NULL;
		for (uint32_t i = 0; i < several->n_list; i++)
			if (several->list[i]->type == NODE_SLICE)
				return jinja_parse_fail(p, "a slice among several subscripts");
	}
	if (!n || !part || !jinja_parse_expect(p, "]"))
		return NULL;
	n->a = of;
	n->b = several ? several : part;
	return jinja_parse_done(p, n);
}

static struct jinja_node *postfix(struct jinja_parser *p, struct jinja_node *n)
{
	while (n && !p->failed)
		if (jinja_parse_is(p, "."))
			n = attribute(p, n);
		else if (jinja_parse_is(p, "["))
			n = subscript(p, n);
		else if (jinja_parse_is(p, "("))
			n = call(p, n);
		else
			break;
	return n;
}

/* name(.name)* as one word. */
static struct jinja_value *dotted(struct jinja_parser *p)
{
	const char *from = p->now.p, *end = from + p->now.n;

	if (p->now.type != TOKEN_NAME)
		return jinja_parse_unexpected(p, "name");
	while (jinja_parse_next(p) && jinja_parse_is(p, ".")) {
		jinja_parse_next(p);
		if (p->now.type != TOKEN_NAME)
			return jinja_parse_unexpected(p, "name");
		end = p->now.p + p->now.n;
	}
	return jinja_parse_word(p, from, (size_t)(end - from));
}

struct jinja_node *jinja_parse_filters(struct jinja_parser *p, struct jinja_node *of, bool begun)
{
	while (!p->failed && (begun || jinja_parse_is(p, "|"))) {
		struct jinja_node *n = jinja_parse_node(p, NODE_FILTER);

		if (!begun)
			jinja_parse_next(p);
		begun = false;
		if (!n)
			return NULL;
		n->value = dotted(p);
		if (!n->value)
			return NULL;
		n->row = jinja_filter_row(n->value->s.p, n->value->n);
		n->a = of;
		if (jinja_parse_is(p, "(") && !args(p, n))
			return NULL;
		of = jinja_parse_done(p, n);
		if (!of)
			return NULL;
	}
	return p->failed ? NULL : of;
}

static bool begins_argument(const struct jinja_parser *p)
{
	switch (p->now.type) {
	case TOKEN_STRING:
	case TOKEN_INTEGER:
	case TOKEN_FLOAT:
		return true;
	case TOKEN_NAME:
		return !jinja_parse_is_name(p, "else") && !jinja_parse_is_name(p, "or") &&
		       !jinja_parse_is_name(p, "and");
	default:
		return jinja_parse_is(p, "[") || jinja_parse_is(p, "{");
	}
}

static struct jinja_node *test(struct jinja_parser *p, struct jinja_node *of)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_TEST), *wrapped;
	bool negated;

	jinja_parse_next(p);
	negated = jinja_parse_skip_name(p, "not");
	if (!n)
		return NULL;
	n->a = of;
	n->value = dotted(p);
	if (!n->value)
		return NULL;
	n->row = jinja_test_row(n->value->s.p, n->value->n);
	if (jinja_parse_is(p, "(")) {
		if (!args(p, n))
			return NULL;
	} else if (begins_argument(p)) {
		if (jinja_parse_is_name(p, "is"))
			return jinja_parse_fail(p, "You cannot chain multiple tests with is");
		wrapped = jinja_parse_node(p, NODE_ARG);
		if (!wrapped)
			return NULL;
		wrapped->a = postfix(p, primary(p, false));
		if (!wrapped->a || !jinja_parse_append(p, n, jinja_parse_done(p, wrapped)))
			return NULL;
	}
	n = jinja_parse_done(p, n);
	if (!n || !negated)
		return n;
	wrapped = jinja_parse_node(p, NODE_NOT);
	if (!wrapped)
		return NULL;
	wrapped->a = n;
	return jinja_parse_done(p, wrapped);
}

static struct jinja_node *filtered(struct jinja_parser *p, struct jinja_node *n)
{
	while (n && !p->failed)
		if (jinja_parse_is(p, "|"))
			n = jinja_parse_filters(p, n, false);
		else if (jinja_parse_is_name(p, "is"))
			n = test(p, n);
		else if (jinja_parse_is(p, "("))
			n = call(p, n);
		else
			break;
	return n;
}

struct jinja_node *jinja_parse_unary(struct jinja_parser *p, bool with_filter)
{
	struct jinja_node *n;
	bool minus = jinja_parse_is(p, "-");

	if (!jinja_parse_deeper(p))
		return NULL;
	if (minus || jinja_parse_is(p, "+")) {
		n = jinja_parse_node(p, minus ? NODE_NEGATIVE : NODE_POSITIVE);
		jinja_parse_next(p);
		if (n)
			n->a = jinja_parse_unary(p, false);
		n = n && n->a ? jinja_parse_done(p, n) : NULL;
	} else {
		n = primary(p, false);
	}
	n = postfix(p, n);
	if (with_filter)
		n = filtered(p, n);
	p->depth--;
	return p->failed ? NULL : n;
}

struct level {
	struct {
		const char *text;
		enum jinja_op op;
	} op[4];
	struct jinja_node *(*below)(struct jinja_parser *p);
};

/* Operators of one level, from the left, as one node. */
static struct jinja_node *chain(struct jinja_parser *p, const struct level *l)
{
	struct jinja_node *first = l->below(p), *n = NULL;

	for (;;) {
		struct jinja_node *link;
		int k = 0;

		while (k < 4 && !(l->op[k].text && jinja_parse_is(p, l->op[k].text)))
			k++;
		if (k == 4 || !first || p->failed)
			break;
		if (!n) {
			n = jinja_parse_node(p, NODE_CHAIN);
			if (!n)
				return NULL;
			n->a = first;
		}
		link = jinja_parse_node(p, NODE_LINK);
		jinja_parse_next(p);
		if (!link)
			return NULL;
		link->op = (uint8_t)l->op[k].op;
		link->a = l->below(p);
		if (!link->a || !jinja_parse_append(p, n, jinja_parse_done(p, link)))
			return NULL;
	}
	return n ? jinja_parse_done(p, n) : p->failed ? NULL : first;
}

static struct jinja_node *unary(struct jinja_parser *p)
{
	return jinja_parse_unary(p, true);
}

static struct jinja_node *power(struct jinja_parser *p)
{
	static const struct level l = { { { "**", OP_POW } }, unary };

	return chain(p, &l);
}

static struct jinja_node *product(struct jinja_parser *p)
{
	static const struct level l = { { { "*", OP_MUL }, { "/", OP_DIV }, { "//", OP_FLOOR }, { "%", OP_MOD } },
					power };

	return chain(p, &l);
}

/* below (separator below)* as one node of its own type, by a word or an operator. */
static struct jinja_node *several(struct jinja_parser *p, enum jinja_node_type type, const char *op, const char *name,
				  struct jinja_node *(*below)(struct jinja_parser *p))
{
	struct jinja_node *first = below(p), *n = NULL;

	while (first && !p->failed && (op ? jinja_parse_is(p, op) : jinja_parse_is_name(p, name))) {
		if (!n) {
			n = jinja_parse_node(p, type);
			jinja_parse_append(p, n, first);
		}
		jinja_parse_next(p);
		if (!jinja_parse_append(p, n, below(p)))
			return NULL;
	}
	return n ? jinja_parse_done(p, n) : p->failed ? NULL : first;
}

static struct jinja_node *concat(struct jinja_parser *p)
{
	return several(p, NODE_CONCAT, "~", NULL, product);
}

static struct jinja_node *sum(struct jinja_parser *p)
{
	static const struct level l = { { { "+", OP_ADD }, { "-", OP_SUB } }, concat };

	return chain(p, &l);
}

/* -1: no comparison. Leaves its last token current. */
static int comparison(struct jinja_parser *p)
{
	static const char *const text[] = { "==", "!=", "<", "<=", ">", ">=" };

	for (int i = 0; i < 6; i++)
		if (jinja_parse_is(p, text[i]))
			return OP_EQ + i;
	if (jinja_parse_is_name(p, "in"))
		return OP_IN;
	if (jinja_parse_is_name(p, "not") && p->next.type == TOKEN_NAME && p->next.n == 2 &&
	    !memcmp(p->next.p, "in", 2)) {
		jinja_parse_next(p);
		return OP_NOT_IN;
	}
	return -1;
}

static struct jinja_node *compare(struct jinja_parser *p)
{
	struct jinja_node *first = sum(p), *n = NULL;
	int op;

	while (first && !p->failed && (op = comparison(p)) >= 0) {
		struct jinja_node *link = jinja_parse_node(p, NODE_LINK);

		if (!n) {
			n = jinja_parse_node(p, NODE_COMPARE);
			if (!n)
				return NULL;
			n->a = first;
		}
		jinja_parse_next(p);
		if (!link)
			return NULL;
		link->op = (uint8_t)op;
		link->a = sum(p);
		if (!link->a || !jinja_parse_append(p, n, jinja_parse_done(p, link)))
			return NULL;
	}
	return n ? jinja_parse_done(p, n) : p->failed ? NULL : first;
}

static struct jinja_node *negation(struct jinja_parser *p)
{
	struct jinja_node *n;

	if (!jinja_parse_is_name(p, "not"))
		return compare(p);
	if (!jinja_parse_deeper(p))
		return NULL;
	n = jinja_parse_node(p, NODE_NOT);
	jinja_parse_next(p);
	if (n)
		n->a = negation(p);
	p->depth--;
	return n && n->a ? jinja_parse_done(p, n) : NULL;
}

static struct jinja_node *both(struct jinja_parser *p)
{
	return several(p, NODE_AND, NULL, "and", negation);
}

static struct jinja_node *either(struct jinja_parser *p)
{
	return several(p, NODE_OR, NULL, "or", both);
}

struct jinja_node *jinja_parse_expression(struct jinja_parser *p, bool with_condition)
{
	struct jinja_node *n, *first;

	if (!jinja_parse_deeper(p))
		return NULL;
	first = either(p);
	while (with_condition && first && jinja_parse_skip_name(p, "if")) {
		n = jinja_parse_node(p, NODE_IF_ELSE);
		if (!n)
			return NULL;
		n->a = first;
		n->b = either(p);
		if (n->b && jinja_parse_skip_name(p, "else"))
			n->c = jinja_parse_expression(p, true);
		first = n->b && !p->failed ? jinja_parse_done(p, n) : NULL;
	}
	p->depth--;
	return p->failed ? NULL : first;
}
