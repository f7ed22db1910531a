/*
 * Jinja2 compiles a template into functions of Python, and what a name means follows from that: a scope (the template, the body of a
 * for, with, macro, call, filter, or set block) first looks at all names in its own statements, in order, without going into the
 * scopes inside, and decides what each is on entry.
 *
 *   stored before it is loaded    a variable of this scope: what an outer scope's variable of that name is (alias), else nothing
 *   loaded first, known outside   the outer variable itself
 *   loaded first, not known       what the name means outside the template (global)
 *   stored in a branch of an if   as an alias or a global, since the branch may not be taken
 *
 * Then its statements are walked again and each name is bound. Symbols of the scopes around are one stack; each name knows its
 * innermost symbol, and each symbol the one it hides.
 */
#include "daemon/jinja/scope.h"

#include <errno.h>
#include <stdlib.h>

#define NONE UINT32_MAX

struct symbol {
	uint32_t name, hides; /* hides: a symbol, or NONE */
	uint32_t scope;       /* how deep */
	uint16_t function;    /* how deep */
	bool stored;
	struct jinja_load load;
};

struct seen { /* what a branch did to a name */
	struct symbol symbol;
	bool is_new;
};

struct resolver {
	struct jinja *t;
	struct jinja_lexer *x;
	struct symbol *symbol;
	uint32_t n, cap;
	uint32_t *innermost; /* [n_name] symbols, or NONE */
	uint32_t *flip;      /* symbols older than the innermost branch that it stored to */
	uint32_t n_flip, flip_cap;
	uint32_t scope;
	uint16_t depth; /* of functions */
	struct jinja_function *function;
	bool soft; /* inside a condition: what is unknown fails only when it is reached */
	bool failed;
};

static void look(struct resolver *r, const struct jinja_node *n);
static void bind(struct resolver *r, struct jinja_node *n);

static void *grown(struct resolver *r, void *p, uint32_t n, uint32_t *cap, size_t size)
{
	void *q = p;

	if (n < *cap)
		return p;
	*cap = *cap ? 2 * *cap : 64;
	q = realloc(p, *cap * size);
	if (q)
		return q;
	r->failed = true;
	*cap = n;
	return p;
}

/* The symbol that a name means in this scope's own table, or in those around it; NONE. */
static uint32_t own(const struct resolver *r, uint32_t name)
{
	uint32_t i = r->innermost[name];

	return i != NONE && r->symbol[i].scope == r->scope ? i : NONE;
}

static uint32_t outer(const struct resolver *r, uint32_t name)
{
	uint32_t i = r->innermost[name];

	return i != NONE && r->symbol[i].scope == r->scope ? r->symbol[i].hides : i;
}

static void push(struct resolver *r, uint32_t name, struct jinja_load load, bool stored)
{
	r->symbol = grown(r, r->symbol, r->n, &r->cap, sizeof(*r->symbol));
	if (r->failed)
		return;
	r->symbol[r->n] = (struct symbol){ .name = name,
					   .hides = r->innermost[name],
					   .scope = r->scope,
					   .function = r->depth,
					   .stored = stored,
					   .load = load };
	r->innermost[name] = r->n++;
}

static void pop_to(struct resolver *r, uint32_t n)
{
	while (r->n > n) {
		r->n--;
		r->innermost[r->symbol[r->n].name] = r->symbol[r->n].hides;
	}
}

static void define(struct resolver *r, uint32_t name, enum jinja_load_type type, bool stored)
{
	push(r, name, (struct jinja_load){ .type = (uint8_t)type, .slot = r->function->n_slot++, .from = name },
	     stored);
}

/* As an outer variable is, or else as `otherwise` says. */
static struct jinja_load inherited(const struct resolver *r, uint32_t name, uint32_t slot,
				   enum jinja_load_type otherwise)
{
	uint32_t o = outer(r, name);

	if (o == NONE)
		return (struct jinja_load){ .type = (uint8_t)otherwise, .slot = slot, .from = name };
	return (struct jinja_load){ .type = LOAD_ALIAS,
				    .up = (uint16_t)(r->depth - r->symbol[o].function),
				    .slot = slot,
				    .from = r->symbol[o].load.slot };
}

