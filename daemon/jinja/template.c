/*
 * A template from its source: lines are made to end in \n, the last newline is dropped, as Jinja2 does; then parse, then resolve.
 */
#include "daemon/jinja/parse.h"
#include "daemon/jinja/scope.h"

#include "daemon/util/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_BYTES (8u << 10)
#define SOURCE_MAX  (4u << 20) /* the longest known is 30 KB */

void *jinja_keep(struct jinja *t, size_t n)
{
	struct jinja_chunk *c = t->chunk;
	void *p;

	n = (n + 7) & ~(size_t)7;
	if (!c || n > c->cap - c->used) {
		size_t cap = n > CHUNK_BYTES ? n : CHUNK_BYTES;

		c = calloc(1, sizeof(*c) + cap);
		if (!c)
			return NULL;
		c->cap = cap;
		c->next = t->chunk;
		t->chunk = c;
	}
	p = c->data + c->used;
	c->used += n;
	return p;
}

struct jinja *jinja_free(struct jinja *t)
{
	while (t && t->chunk) {
		struct jinja_chunk *c = t->chunk;

		t->chunk = c->next;
		free(c);
	}
	if (t)
		free(t->name);
	free(t);
	return NULL;
}

CLEANUP_FUNC(struct jinja *, jinja_free)

/* A zero byte stands in front, so that the lexer may look back by one. */
static bool take_source(struct jinja *t, const char *source, size_t n)
{
	char *to = jinja_keep(t, n + 2);
	size_t k = 0;

	if (!to)
		return false;
	t->source = ++to;
	for (size_t i = 0; i < n; i++)
		if (source[i] != '\r')
			to[k++] = source[i];
		else if (i + 1 == n || source[i + 1] != '\n')
			to[k++] = '\n';
	t->n_source = k && to[k - 1] == '\n' ? k - 1 : k;
	return true;
}

int jinja_new(struct jinja **tp, const char *source, size_t n, char *err, size_t err_len)
{
	_cleanup_(jinja_freep) struct jinja *t = calloc(1, sizeof(*t));
	struct jinja_parser p = { .t = t };

	if (n > SOURCE_MAX) {
		snprintf(err, err_len, "line 1: a template longer than %u bytes", SOURCE_MAX);
		return -EINVAL;
	}
	if (!t || !take_source(t, source, n))
		return -ENOMEM;
	p.x = (struct jinja_lexer){ .p = t->source,
				    .end = t->source + t->n_source,
				    .line = 1,
				    .line_starting = true,
				    .err = err,
				    .err_len = err_len };
	p.failed = !jinja_lex(&p.x, &p.now) || (p.now.type != TOKEN_END && !jinja_lex(&p.x, &p.next));
	if (p.failed || !jinja_parse_template(&p) || !jinja_resolve(t, &p.x))
		return -EINVAL;
	*tp = steal_ptr(t);
	return 0;
}
