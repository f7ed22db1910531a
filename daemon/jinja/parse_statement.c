/*
 * Statements: a row for each tag. Tags that only stand inside or at the end of another are not rows; a body ends at them.
 */
#include "daemon/jinja/parse.h"

/* Nodes up to a tag of one of these names, which is current then, past its block's begin. */
static bool body(struct jinja_parser *p, struct jinja_node *into, const char *const *end);

static bool is_one_of(const struct jinja_parser *p, const char *const *names)
{
	for (; names && *names; names++)
		if (jinja_parse_is_name(p, *names))
			return true;
	return false;
}

static bool block_end(struct jinja_parser *p)
{
	if (p->now.type == TOKEN_BLOCK_END)
		return jinja_parse_next(p);
	if (!p->failed)
		jinja_parse_unexpected(p, "end of statement block");
	return false;
}

/* The rest of an opening tag, and the body up to the end tag `end`, which is consumed with its block's end left current. */
static bool whole_body(struct jinja_parser *p, struct jinja_node *into, const char *end)
{
	const char *const ends[] = { end, NULL };

	jinja_parse_skip(p, ":");
	return into && block_end(p) && body(p, into, ends) && jinja_parse_next(p);
}

static struct jinja_node *parse_if(struct jinja_parser *p)
{
	static const char *const ends[] = { "elif", "else", "endif", NULL }, *const last[] = { "endif", NULL };
	struct jinja_node *n = jinja_parse_node(p, NODE_IF);
	bool is_else = false;

	while (n && !p->failed) {
		struct jinja_node *branch = jinja_parse_node(p, NODE_BRANCH);

		if (!branch)
			return NULL;
		if (!is_else) {
			branch->a = jinja_parse_tuple(p, false, NULL, false);
			if (!branch->a)
				return NULL;
		}
		jinja_parse_skip(p, ":");
		if (!block_end(p) || !body(p, branch, is_else ? last : ends) ||
		    !jinja_parse_append(p, n, jinja_parse_done(p, branch)))
			return NULL;
		is_else = jinja_parse_is_name(p, "else");
		if (jinja_parse_skip_name(p, "endif"))
			return jinja_parse_done(p, n);
		jinja_parse_next(p);
	}
	return NULL;
}

static bool for_head(struct jinja_parser *p, struct jinja_node *n)
{
	n->a = jinja_parse_target(p, true, false, "in");
	if (!n->a)
		return false;
	if (!jinja_parse_skip_name(p, "in"))
		return jinja_parse_unexpected(p, "in");
	n->b = jinja_parse_tuple(p, false, "recursive", false);
	if (!n->b)
		return false;
	if (jinja_parse_skip_name(p, "if")) {
		n->c = jinja_parse_expression(p, true);
		if (!n->c)
			return false;
	}
	n->is_recursive = jinja_parse_skip_name(p, "recursive");
	jinja_parse_skip(p, ":");
	return block_end(p);
}

static struct jinja_node *parse_for(struct jinja_parser *p)
{
	static const char *const ends[] = { "endfor", "else", NULL }, *const last[] = { "endfor", NULL };
	struct jinja_node *n = jinja_parse_node(p, NODE_FOR), *other;
	bool ok;

	if (!n || !for_head(p, n))
		return NULL;
	p->n_loop++;
	ok = body(p, n, ends);
	p->n_loop--;
	if (!ok)
		return NULL;
	if (jinja_parse_skip_name(p, "else")) {
		other = jinja_parse_node(p, NODE_SCOPE);
		jinja_parse_skip(p, ":");
		if (!block_end(p) || !body(p, other, last))
			return NULL;
		n->other = other->list;
		n->n_other = other->n_list;
	}
	jinja_parse_next(p);
	return jinja_parse_done(p, n);
}

static struct jinja_node *parse_set(struct jinja_parser *p)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_SET);

	if (!n)
		return NULL;
	n->a = jinja_parse_target(p, true, true, NULL);
	if (!n->a)
		return NULL;
	if (jinja_parse_skip(p, "=")) {
		n->b = jinja_parse_tuple(p, true, NULL, false);
		return n->b ? jinja_parse_done(p, n) : NULL;
	}
	n->type = NODE_SET_BLOCK;
	n->b = jinja_parse_filters(p, NULL, false);
	if (p->failed || !whole_body(p, n, "endset"))
		return NULL;
	return jinja_parse_done(p, n);
}