static void mark_stored(struct resolver *r, uint32_t i)
{
	if (r->symbol[i].stored)
		return;
	r->symbol[i].stored = true;
	r->flip = grown(r, r->flip, r->n_flip, &r->flip_cap, sizeof(*r->flip));
	if (!r->failed)
		r->flip[r->n_flip++] = i;
}

static void look_store(struct resolver *r, uint32_t name)
{
	uint32_t i = own(r, name);

	if (i != NONE)
		mark_stored(r, i);
	else
		push(r, name, inherited(r, name, r->function->n_slot++, LOAD_NOTHING), true);
}

static void look_load(struct resolver *r, uint32_t name)
{
	if (r->innermost[name] == NONE)
		define(r, name, LOAD_GLOBAL, false);
}

static void look_param(struct resolver *r, uint32_t name)
{
	uint32_t i = own(r, name);

	if (i == NONE) {
		define(r, name, LOAD_PARAM, true);
	} else {
		mark_stored(r, i);
		r->symbol[i].load.type = LOAD_PARAM;
	}
}

static void look_target(struct resolver *r, const struct jinja_node *n, bool is_param)
{
	if (n->type == NODE_NS_ATTR)
		look_load(r, n->a->number);
	else if (n->type == NODE_NAME && is_param)
		look_param(r, n->number);
	else if (n->type == NODE_NAME)
		look_store(r, n->number);
	else
		for (uint32_t i = 0; i < n->n_list; i++)
			look_target(r, n->list[i], is_param);
}

static void look_list(struct resolver *r, struct jinja_node *const *list, uint32_t n)
{
	for (uint32_t i = 0; i < n && !r->failed; i++)
		look(r, list[i]);
}

struct branches {
	struct seen *at;
	uint32_t n, cap;
};

static void note(struct resolver *r, struct branches *b, const struct symbol *s, bool is_new)
{
	b->at = grown(r, b->at, b->n, &b->cap, sizeof(*b->at));
	if (!r->failed)
		b->at[b->n++] = (struct seen){ *s, is_new };
}

/* Takes back what a branch that began at these marks did, and notes it. */
static void take_back(struct resolver *r, struct branches *b, uint32_t n, uint32_t n_flip)
{
	for (uint32_t i = n; i < r->n; i++)
		note(r, b, &r->symbol[i], true);
	while (r->n_flip > n_flip) {
		uint32_t i = r->flip[--r->n_flip];

		if (i < n) {
			note(r, b, &r->symbol[i], false);
			r->symbol[i].stored = false;
		}
	}
	pop_to(r, n);
}

static void merge(struct resolver *r, const struct branches *b)
{
	for (uint32_t k = 0; k < b->n && !r->failed; k++) {
		const struct seen *s = &b->at[k];
		uint32_t i = own(r, s->symbol.name);

		if (i == NONE)
			push(r, s->symbol.name, s->symbol.load, false);
		else if (s->is_new)
			r->symbol[i].load = s->symbol.load;
	}
	for (uint32_t k = 0; k < b->n && !r->failed; k++) {
		uint32_t i = own(r, b->at[k].symbol.name);

		if (!b->at[k].symbol.stored)
			continue;
		mark_stored(r, i);
		r->symbol[i].load = inherited(r, r->symbol[i].name, r->symbol[i].load.slot, LOAD_GLOBAL);
	}
}

static void look_branch(struct resolver *r, struct branches *all, const struct jinja_node *branch)
{
	uint32_t n = r->n, n_flip = r->n_flip;

	look_list(r, branch->list, branch->n_list);
	take_back(r, all, n, n_flip);
}

/* Jinja2 looks at each elif as an if of its own, in one branch for all of them. */
static void look_elifs(struct resolver *r, struct branches *all, const struct jinja_node *n)
{
	uint32_t mark = r->n, n_flip = r->n_flip;

	for (uint32_t i = 1; i < n->n_list && n->list[i]->a && !r->failed; i++) {
		struct branches one = { NULL };

		look(r, n->list[i]->a);
		look_branch(r, &one, n->list[i]);
		merge(r, &one);
		free(one.at);
	}
	take_back(r, all, mark, n_flip);
}

static void look_if(struct resolver *r, const struct jinja_node *n)
{
	const struct jinja_node *last = n->list[n->n_list - 1];
	struct branches all = { NULL };

	look(r, n->list[0]->a);
	look_branch(r, &all, n->list[0]);
	look_elifs(r, &all, n);
	if (!last->a)
		look_branch(r, &all, last);
	merge(r, &all);
	free(all.at);
}

