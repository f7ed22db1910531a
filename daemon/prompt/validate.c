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

/* ---- an entry ---- */

int validate_refuse_unused(const char *op, const char *field, uint64_t value, struct words *w)
{
	return words_set(w, -EINVAL, "%s has no use for %s, which is %llu: leave it 0", op, field,
			 (unsigned long long)value);
}

/* The first that is not 0. */
static int refuse_field(const char *op, const struct gyre_sqe *sqe, struct words *w)
{
	const struct {
		const char *name;
		uint32_t value;
	} field[] = {
		{ "flags", sqe->flags & ~GYRE_SQE_LINK },
		{ "max_tokens", sqe->max_tokens },
		{ "data_off", sqe->data_off },
		{ "data_len", sqe->data_len },
		{ "opts_off", sqe->opts_off },
		{ "opts_len", sqe->opts_len },
		{ "split", sqe->split },
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(field) / sizeof(field[0]) && r == 0; i++)
		r = validate_unused(op, field[i].name, field[i].value, w);
	return r;
}

int validate_bare(const char *op, const struct gyre_sqe *sqe, struct words *w)
{
	bool is_bare = !((sqe->flags & ~GYRE_SQE_LINK) | sqe->max_tokens | sqe->data_off | sqe->data_len |
			 sqe->opts_off | sqe->opts_len | sqe->split);

	return is_bare ? 0 : refuse_field(op, sqe, w);
}

int validate_split(const char *op, const struct gyre_sqe *sqe, struct words *w)
{
	return sqe->flags & GYRE_SQE_FORK ? 0 : validate_unused(op, "split", sqe->split, w);
}

int validate_keep(const char *op, const struct gyre_sqe *sqe, struct words *w)
{
	if ((sqe->flags & GYRE_SQE_PIN) && !(sqe->flags & GYRE_SQE_KEEP))
		return words_set(w, -EINVAL, "flags are %#x: pinned (PIN) is what is kept (KEEP, with keep_ms)",
				 sqe->flags);
	if (!(sqe->flags & GYRE_SQE_KEEP))
		return validate_unused(op, "keep_ms", sqe->keep_ms, w);
	if (sqe->keep_ms && sqe->keep_ms <= GYRE_KEEP_MS_MAX)
		return 0;
	return words_set(w, -EINVAL, "keep_ms is %u: what is kept (GYRE_SQE_KEEP) is so for 1 to %u ms", sqe->keep_ms,
			 GYRE_KEEP_MS_MAX);
}

/* What lies in the arena. */
static int check_span(const char *what, uint32_t off, uint32_t len, const struct geometry *g, struct words *w)
{
	if (is_inside(off, len, g->arena_bytes))
		return 0;
	return words_set(w, -EINVAL, "%s_off %u and %s_len %u end at %llu, behind the arena's %u bytes", what, off,
			 what, len, (unsigned long long)off + len, g->arena_bytes);
}

static int check_place(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	int r = check_span("data", sqe->data_off, sqe->data_len, g, w);

	if (r == 0)
		r = check_span("opts", sqe->opts_off, sqe->opts_len, g, w);
	if (r == 0 && sqe->opts_off % 8)
		r = words_set(w, -EINVAL, "opts_off is %u: options begin at a multiple of 8", sqe->opts_off);
	if (r == 0 && sqe->opts_len > VALIDATE_OPTIONS_MAX)
		r = words_set(w, -EINVAL, "opts_len is %u: options with all biases and stop strings take at most %zu",
			      sqe->opts_len, VALIDATE_OPTIONS_MAX);
	return r;
}

static int check_ids(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	if (sqe->data_len % 4)
		return words_set(w, -EINVAL, "data_len is %u: token ids are 4 bytes each", sqe->data_len);
	if (sqe->data_len / 4 > g->n_ctx)
		return words_set(w, -E2BIG,
				 "the prompt has %u tokens, and the context %u positions: shorten it, or give gyred a "
				 "larger --ctx",
				 sqe->data_len / 4, g->n_ctx);
	return 0;
}

