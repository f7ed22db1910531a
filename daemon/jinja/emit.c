/*
 * Text of a rendering and which ranges of it are the template's. Blocks whose text becomes a value write to the end of the same buffer, and
 * take their text off again.
 */
#include "daemon/jinja/eval.h"

static bool add_range(struct jinja_scratch *s, size_t from, size_t to)
{
	struct jinja_range *last = s->n_range > s->range_base ? &s->range[s->n_range - 1] : NULL;

	if (last && last->end == from) {
		last->end = (uint32_t)to;
		return true;
	}
	if (s->n_range == s->range_cap)
		return jinja_over(s, "changes between its own text and that of others");
	s->range[s->n_range++] = (struct jinja_range){ (uint32_t)from, (uint32_t)to };
	return true;
}

bool jinja_emit(struct jinja_scratch *s, const char *p, size_t n, const uint8_t *mark)
{
	size_t at = s->n_out;

	if (!jinja_step(s, n / 64))
		return false;
	if (n > s->limit.output_bytes - at)
		return jinja_over(s, "text");
	if (!n)
		return true;
	memcpy(s->out + at, p, n);
	s->n_out += n;
	if (!mark)
		return true;
	if (mark == jinja_all)
		return add_range(s, at, at + n);
	for (size_t i = 0, from; i < n; i++) {
		if (!mark[i])
			continue;
		for (from = i; i < n && mark[i]; i++)
			;
		if (!add_range(s, at + from, at + i))
			return false;
	}
	return true;
}

struct jinja_capture jinja_capture_begin(struct jinja_scratch *s)
{
	struct jinja_capture was = { s->n_out, s->n_range, s->range_base };

	s->range_base = s->n_range;
	return was;
}

static const uint8_t *marks(struct jinja_scratch *s, const struct jinja_range *r, size_t n_range, size_t base, size_t n)
{
	uint8_t *mark;

	if (!n_range)
		return NULL;
	if (n_range == 1 && r->begin == base && r->end == base + n)
		return jinja_all;
	mark = jinja_alloc(s, n);
	if (!mark)
		return NULL;
	memset(mark, 0, n);
	for (size_t i = 0; i < n_range; i++)
		memset(mark + r[i].begin - base, 1, r[i].end - r[i].begin);
	return mark;
}

struct jinja_value *jinja_capture_end(struct jinja_scratch *s, struct jinja_capture was)
{
	size_t n = s->n_out - was.n_out;
	const uint8_t *mark = marks(s, s->range + was.n_range, s->n_range - was.n_range, was.n_out, n);
	char *p = jinja_alloc(s, n);

	if (p && n)
		memcpy(p, s->out + was.n_out, n);
	s->n_out = was.n_out;
	s->n_range = was.n_range;
	s->range_base = was.range_base;
	return p && jinja_step(s, n / 64) ? jinja_text(s, p, n, mark) : NULL;
}