static void look_parts(struct resolver *r, const struct jinja_node *n)
{
	if (n->a)
		look(r, n->a);
	if (n->b)
		look(r, n->b);
	if (n->c)
		look(r, n->c);
	look_list(r, n->list, n->n_list);
}

static void look(struct resolver *r, const struct jinja_node *n)
{
	switch (n->type) {
	case NODE_NAME:
		look_load(r, n->number);
		break;
	case NODE_IF:
		look_if(r, n);
		break;
	case NODE_FOR:
		look(r, n->b);
		break;
	case NODE_SET:
		look(r, n->b);
		look_target(r, n->a, false);
		break;
	case NODE_SET_BLOCK:
		look_target(r, n->a, false);
		break;
	case NODE_WITH:
		look_list(r, n->other, n->n_other);
		break;
	case NODE_MACRO:
		look_store(r, n->a->number);
		break;
	case NODE_CALL_BLOCK:
	case NODE_FILTER_BLOCK:
		look(r, n->a);
		break;
	case NODE_SCOPE:
		break;
	default:
		look_parts(r, n);
	}
}

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

/* The number of a name that the interpreter knows; NONE: the template does not speak of it. */
static uint32_t number_of(const struct resolver *r, const char *word)
{
	size_t n = strlen(word);

	for (uint32_t i = 0; i < r->t->n_name; i++)
		if (r->t->name[i].n == n && !memcmp(r->t->name[i].p, word, n))
			return i;
	return NONE;
}

/* What the scope whose symbols begin at `from` does on entry. */
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
	pop_to(r, was.n);
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
		push(r, n->number, (struct jinja_load){ .type = LOAD_PARAM, .slot = n->slot }, true);
	for (uint32_t i = 0; n->type == NODE_TUPLE && i < n->n_list && !r->failed; i++)
		again(r, n->list[i]);
}

static void bind_for_test(struct resolver *r, struct jinja_node *n, struct jinja_function *function)
{
	struct place was = open_scope(r, function);

	again(r, n->a);
	look(r, n->c);
	n->test_scope = made(r, was.n);
	bind(r, n->c);
	close_scope(r, was);
}

static void bind_for_else(struct resolver *r, struct jinja_node *n, struct jinja_function *function)
{
	struct place was = open_scope(r, function);

	look_list(r, n->other, n->n_other);
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
	n->is_loop_used = loop != NONE && (n->is_recursive || asks_for(n, loop));
	if (n->is_loop_used) {
		look_param(r, loop);
		n->slot = r->symbol[own(r, loop)].load.slot;
	}
	look_target(r, n->a, true);
	look_list(r, n->list, n->n_list);
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
		look_param(r, n->other[i]->number);
	for (uint32_t i = 0; i < n->n_other; i++)
		if (n->other[i]->b)
			look(r, n->other[i]->b);
	look_list(r, n->list, n->n_list);
	for (int i = 0; i < 3; i++) {
		uint32_t name = number_of(r, word[i]);
		bool is_param = false;

		*slot[i] = -1;
		for (uint32_t k = 0; k < n->n_other; k++)
			is_param |= n->other[k]->number == name;
		if (name == NONE || is_param || !asks_for(n, name) || r->failed)
			continue;
		look_param(r, name);
		if (!r->failed)
			*slot[i] = r->symbol[own(r, name)].load.slot;
	}
	n->scope = made(r, was.n);
	for (uint32_t i = 0; i < n->n_other && !r->failed; i++)
		bind(r, n->other[i]);
	bind_list(r, n->list, n->n_list);
	close_scope(r, was);
}

/* The body of a statement that opens a scope within the function; what it stores to is looked at first. */
static void bind_body(struct resolver *r, struct jinja_node *n)
{
	struct place was = open_scope(r, NULL);

	if (n->type == NODE_WITH)
		look_target(r, n->a, true);
	look_list(r, n->list, n->n_list);
	if (n->type == NODE_FILTER_BLOCK)
		look(r, n->a);
	if (n->type == NODE_SET_BLOCK && n->b)
		look(r, n->b);
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

	if (i == NONE) {
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
		r.innermost[i] = NONE;
	if (!r.failed) {
		was = open_scope(&r, &t->function);
		look_list(&r, t->root->list, t->root->n_list);
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
