/*
 * Jinja2 compiles a template into functions of Python, and the meaning of a name follows from that: a scope (the template, the body of a
 * for, with, macro, call, filter, or set block) first looks at all names in its own statements, in order, without going into the
 * scopes inside, and decides what each is on entry.
 *
 *   stored before it is loaded    a variable of this scope: what an outer scope's variable of that name is (alias), else nothing
 *   loaded first, known outside   the outer variable itself
 *   loaded first, not known       what the name means outside the template (global)
 *   stored in a branch of an if   as an alias or a global, since the branch may not be taken
 *
 * Then its statements are walked again and each name is bound (scope.c). Symbols of the scopes around are one stack; each name knows its
 * innermost symbol, and each symbol the one it hides.
 */
#include "daemon/jinja/symbols.h"

#include <stdlib.h>

struct seen { /* a branch's change to a name */
	struct symbol symbol;
	bool is_new;
};

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

/* The symbol that a name means in this scope's own table, or in those around it; SYMBOL_NONE. */
uint32_t symbol_own(const struct resolver *r, uint32_t name)
{
	uint32_t i = r->innermost[name];

	return i != SYMBOL_NONE && r->symbol[i].scope == r->scope ? i : SYMBOL_NONE;
}

static uint32_t outer(const struct resolver *r, uint32_t name)
{
	uint32_t i = r->innermost[name];

	return i != SYMBOL_NONE && r->symbol[i].scope == r->scope ? r->symbol[i].hides : i;
}

void symbol_push(struct resolver *r, uint32_t name, struct jinja_load load, bool stored)
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

void symbol_pop_to(struct resolver *r, uint32_t n)
{
	while (r->n > n) {
		r->n--;
		r->innermost[r->symbol[r->n].name] = r->symbol[r->n].hides;
	}
}

static void define(struct resolver *r, uint32_t name, enum jinja_load_type type, bool stored)
{
	symbol_push(r, name, (struct jinja_load){ .type = (uint8_t)type, .slot = r->function->n_slot++, .from = name },
		    stored);
}

/* As an outer variable is, or else as `otherwise` says. */
static struct jinja_load inherited(const struct resolver *r, uint32_t name, uint32_t slot,
				   enum jinja_load_type otherwise)
{
	uint32_t o = outer(r, name);

	if (o == SYMBOL_NONE)
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
	uint32_t i = symbol_own(r, name);

	if (i != SYMBOL_NONE)
		mark_stored(r, i);
	else
		symbol_push(r, name, inherited(r, name, r->function->n_slot++, LOAD_NOTHING), true);
}

static void look_load(struct resolver *r, uint32_t name)
{
	if (r->innermost[name] == SYMBOL_NONE)
		define(r, name, LOAD_GLOBAL, false);
}

void symbol_look_param(struct resolver *r, uint32_t name)
{
	uint32_t i = symbol_own(r, name);

	if (i == SYMBOL_NONE) {
		define(r, name, LOAD_PARAM, true);
	} else {
		mark_stored(r, i);
		r->symbol[i].load.type = LOAD_PARAM;
	}
}

void symbol_look_target(struct resolver *r, const struct jinja_node *n, bool is_param)
{
	if (n->type == NODE_NS_ATTR)
		look_load(r, n->a->number);
	else if (n->type == NODE_NAME && is_param)
		symbol_look_param(r, n->number);
	else if (n->type == NODE_NAME)
		look_store(r, n->number);
	else
		for (uint32_t i = 0; i < n->n_list; i++)
			symbol_look_target(r, n->list[i], is_param);
}

void symbol_look_list(struct resolver *r, struct jinja_node *const *list, uint32_t n)
{
	for (uint32_t i = 0; i < n && !r->failed; i++)
		symbol_look(r, list[i]);
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

/* Takes back the changes of a branch that began at these marks, and notes them. */
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
	symbol_pop_to(r, n);
}

static void merge(struct resolver *r, const struct branches *b)
{
	for (uint32_t k = 0; k < b->n && !r->failed; k++) {
		const struct seen *s = &b->at[k];
		uint32_t i = symbol_own(r, s->symbol.name);

		if (i == SYMBOL_NONE)
			symbol_push(r, s->symbol.name, s->symbol.load, false);
		else if (s->is_new)
			r->symbol[i].load = s->symbol.load;
	}
	for (uint32_t k = 0; k < b->n && !r->failed; k++) {
		uint32_t i = symbol_own(r, b->at[k].symbol.name);

		if (!b->at[k].symbol.stored)
			continue;
		mark_stored(r, i);
		r->symbol[i].load = inherited(r, r->symbol[i].name, r->symbol[i].load.slot, LOAD_GLOBAL);
	}
}

static void look_branch(struct resolver *r, struct branches *all, const struct jinja_node *branch)
{
	uint32_t n = r->n, n_flip = r->n_flip;

	symbol_look_list(r, branch->list, branch->n_list);
	take_back(r, all, n, n_flip);
}

/* Jinja2 looks at each elif as an if of its own, in one branch for all of them. */
static void look_elifs(struct resolver *r, struct branches *all, const struct jinja_node *n)
{
	uint32_t mark = r->n, n_flip = r->n_flip;

	for (uint32_t i = 1; i < n->n_list && n->list[i]->a && !r->failed; i++) {
		struct branches one = { 0 };

		symbol_look(r, n->list[i]->a);
		look_branch(r, &one, n->list[i]);
		merge(r, &one);
		free(one.at);
	}
	take_back(r, all, mark, n_flip);
}

static void look_if(struct resolver *r, const struct jinja_node *n)
{
	const struct jinja_node *last = n->list[n->n_list - 1];
	struct branches all = { 0 };

	symbol_look(r, n->list[0]->a);
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
		symbol_look(r, n->a);
	if (n->b)
		symbol_look(r, n->b);
	if (n->c)
		symbol_look(r, n->c);
	symbol_look_list(r, n->list, n->n_list);
}

void symbol_look(struct resolver *r, const struct jinja_node *n)
{
	switch (n->type) {
	case NODE_NAME:
		look_load(r, n->number);
		break;
	case NODE_IF:
		look_if(r, n);
		break;
	case NODE_FOR:
		symbol_look(r, n->b);
		break;
	case NODE_SET:
		symbol_look(r, n->b);
		symbol_look_target(r, n->a, false);
		break;
	case NODE_SET_BLOCK:
		symbol_look_target(r, n->a, false);
		break;
	case NODE_WITH:
		symbol_look_list(r, n->other, n->n_other);
		break;
	case NODE_MACRO:
		look_store(r, n->a->number);
		break;
	case NODE_CALL_BLOCK:
	case NODE_FILTER_BLOCK:
		symbol_look(r, n->a);
		break;
	case NODE_SCOPE:
		break;
	default:
		look_parts(r, n);
	}
}
