/*
 * Scopes are opened where Jinja2's compiler opens a frame, and every name in them is bound to the slot of its symbol.
 */
#include "daemon/jinja/symbols.h"

#include <stdlib.h>

static void bind(struct resolver *r, struct jinja_node *n);

/* Whether a name is loaded in a tree before anything is stored to it: 1; -1: stored first; 0: neither. */
static int is_asked(const struct jinja_node *n, uint32_t name, bool is_target);

static int is_asked_list(struct jinja_node *const *list, uint32_t n, uint32_t name, bool is_target)
{
	int asked = 0;

	for (uint32_t i = 0; i < n && !asked; i++)
		asked = is_asked(list[i], name, is_target);
	return asked;
}

static int is_asked(const struct jinja_node *n, uint32_t name, bool is_target)
{
	bool stores = n->type == NODE_FOR || n->type == NODE_SET || n->type == NODE_SET_BLOCK || n->type == NODE_WITH;
	int asked = 0;

	if (n->type == NODE_NS_ATTR)
		return 0;
	if (n->type == NODE_NAME && n->number == name)
		return is_target ? -1 : 1;
	if (n->type == NODE_MACRO)
		asked = is_asked_list(n->other, n->n_other, name, true);
	else if (n->a)
		asked = is_asked(n->a, name, is_target || stores);
	if (!asked && n->b)
		asked = is_asked(n->b, name, false);
	if (!asked && n->c)
		asked = is_asked(n->c, name, false);
	if (!asked && n->type == NODE_WITH)
		asked = is_asked_list(n->other, n->n_other, name, false);
	if (!asked)
		asked = is_asked_list(n->list, n->n_list, name, is_target);
	if (!asked && n->type == NODE_FOR)
		asked = is_asked_list(n->other, n->n_other, name, false);
	return asked;
}

static bool asks_for(const struct jinja_node *n, uint32_t name)
{
	return is_asked_list(n->list, n->n_list, name, false) > 0;
}

/* The number of a name that the interpreter knows; SYMBOL_NONE: the template does not speak of it. */
static uint32_t number_of(const struct resolver *r, const char *word)
{
	size_t n = strlen(word);

	for (uint32_t i = 0; i < r->t->n_name; i++)
		if (r->t->name[i].n == n && !memcmp(r->t->name[i].p, word, n))
			return i;
	return SYMBOL_NONE;
}

/* The scope whose symbols begin at `from`: what it stores on entry. */
static struct jinja_scope *made(struct resolver *r, uint32_t from)
{
	struct jinja_scope *s = jinja_keep(r->t, sizeof(*s));

	if (s && r->n > from)
		s->load = jinja_keep(r->t, (r->n - from) * sizeof(*s->load));
	if (!s || (r->n > from && !s->load)) {
		r->failed = true;
		return NULL;
	}
	for (uint32_t i = from; i < r->n; i++) {
		const struct symbol *y = &r->symbol[i];

		if (y->load.type == LOAD_GLOBAL)
			r->t->name[y->name].is_global = true;
		if (y->load.type != LOAD_PARAM)
			s->load[s->n_load++] = y->load;
	}
	return s;
}

struct place { /* where a scope was opened */
	uint32_t n, n_flip;
	struct jinja_function *function;
	bool soft;
};

static struct place open_scope(struct resolver *r, struct jinja_function *function)
{
	struct place was = { r->n, r->n_flip, r->function, r->soft };

	r->scope++;
	r->soft = false;
	if (function) {
		r->function = function;
		r->depth++;
	}
	return was;
}

static void close_scope(struct resolver *r, struct place was)
{
	symbol_pop_to(r, was.n);
	r->scope--;
	r->n_flip = was.n_flip;
	if (r->function != was.function)
		r->depth--;
	r->function = was.function;
	r->soft = was.soft;
}

static void bind_list(struct resolver *r, struct jinja_node *const *list, uint32_t n)
{
	for (uint32_t i = 0; i < n && !r->failed; i++)
		bind(r, list[i]);
}

/* The test of a loop has a scope of its own, with the loop's variables in the same slots. */
static void again(struct resolver *r, const struct jinja_node *n)
{
	if (n->type == NODE_NAME)
		symbol_push(r, n->number, (struct jinja_load){ .type = LOAD_PARAM, .slot = n->slot }, true);
	for (uint32_t i = 0; n->type == NODE_TUPLE && i < n->n_list && !r->failed; i++)
		again(r, n->list[i]);
}

static void bind_for_test(struct resolver *r, struct jinja_node *n, struct jinja_function *function)
{
	struct place was = open_scope(r, function);

	again(r, n->a);
	symbol_look(r, n->c);
	n->test_scope = made(r, was.n);
	bind(r, n->c);
	close_scope(r, was);
}

static void bind_for_else(struct resolver *r, struct jinja_node *n, struct jinja_function *function)
{
	struct place was = open_scope(r, function);

	symbol_look_list(r, n->other, n->n_other);
	n->else_scope = made(r, was.n);
	bind_list(r, n->other, n->n_other);
	close_scope(r, was);
}

static void bind_for(struct resolver *r, struct jinja_node *n)
{
	uint32_t loop = number_of(r, "loop");
	struct jinja_function *function = NULL;
	struct place was;

	bind(r, n->b);
	if (n->is_recursive) {
		function = n->function = jinja_keep(r->t, sizeof(*function));
		r->failed |= !function;
	}
	was = open_scope(r, function);
	n->is_loop_used = loop != SYMBOL_NONE && (n->is_recursive || asks_for(n, loop));
	if (n->is_loop_used)
		symbol_look_param(r, loop);
	if (n->is_loop_used && !r->failed)
		n->slot = r->symbol[symbol_own(r, loop)].load.slot;
	symbol_look_target(r, n->a, true);
	symbol_look_list(r, n->list, n->n_list);
	n->scope = made(r, was.n);
	bind(r, n->a);
	bind_list(r, n->list, n->n_list);
	close_scope(r, was);
	if (n->c && !r->failed)
		bind_for_test(r, n, function);
	if (n->n_other && !r->failed)
		bind_for_else(r, n, function);
}