static struct jinja_node *parse_with(struct jinja_parser *p)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_WITH), *targets = jinja_parse_node(p, NODE_TUPLE),
			  *values = jinja_parse_node(p, NODE_TUPLE);

	while (values && !p->failed && p->now.type != TOKEN_BLOCK_END) {
		if (targets->n_list && !jinja_parse_expect(p, ","))
			return NULL;
		if (!jinja_parse_append(p, targets, jinja_parse_target(p, true, false, NULL)) ||
		    !jinja_parse_expect(p, "=") || !jinja_parse_append(p, values, jinja_parse_expression(p, true)))
			return NULL;
	}
	if (!values || p->failed)
		return NULL;
	n->a = jinja_parse_done(p, targets);
	n->other = values->list;
	n->n_other = values->n_list;
	return whole_body(p, n, "endwith") ? jinja_parse_done(p, n) : NULL;
}

/* "(a, b=1)" as parameters. */
static bool signature(struct jinja_parser *p, struct jinja_node *n)
{
	struct jinja_node *params = jinja_parse_node(p, NODE_TUPLE);
	bool defaults = false;

	if (!params || !jinja_parse_expect(p, "("))
		return false;
	n->macro->caller_param = -1;
	while (!p->failed && !jinja_parse_is(p, ")")) {
		struct jinja_node *param;

		if (params->n_list && !jinja_parse_expect(p, ","))
			return false;
		if (p->now.type != TOKEN_NAME)
			return jinja_parse_unexpected(p, "name");
		if (jinja_parse_is_name(p, "caller"))
			n->macro->caller_param = (int32_t)params->n_list;
		param = jinja_parse_name(p, p->now.p, p->now.n);
		if (!param || !jinja_parse_next(p))
			return false;
		if (jinja_parse_skip(p, "=")) {
			param->b = jinja_parse_expression(p, true);
			if (!param->b)
				return false;
			defaults = true;
		} else if (defaults) {
			return jinja_parse_fail(p, "non-default argument follows default argument");
		}
		if (!jinja_parse_append(p, params, jinja_parse_done(p, param)))
			return false;
	}
	n->other = n->macro->param = params->list;
	n->n_other = n->macro->n_param = params->n_list;
	return jinja_parse_expect(p, ")");
}

static struct jinja_node *new_macro(struct jinja_parser *p)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_MACRO);

	if (!n)
		return NULL;
	n->macro = jinja_keep(p->t, sizeof(*n->macro));
	if (!n->macro)
		return jinja_parse_fail(p, "no memory for the template");
	n->macro->caller_param = -1;
	return n;
}

static bool macro_body(struct jinja_parser *p, struct jinja_node *n, const char *end)
{
	uint32_t n_loop = p->n_loop;
	bool ok;

	p->n_loop = 0;
	ok = whole_body(p, n, end);
	p->n_loop = n_loop;
	return ok;
}

static struct jinja_node *parse_macro(struct jinja_parser *p)
{
	struct jinja_node *n = new_macro(p);

	if (!n)
		return NULL;
	if (p->now.type != TOKEN_NAME)
		return jinja_parse_unexpected(p, "name");
	n->a = jinja_parse_name(p, p->now.p, p->now.n);
	jinja_parse_next(p);
	if (!n->a || !signature(p, n) || !macro_body(p, n, "endmacro"))
		return NULL;
	n->value = n->a->value;
	return jinja_parse_done(p, n);
}

static struct jinja_node *parse_call(struct jinja_parser *p)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_CALL_BLOCK), *macro = new_macro(p);

	if (!n || !macro || (jinja_parse_is(p, "(") && !signature(p, macro)))
		return NULL;
	n->a = jinja_parse_expression(p, true);
	if (!n->a)
		return NULL;
	if (n->a->type != NODE_CALL)
		return jinja_parse_fail(p, "expected call");
	if (!macro_body(p, macro, "endcall"))
		return NULL;
	macro->value = jinja_parse_word(p, "caller", 6);
	n->b = jinja_parse_done(p, macro);
	return jinja_parse_done(p, n);
}

static struct jinja_node *parse_filter(struct jinja_parser *p)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_FILTER_BLOCK);

	if (!n)
		return NULL;
	n->a = jinja_parse_filters(p, NULL, true);
	return n->a && whole_body(p, n, "endfilter") ? jinja_parse_done(p, n) : NULL;
}

static struct jinja_node *parse_generation(struct jinja_parser *p)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_SCOPE);

	return macro_body(p, n, "endgeneration") ? jinja_parse_done(p, n) : NULL;
}

