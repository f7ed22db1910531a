/*
 * The ground of the parser's halves: tokens, nodes, names, failure.
 */
#include "daemon/jinja/parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void *jinja_parse_fail(struct jinja_parser *p, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	jinja_lex_fail(&p->x, p->now.line, "%s", text);
	p->failed = true;
	return NULL;
}

static const char *token_name(const struct jinja_token *t)
{
	switch (t->type) {
	case TOKEN_END:
		return "end of template";
	case TOKEN_DATA:
		return "template data / text";
	case TOKEN_BLOCK_BEGIN:
		return "begin of statement block";
	case TOKEN_BLOCK_END:
		return "end of statement block";
	case TOKEN_VARIABLE_BEGIN:
		return "begin of print statement";
	case TOKEN_VARIABLE_END:
		return "end of print statement";
	default:
		return NULL;
	}
}

void *jinja_parse_unexpected(struct jinja_parser *p, const char *wanted)
{
	const char *name = token_name(&p->now);
	int n = name ? (int)strlen(name) : (int)p->now.n;

	if (!name)
		name = p->now.p;
	if (n > 100)
		n = 100;
	if (wanted)
		return jinja_parse_fail(p, "expected token '%s', got '%.*s'", wanted, n, name);
	return jinja_parse_fail(p, "unexpected '%.*s'", n, name);
}

bool jinja_parse_next(struct jinja_parser *p)
{
	p->now = p->next;
	if (p->failed)
		return false;
	if (p->now.type != TOKEN_END && !jinja_lex(&p->x, &p->next))
		p->failed = true;
	return !p->failed;
}

static bool token_is(const struct jinja_token *t, enum jinja_token_type type, const char *word)
{
	return t->type == type && t->n == strlen(word) && !memcmp(t->p, word, t->n);
}

bool jinja_parse_is_name(const struct jinja_parser *p, const char *name)
{
	return token_is(&p->now, TOKEN_NAME, name);
}

bool jinja_parse_is(const struct jinja_parser *p, const char *op)
{
	return token_is(&p->now, TOKEN_OPERATOR, op);
}

bool jinja_parse_skip_name(struct jinja_parser *p, const char *name)
{
	return jinja_parse_is_name(p, name) && jinja_parse_next(p);
}

bool jinja_parse_skip(struct jinja_parser *p, const char *op)
{
	return jinja_parse_is(p, op) && jinja_parse_next(p);
}

bool jinja_parse_expect(struct jinja_parser *p, const char *op)
{
	if (jinja_parse_skip(p, op))
		return true;
	if (!p->failed)
		jinja_parse_unexpected(p, op);
	return false;
}

struct jinja_node *jinja_parse_node(struct jinja_parser *p, enum jinja_node_type type)
{
	struct jinja_node *n = p->failed ? NULL : jinja_keep(p->t, sizeof(*n));

	if (!n)
		return p->failed ? NULL : jinja_parse_fail(p, "no memory for the template");
	n->type = (uint8_t)type;
	n->line = p->now.line;
	n->height = 1;
	return n;
}

bool jinja_parse_append(struct jinja_parser *p, struct jinja_node *n, struct jinja_node *item)
{
	if (!n || !item || p->failed)
		return false;
	if (n->n_list == n->n_cap) {
		uint32_t cap = n->n_cap ? 2 * n->n_cap : 2;
		struct jinja_node **list = jinja_keep(p->t, cap * sizeof(*list));

		if (!list)
			return jinja_parse_fail(p, "no memory for the template");
		if (n->n_list)
			memcpy(list, n->list, n->n_list * sizeof(*list));
		n->list = list;
		n->n_cap = cap;
	}
	n->list[n->n_list++] = item;
	if (item->height >= n->height)
		n->height = item->height + 1;
	return true;
}

struct jinja_node *jinja_parse_done(struct jinja_parser *p, struct jinja_node *n)
{
	const struct jinja_node *child[3];

	if (!n || p->failed)
		return NULL;
	child[0] = n->a;
	child[1] = n->b;
	child[2] = n->c;
	for (int i = 0; i < 3; i++)
		if (child[i] && child[i]->height >= n->height)
			n->height = child[i]->height + 1;
	for (uint32_t i = 0; i < n->n_other; i++)
		if (n->other[i] && n->other[i]->height >= n->height)
			n->height = n->other[i]->height + 1;
	if (n->height > PARSE_HEIGHT_MAX)
		return jinja_parse_fail(p, "nested more than %d deep", PARSE_HEIGHT_MAX);
	return n;
}

bool jinja_parse_deeper(struct jinja_parser *p)
{
	if (p->depth >= PARSE_HEIGHT_MAX)
		jinja_parse_fail(p, "nested more than %d deep", PARSE_HEIGHT_MAX);
	if (p->failed)
		return false;
	p->depth++;
	return true;
}

struct jinja_value *jinja_parse_word(struct jinja_parser *p, const char *at, size_t n)
{
	struct jinja_value *v = jinja_keep(p->t, sizeof(*v));

	if (!v)
		return jinja_parse_fail(p, "no memory for the template");
	v->kind = JINJA_STRING;
	v->n = (uint32_t)n;
	v->s.p = at;
	v->s.mark = jinja_all;
	return v;
}

static bool name_room(struct jinja_parser *p)
{
	uint32_t cap = p->t->name_cap ? 2 * p->t->name_cap : 32;
	struct jinja_name *name;

	if (p->t->n_name < p->t->name_cap)
		return true;
	if (p->t->n_name >= JINJA_NAMES_MAX)
		return jinja_parse_fail(p, "more than %d names", JINJA_NAMES_MAX);
	name = realloc(p->t->name, cap * sizeof(*name));
	if (!name)
		return jinja_parse_fail(p, "no memory for the template");
	p->t->name = name;
	p->t->name_cap = cap;
	return true;
}

/* The number of a name, made known if it is new. -1: too many. */
static int64_t name_number(struct jinja_parser *p, const char *at, size_t n)
{
	uint32_t h = 2166136261u, i;
	struct jinja_name *to;

	for (size_t k = 0; k < n; k++)
		h = (h ^ (unsigned char)at[k]) * 16777619u;
	h = (h ^ h >> 13) % PARSE_BUCKETS;
	for (i = p->bucket[h]; i; i = p->t->name[i - 1].chain)
		if (p->t->name[i - 1].n == n && !memcmp(p->t->name[i - 1].p, at, n))
			return i - 1;
	if (!name_room(p))
		return -1;
	i = p->t->n_name++;
	to = &p->t->name[i];
	*to = (struct jinja_name){
		.p = at, .n = (uint32_t)n, .chain = p->bucket[h], .value = jinja_parse_word(p, at, n)
	};
	p->bucket[h] = i + 1;
	return to->value ? (int64_t)i : -1;
}

struct jinja_node *jinja_parse_name(struct jinja_parser *p, const char *at, size_t n)
{
	struct jinja_node *node = jinja_parse_node(p, NODE_NAME);
	int64_t number = node ? name_number(p, at, n) : -1;

	if (number < 0)
		return NULL;
	node->number = (uint32_t)number;
	node->value = p->t->name[number].value;
	return node;
}