static void bind_macro(struct resolver *r, struct jinja_node *n)
{
	static const char *const word[] = { "caller", "kwargs", "varargs" };
	int64_t *slot[] = { &n->macro->caller, &n->macro->kwargs, &n->macro->varargs };
	struct place was = open_scope(r, &n->macro->function);

	for (uint32_t i = 0; i < n->n_other; i++)
		symbol_look_param(r, n->other[i]->number);
	for (uint32_t i = 0; i < n->n_other; i++)
		if (n->other[i]->b)
			symbol_look(r, n->other[i]->b);
	symbol_look_list(r, n->list, n->n_list);
	for (int i = 0; i < 3; i++) {
		uint32_t name = number_of(r, word[i]);
		bool is_param = false;

		*slot[i] = -1;
		for (uint32_t k = 0; k < n->n_other; k++)
			is_param |= n->other[k]->number == name;
		if (name == SYMBOL_NONE || is_param || !asks_for(n, name) || r->failed)
			continue;
		symbol_look_param(r, name);
		if (!r->failed)
			*slot[i] = r->symbol[symbol_own(r, name)].load.slot;
	}
	n->scope = made(r, was.n);
	for (uint32_t i = 0; i < n->n_other && !r->failed; i++)
		bind(r, n->other[i]);
	bind_list(r, n->list, n->n_list);
	close_scope(r, was);
}

/* The body of a statement that opens a scope within the function; the names that it stores to are looked at first. */
static void bind_body(struct resolver *r, struct jinja_node *n)
{
	struct place was = open_scope(r, NULL);

	if (n->type == NODE_WITH)
		symbol_look_target(r, n->a, true);
	symbol_look_list(r, n->list, n->n_list);
	if (n->type == NODE_FILTER_BLOCK)
		symbol_look(r, n->a);
	if (n->type == NODE_SET_BLOCK && n->b)
		symbol_look(r, n->b);
	n->scope = made(r, was.n);
	if (n->type == NODE_WITH || n->type == NODE_FILTER_BLOCK)
		bind(r, n->a);
	if (n->type == NODE_SET_BLOCK && n->b)
		bind(r, n->b);
	bind_list(r, n->list, n->n_list);
	close_scope(r, was);
}

static void bind_name(struct resolver *r, struct jinja_node *n)
{
	uint32_t i = r->innermost[n->number];

	if (i == SYMBOL_NONE) {
		r->failed =
			!jinja_lex_fail(r->x, n->line, "the name '%.*s' has no place", (int)n->value->n, n->value->s.p);
		return;
	}
	n->slot = r->symbol[i].load.slot;
	n->up = (uint16_t)(r->depth - r->symbol[i].function);
}

static void bind_parts(struct resolver *r, struct jinja_node *n)
{
	bool is_condition = n->type == NODE_IF || n->type == NODE_IF_ELSE, soft = r->soft;

	if ((n->type == NODE_FILTER || n->type == NODE_TEST) && !n->row && !soft)
		r->failed =
			!jinja_lex_fail(r->x, n->line, "No %s named '%.*s'.",
					n->type == NODE_FILTER ? "filter" : "test", (int)n->value->n, n->value->s.p);
	r->soft |= is_condition;
	if (n->a)
		bind(r, n->a);
	if (n->b && !r->failed)
		bind(r, n->b);
	if (n->c && !r->failed)
		bind(r, n->c);
	bind_list(r, n->list, n->n_list);
	r->soft = soft;
}

static void bind(struct resolver *r, struct jinja_node *n)
{
	if (r->failed) /* names looked at from then on may have no symbol */
		return;
	switch (n->type) {
	case NODE_NAME:
		bind_name(r, n);
		if (n->b) /* a parameter's default */
			bind(r, n->b);
		break;
	case NODE_FOR:
		bind_for(r, n);
		break;
	case NODE_MACRO:
		if (n->a)
			bind(r, n->a);
		bind_macro(r, n);
		break;
	case NODE_WITH:
		bind_list(r, n->other, n->n_other);
		bind_body(r, n);
		break;
	case NODE_SET_BLOCK:
		bind_body(r, n);
		bind(r, n->a);
		break;
	case NODE_FILTER_BLOCK:
	case NODE_SCOPE:
		bind_body(r, n);
		break;
	default:
		bind_parts(r, n);
	}
}

bool jinja_resolve(struct jinja *t, struct jinja_lexer *x)
{
	struct resolver r = { .t = t, .x = x };
	struct place was;

	r.innermost = malloc((t->n_name + 1) * sizeof(*r.innermost));
	r.failed = !r.innermost;
	for (uint32_t i = 0; r.innermost && i < t->n_name; i++)
		r.innermost[i] = SYMBOL_NONE;
	if (!r.failed) {
		was = open_scope(&r, &t->function);
		symbol_look_list(&r, t->root->list, t->root->n_list);
		t->root->scope = made(&r, was.n);
		bind_list(&r, t->root->list, t->root->n_list);
	}
	if (r.failed)
		jinja_lex_fail(x, 1, "no memory for the template");
	free(r.innermost);
	free(r.symbol);
	free(r.flip);
	return !r.failed;
}
