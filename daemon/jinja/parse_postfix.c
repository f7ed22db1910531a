/*
 * The parts behind an operand: attributes, subscripts, calls, filters, tests.
 */
#include "daemon/jinja/parse.h"

#include "daemon/jinja/rows.h"

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
		n->b = jinja_parse_integer(p, p->now.p, p->now.n);
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

struct jinja_node *jinja_parse_postfix(struct jinja_parser *p, struct jinja_node *n)
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
		wrapped->a = jinja_parse_postfix(p, jinja_parse_primary(p, false));
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

struct jinja_node *jinja_parse_filtered(struct jinja_parser *p, struct jinja_node *n)
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
