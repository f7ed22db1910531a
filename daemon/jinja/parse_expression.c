/*
 * Expressions.
 *
 *   expression  or [if or [else expression]]            or     and (or and)*           and   not (and not)*
 *   not         not not | compare                       compare  sum (op sum)*         sum   concat ((+|-) concat)*
 *   concat      product (~ product)*                    product  power ((*|/|//|%) power)*
 *   power       unary (** unary)*                       unary  (-|+) unary | primary postfix filters
 */
#include "daemon/jinja/parse.h"

static struct jinja_node *word(struct jinja_parser *p, bool with_namespace)
{
	struct jinja_token t = p->now;
	struct jinja_node *n = NULL, *ref;
	bool is_true = jinja_parse_is_name(p, "true") || jinja_parse_is_name(p, "True");

	if (is_true || jinja_parse_is_name(p, "false") || jinja_parse_is_name(p, "False")) {
		n = jinja_parse_constant(p, JINJA_BOOL);
		if (n)
			n->value->i = is_true;
	} else if (jinja_parse_is_name(p, "none") || jinja_parse_is_name(p, "None")) {
		n = jinja_parse_constant(p, JINJA_NONE);
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

struct jinja_node *jinja_parse_primary(struct jinja_parser *p, bool with_namespace)
{
	struct jinja_node *n;

	switch (p->now.type) {
	case TOKEN_NAME:
		return word(p, with_namespace);
	case TOKEN_STRING:
		return jinja_parse_strings(p);
	case TOKEN_INTEGER:
		n = jinja_parse_integer(p, p->now.p, p->now.n);
		return jinja_parse_next(p) ? n : NULL;
	case TOKEN_FLOAT:
		n = jinja_parse_real(p, p->now.p, p->now.n);
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
		if (!jinja_parse_append(p, n,
					simple ? jinja_parse_primary(p, with_namespace)
					       : jinja_parse_expression(p, with_condition)))
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
		with_tuple ? tuple(p, true, false, with_namespace, end, false) : jinja_parse_primary(p, with_namespace);

	return n && can_assign(p, n) ? n : NULL;
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
		n = jinja_parse_primary(p, false);
	}
	n = jinja_parse_postfix(p, n);
	if (with_filter)
		n = jinja_parse_filtered(p, n);
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