int validate_prompt(const char *op, const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	int r = check_place(sqe, g, w);

	if (r == 0 && !(sqe->flags & GYRE_SQE_FORK))
		r = validate_unused(op, "target", sqe->target, w);
	else if (r == 0 && (sqe->flags & GYRE_SQE_CHAT))
		r = words_set(w, -EINVAL,
			      "flags are %#x: a chat (CHAT) is rendered from its first message on, and goes on from no "
			      "other request (FORK): fork with the turn's own text (SPECIAL)",
			      sqe->flags);
	if (r < 0)
		return r;
	if ((sqe->flags & GYRE_SQE_TOKENS) && (sqe->flags & (GYRE_SQE_CHAT | GYRE_SQE_SPECIAL)))
		return words_set(w, -EINVAL,
				 "flags are %#x: token ids (GYRE_SQE_TOKENS) are neither messages (CHAT) nor text "
				 "with control tokens (SPECIAL)",
				 sqe->flags);
	if (sqe->flags & GYRE_SQE_TOKENS)
		return check_ids(sqe, g, w);
	if (sqe->data_len <= g->text_max)
		return 0;
	return words_set(w, -E2BIG,
			 "the prompt has %u bytes, and at most %u are read for a context of %u positions: shorten it, "
			 "or give gyred a larger --ctx",
			 sqe->data_len, g->text_max, g->n_ctx);
}

int validate_ids(const char *op, const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	int r = check_place(sqe, g, w);

	if (r == 0)
		r = validate_unused(op, "target", sqe->target, w);
	return r < 0 ? r : check_ids(sqe, g, w);
}

/* ---- options ---- */

static bool is_between(float x, float lo, float hi)
{
	return isfinite(x) && x >= lo && x <= hi;
}

static int check_numbers(const struct gyre_options *o, struct words *w)
{
	const struct {
		const char *name;
		float value, lo, hi;
	} number[] = {
		{ "temperature", o->temperature, 0, 1000 },
		{ "top_p", o->top_p, 0, 1 },
		{ "min_p", o->min_p, 0, 1 },
		{ "repetition_penalty", o->repetition_penalty, 0, 1000 },
		{ "presence_penalty", o->presence_penalty, -1000, 1000 },
		{ "frequency_penalty", o->frequency_penalty, -1000, 1000 },
	};

	for (size_t i = 0; i < sizeof(number) / sizeof(number[0]); i++)
		if (!is_between(number[i].value, number[i].lo, number[i].hi))
			return words_set(w, -EINVAL, "%s is %g: it may be %g to %g", number[i].name,
					 (double)number[i].value, (double)number[i].lo, (double)number[i].hi);
	return 0;
}

static int check_counts(const struct gyre_options *o, struct words *w)
{
	const struct {
		const char *name;
		uint32_t value, most;
	} count[] = {
		{ "n_top", o->n_top, GYRE_TOP_MAX },
		{ "n_bias", o->n_bias, GYRE_BIAS_MAX },
		{ "n_stop", o->n_stop, GYRE_STOP_MAX },
	};

	if (o->size != sizeof(*o))
		return words_set(w, -EINVAL, "the options' size is %u: this gyred's struct gyre_options has %zu",
				 o->size, sizeof(*o));
	if (o->draft > GYRE_DRAFT_AUTO)
		return words_set(w, -EINVAL, "draft is %u: it may be 0 to %u (enum gyre_draft)", o->draft,
				 GYRE_DRAFT_AUTO);
	if ((o->pooling & ~GYRE_POOLING_RAW) >= GYRE_POOLING_KINDS)
		return words_set(w, -EINVAL, "pooling is %#x: it may be 0 to %u, and beside it %#x (not normalized)",
				 o->pooling, GYRE_POOLING_KINDS - 1, GYRE_POOLING_RAW);
	for (size_t i = 0; i < sizeof(count) / sizeof(count[0]); i++)
		if (count[i].value > count[i].most)
			return words_set(w, -EINVAL, "%s is %u: it may be 0 to %u", count[i].name, count[i].value,
					 count[i].most);
	return 0;
}

/* -infinity bans a token; a NaN or +infinity would poison the softmax. */
static bool is_bias(float x)
{
	return is_between(x, -1e6f, 1e6f) || (isinf(x) && x < 0);
}