static struct jinja_node *parse_print(struct jinja_parser *p)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_OUTPUT);

	while (n && !p->failed && p->now.type != TOKEN_BLOCK_END) {
		if (n->n_list && !jinja_parse_expect(p, ","))
			return NULL;
		if (!jinja_parse_append(p, n, jinja_parse_expression(p, true)))
			return NULL;
	}
	return jinja_parse_done(p, n);
}

static struct jinja_node *leave_loop(struct jinja_parser *p, enum jinja_node_type type)
{
	if (!p->n_loop)
		return jinja_parse_fail(p, "'%s' outside loop", type == NODE_BREAK ? "break" : "continue");
	return jinja_parse_node(p, type);
}

static struct jinja_node *parse_break(struct jinja_parser *p)
{
	return leave_loop(p, NODE_BREAK);
}

static struct jinja_node *parse_continue(struct jinja_parser *p)
{
	return leave_loop(p, NODE_CONTINUE);
}

static struct jinja_node *refused(struct jinja_parser *p)
{
	return jinja_parse_fail(p, "a chat template stands alone: this tag is refused");
}

static const struct tag {
	const char *name;
	struct jinja_node *(*parse)(struct jinja_parser *p); /* behind the name, up to the end of the block */
} tag[] = {
	{ "if", parse_if },
	{ "set", parse_set },
	{ "for", parse_for },
	{ "macro", parse_macro },
	{ "generation", parse_generation },
	{ "break", parse_break },
	{ "continue", parse_continue },
	{ "call", parse_call },
	{ "filter", parse_filter },
	{ "with", parse_with },
	{ "print", parse_print },
	{ "include", refused },
	{ "import", refused },
	{ "from", refused },
	{ "extends", refused },
	{ "block", refused },
	{ "autoescape", refused },
};

static struct jinja_node *statement(struct jinja_parser *p)
{
	struct jinja_node *n;

	if (p->now.type != TOKEN_NAME)
		return jinja_parse_fail(p, "tag name expected");
	for (size_t i = 0; i < sizeof(tag) / sizeof(tag[0]); i++) {
		if (!jinja_parse_is_name(p, tag[i].name))
			continue;
		if (tag[i].parse == refused)
			return jinja_parse_fail(p, "a chat template stands alone: '%s' is refused", tag[i].name);
		jinja_parse_next(p);
		if (!jinja_parse_deeper(p))
			return NULL;
		n = tag[i].parse(p);
		p->depth--;
		return n && block_end(p) ? n : NULL;
	}
	return jinja_parse_fail(p, "Encountered unknown tag '%.*s'.", (int)(p->now.n < 64 ? p->now.n : 64), p->now.p);
}

static struct jinja_node *output(struct jinja_parser *p)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_OUTPUT);

	jinja_parse_next(p);
	if (!jinja_parse_append(p, n, jinja_parse_tuple(p, true, NULL, false)))
		return NULL;
	if (p->now.type != TOKEN_VARIABLE_END)
		return p->failed ? NULL : jinja_parse_unexpected(p, "end of print statement");
	return jinja_parse_next(p) ? jinja_parse_done(p, n) : NULL;
}

static struct jinja_node *plain(struct jinja_parser *p)
{
	struct jinja_node *n = jinja_parse_node(p, NODE_TEXT);

	if (!n)
		return NULL;
	n->value = jinja_parse_word(p, p->now.p, p->now.n);
	return jinja_parse_next(p) ? n : NULL;
}

static bool body(struct jinja_parser *p, struct jinja_node *into, const char *const *end)
{
	while (!p->failed) {
		switch (p->now.type) {
		case TOKEN_END:
			if (end)
				jinja_parse_fail(p, "the template ends before '%s'", end[0]);
			return !end;
		case TOKEN_DATA:
			if (!p->now.n)
				jinja_parse_next(p);
			else if (!jinja_parse_append(p, into, plain(p)))
				return false;
			break;
		case TOKEN_VARIABLE_BEGIN:
			if (!jinja_parse_append(p, into, output(p)))
				return false;
			break;
		default:
			jinja_parse_next(p);
			if (is_one_of(p, end))
				return true;
			if (!jinja_parse_append(p, into, statement(p)))
				return false;
		}
	}
	return false;
}

bool jinja_parse_template(struct jinja_parser *p)
{
	p->t->root = jinja_parse_node(p, NODE_SCOPE);
	return p->t->root && body(p, p->t->root, NULL) && jinja_parse_done(p, p->t->root);
}
