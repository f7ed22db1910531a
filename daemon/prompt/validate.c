#include "daemon/prompt/validate.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define PENALTY_LAST_N_DEFAULT 64u

/* [off, off + len) inside [0, size), without overflow. */
static bool is_inside(uint32_t off, uint32_t len, uint32_t size)
{
	return len <= size && off <= size - len;
}

int validate_prompt(const struct gyre_sqe *sqe, const struct geometry *g)
{
	bool is_tokens = sqe->flags & GYRE_SQE_TOKENS;

	if (!is_inside(sqe->data_off, sqe->data_len, g->arena_bytes) ||
	    !is_inside(sqe->opts_off, sqe->opts_len, g->arena_bytes))
		return -EINVAL;
	if (sqe->opts_off % 8 || sqe->opts_len > VALIDATE_OPTIONS_MAX || sqe->target)
		return -EINVAL;
	if (is_tokens && ((sqe->flags & (GYRE_SQE_CHAT | GYRE_SQE_SPECIAL)) || sqe->data_len % 4))
		return -EINVAL;
	return (is_tokens ? sqe->data_len / 4 > g->n_ctx : sqe->data_len > g->text_max) ? -E2BIG : 0;
}

bool validate_is_bare(const struct gyre_sqe *sqe)
{
	return !sqe->flags && !sqe->max_tokens && !sqe->data_off && !sqe->data_len && !sqe->opts_off &&
	       !sqe->opts_len && !sqe->split;
}

static bool is_between(float x, float lo, float hi)
{
	return isfinite(x) && x >= lo && x <= hi;
}

static bool has_sane_floats(const struct gyre_options *o)
{
	return is_between(o->temperature, 0, 1000) && is_between(o->top_p, 0, 1) && is_between(o->min_p, 0, 1) &&
	       is_between(o->repetition_penalty, 0, 1000) && is_between(o->presence_penalty, -1000, 1000) &&
	       is_between(o->frequency_penalty, -1000, 1000);
}

static int take_bias(const uint8_t *p, const struct geometry *g, struct sampling *s)
{
	memcpy(s->bias, p, s->n_bias * sizeof(s->bias[0]));
	for (uint32_t i = 0; i < s->n_bias; i++) {
		/* -infinity bans a token; a NaN or +infinity would poison the softmax. */
		bool is_ban = isinf(s->bias[i].bias) && s->bias[i].bias < 0;

		if (s->bias[i].token >= g->n_vocab || (!is_ban && !is_between(s->bias[i].bias, -1e6f, 1e6f)))
			return -EINVAL;
	}
	return 0;
}

static int take_stops(const uint8_t *p, size_t len, struct sampling *s)
{
	for (uint32_t i = 0; i < s->n_stop; i++) {
		uint32_t n;

		if (len < 4)
			return -EINVAL;
		memcpy(&n, p, 4);
		p += 4;
		len -= 4;
		if (n == 0 || n > GYRE_STOP_BYTES_MAX || n > len)
			return -EINVAL;
		memcpy(s->stop[i], p, n);
		s->stop_len[i] = (uint8_t)n;
		n = (n + 3) & ~3u;
		if (n > len)
			return -EINVAL;
		p += n;
		len -= n;
	}
	return len ? -EINVAL : 0;
}

int validate_options(const uint8_t *opts, size_t len, const struct geometry *g, struct sampling *s)
{
	struct gyre_options o = { 0 };
	size_t bias_bytes;
	int r;

	memset(s, 0, offsetof(struct sampling, bias));
	s->penalty_last_n = PENALTY_LAST_N_DEFAULT;
	s->repetition_penalty = 1;
	if (!len)
		return 0;
	if (len < sizeof(o) || len > VALIDATE_OPTIONS_MAX)
		return -EINVAL;
	memcpy(&o, opts, sizeof(o));
	if (o.size != sizeof(o) || o.n_top > GYRE_TOP_MAX || o.n_bias > GYRE_BIAS_MAX || o.n_stop > GYRE_STOP_MAX ||
	    o.reserved[0] || o.reserved[1] || !has_sane_floats(&o))
		return -EINVAL;
	bias_bytes = o.n_bias * sizeof(struct gyre_bias);
	if (len - sizeof(o) < bias_bytes)
		return -EINVAL;
	s->temperature = o.temperature;
	s->top_p = o.top_p;
	s->min_p = o.min_p;
	s->repetition_penalty = o.repetition_penalty > 0 ? o.repetition_penalty : 1;
	s->presence_penalty = o.presence_penalty;
	s->frequency_penalty = o.frequency_penalty;
	s->top_k = o.top_k;
	s->n_top = o.n_top < g->n_vocab ? o.n_top : g->n_vocab;
	s->penalty_last_n = o.penalty_last_n ? o.penalty_last_n : PENALTY_LAST_N_DEFAULT;
	s->seed = o.seed;
	s->n_bias = o.n_bias;
	s->n_stop = o.n_stop;
	r = take_bias(opts + sizeof(o), g, s);
	if (r < 0)
		return r;
	return take_stops(opts + sizeof(o) + bias_bytes, len - sizeof(o) - bias_bytes, s);
}

int validate_tokens(const uint8_t *data, size_t n_byte, const struct geometry *g)
{
	if (n_byte % 4)
		return -EINVAL;
	for (size_t i = 0; i < n_byte; i += 4) {
		uint32_t id;

		memcpy(&id, data + i, 4);
		if (id >= g->n_vocab)
			return -EINVAL;
	}
	return 0;
}