static int take_bias(const uint8_t *p, const struct geometry *g, struct sampling *s, struct words *w)
{
	memcpy(s->bias, p, s->n_bias * sizeof(s->bias[0]));
	for (uint32_t i = 0; i < s->n_bias; i++) {
		if (s->bias[i].token >= g->n_vocab)
			return words_set(w, -EINVAL, "bias %u is for token %u, and the vocabulary has 0 to %u", i + 1,
					 s->bias[i].token, g->n_vocab - 1);
		if (!is_bias(s->bias[i].bias))
			return words_set(w, -EINVAL, "bias %u is %g: it may be -1e6 to 1e6, or -inf to ban its token",
					 i + 1, (double)s->bias[i].bias);
	}
	return 0;
}

static int refuse_end(uint32_t i, uint32_t n, struct words *w)
{
	return words_set(w, -EINVAL, "the options end inside stop string %u of %u", i + 1, n);
}

static int take_stops(const uint8_t *p, size_t len, struct sampling *s, struct words *w)
{
	for (uint32_t i = 0; i < s->n_stop; i++) {
		uint32_t n;

		if (len < 4)
			return refuse_end(i, s->n_stop, w);
		memcpy(&n, p, 4);
		p += 4;
		len -= 4;
		if (n == 0 || n > GYRE_STOP_BYTES_MAX)
			return words_set(w, -EINVAL, "stop string %u has %u bytes: it may have 1 to %u", i + 1, n,
					 GYRE_STOP_BYTES_MAX);
		if (n > len || ((n + 3) & ~3u) > len)
			return refuse_end(i, s->n_stop, w);
		memcpy(s->stop[i], p, n);
		s->stop_len[i] = (uint8_t)n;
		n = (n + 3) & ~3u;
		p += n;
		len -= n;
	}
	return len ? words_set(w, -EINVAL, "%zu bytes follow the last of %u stop strings", len, s->n_stop) : 0;
}

static void take_header(const struct gyre_options *o, const struct geometry *g, struct sampling *s)
{
	s->temperature = o->temperature;
	s->top_p = o->top_p;
	s->min_p = o->min_p;
	s->repetition_penalty = o->repetition_penalty > 0 ? o->repetition_penalty : 1;
	s->presence_penalty = o->presence_penalty;
	s->frequency_penalty = o->frequency_penalty;
	s->top_k = o->top_k;
	s->n_top = o->n_top < g->n_vocab ? o->n_top : g->n_vocab;
	s->penalty_last_n = o->penalty_last_n ? o->penalty_last_n : PENALTY_LAST_N_DEFAULT;
	s->seed = o->seed;
	s->pooling = o->pooling;
	s->n_bias = o->n_bias;
	s->n_stop = o->n_stop;
	s->draft = o->draft;
}

int validate_options(const uint8_t *opts, size_t len, const struct geometry *g, struct sampling *s, struct words *w)
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
		return words_set(w, -EINVAL, "opts_len is %zu: options take %zu to %zu", len, sizeof(o),
				 VALIDATE_OPTIONS_MAX);
	memcpy(&o, opts, sizeof(o));
	r = check_counts(&o, w);
	if (r == 0)
		r = check_numbers(&o, w);
	if (r < 0)
		return r;
	bias_bytes = o.n_bias * sizeof(struct gyre_bias);
	if (len - sizeof(o) < bias_bytes)
		return words_set(w, -EINVAL, "n_bias is %u, but %zu bytes follow the options' header", o.n_bias,
				 len - sizeof(o));
	take_header(&o, g, s);
	r = take_bias(opts + sizeof(o), g, s, w);
	if (r < 0)
		return r;
	return take_stops(opts + sizeof(o) + bias_bytes, len - sizeof(o) - bias_bytes, s, w);
}

int validate_tokens(const uint8_t *data, size_t n_byte, const struct geometry *g, struct words *w)
{
	if (n_byte % 4)
		return words_set(w, -EINVAL, "%zu bytes of token ids, which are 4 bytes each", n_byte);
	for (size_t i = 0; i < n_byte; i += 4) {
		uint32_t id;

		memcpy(&id, data + i, 4);
		if (id >= g->n_vocab)
			return words_set(w, -EINVAL,
					 "token %zu of the prompt has the id %u, which is not below %u, the size of "
					 "the vocabulary",
					 i / 4 + 1, id, g->n_vocab);
	}
	return 0;
}
