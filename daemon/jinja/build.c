#include "daemon/jinja/build.h"

#include "daemon/jinja/utf8.h"

#include <stdio.h>

void jinja_build_init(struct jinja_build *b, struct jinja_scratch *s, size_t n)
{
	*b = (struct jinja_build){ .s = s, .cap = n, .all = true };
	if (n)
		b->p = jinja_alloc(s, n);
	if (!b->p)
		b->cap = 0;
}

static bool room(struct jinja_build *b, size_t n)
{
	size_t cap = b->cap < 64 ? 64 : 2 * b->cap;
	char *p;

	if (n <= b->cap - b->n)
		return true;
	while (cap - b->n < n)
		cap *= 2;
	p = jinja_grow(b->s, b->p, b->n, cap);
	if (!p)
		return false;
	b->p = p;
	if (b->mixed) {
		b->mark = jinja_grow(b->s, b->mark, b->n, cap);
		if (!b->mark)
			return false;
	}
	b->cap = cap;
	return true;
}

static bool mix(struct jinja_build *b)
{
	b->mark = jinja_alloc(b->s, b->cap);
	if (!b->mark)
		return false;
	memset(b->mark, b->all, b->n);
	b->mixed = true;
	return true;
}

bool jinja_add(struct jinja_build *b, const char *p, size_t n, const uint8_t *mark)
{
	bool is_all = mark == jinja_all, is_uniform = is_all || !mark;

	if (!n)
		return !jinja_failed(b->s);
	if (!jinja_step(b->s, n / 64) || n > UINT32_MAX - b->n || !room(b, n))
		return jinja_over(b->s, "memory for values");
	if (!b->n && is_uniform)
		b->all = is_all;
	if (!b->mixed && (!is_uniform || b->all != is_all) && !mix(b))
		return false;
	memcpy(b->p + b->n, p, n);
	if (b->mixed && is_uniform)
		memset(b->mark + b->n, is_all, n);
	else if (b->mixed)
		memcpy(b->mark + b->n, mark, n);
	b->n += n;
	return true;
}

bool jinja_add_word(struct jinja_build *b, const char *word)
{
	return jinja_add(b, word, strlen(word), NULL);
}

bool jinja_add_string(struct jinja_build *b, const struct jinja_value *string)
{
	return jinja_add(b, string->s.p, string->n, string->s.mark);
}

bool jinja_add_part(struct jinja_build *b, const struct jinja_value *string, size_t from, size_t to)
{
	return jinja_add(b, string->s.p + from, to - from, jinja_mark_at(string->s.mark, from));
}

bool jinja_add_fill(struct jinja_build *b, char c, size_t n)
{
	char some[64];

	memset(some, c, sizeof(some));
	for (; n > sizeof(some); n -= sizeof(some))
		if (!jinja_add(b, some, sizeof(some), NULL))
			return false;
	return jinja_add(b, some, n, NULL);
}

bool jinja_add_rune(struct jinja_build *b, uint32_t c, const uint8_t *mark)
{
	char bytes[4];

	return jinja_add(b, bytes, jinja_utf8_put(bytes, c), mark);
}

bool jinja_add_int(struct jinja_build *b, int64_t i)
{
	char text[24];

	return jinja_add(b, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)i), NULL);
}

bool jinja_add_escaped(struct jinja_build *b, const struct jinja_value *string)
{
	size_t from = 0;

	for (size_t i = 0; i < string->n; i++) {
		char c = string->s.p[i];
		const char *as = c == '&'    ? "&amp;"
				 : c == '<'  ? "&lt;"
				 : c == '>'  ? "&gt;"
				 : c == '\'' ? "&#39;"
				 : c == '"'  ? "&#34;"
					     : NULL;

		if (!as)
			continue;
		jinja_add_part(b, string, from, i);
		if (!jinja_add(b, as, strlen(as), jinja_mark_of(string->s.mark, i)))
			return false;
		from = i + 1;
	}
	return jinja_add_part(b, string, from, string->n);
}

struct jinja_value *jinja_built(struct jinja_build *b)
{
	if (jinja_failed(b->s))
		return NULL;
	return jinja_text(b->s, b->p ? b->p : "", b->n, b->mixed ? b->mark : b->n && b->all ? jinja_all : NULL);
}

struct jinja_value *jinja_str(struct jinja_scratch *s, struct jinja_value *v)
{
	struct jinja_build b;

	if (!v || v->kind == JINJA_STRING)
		return v;
	jinja_build_init(&b, s, 0);
	jinja_add_str(&b, v);
	return jinja_built(&b);
}

struct jinja_value *jinja_escape(struct jinja_scratch *s, struct jinja_value *v)
{
	struct jinja_value *text = jinja_str(s, v);
	struct jinja_build b;

	if (!text || (text->flags & JINJA_SAFE))
		return text;
	jinja_build_init(&b, s, text->n);
	jinja_add_escaped(&b, text);
	text = jinja_built(&b);
	if (text)
		text->flags |= JINJA_SAFE;
	return text;
}
