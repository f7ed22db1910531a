/*
 * EMBED: a vector for the whole of a prompt, of those that the last norm leaves for its tokens: their mean, the last's or the first's
 * (options.pooling). It comes in pieces of a result slot, then the last completion. Sums are double, in order of position, so no bit
 * depends on how the rows came.
 */
#include "daemon/op/op.h"
#include "daemon/prompt/prompt.h"
#include "daemon/session/session.h"
#include "daemon/stream/stream.h"
#include "daemon/util/minmax.h"

#include <errno.h>
#include <math.h>

#define PIECE ((uint32_t)(GYRE_RESULT_SLOT_BYTES / sizeof(float))) /* numbers of a completion */

static int embed_validate(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	int r = validate_unused("embed", "max_tokens", sqe->max_tokens, w);

	if (r == 0)
		r = validate_unused("embed", "split", sqe->split, w);
	return r < 0 ? r : validate_prompt("embed", sqe, g, w);
}

static int embed_check_options(const struct sampling *s, struct words *w)
{
	int r = validate_unused("embed", "n_top", s->n_top, w);

	if (r == 0)
		r = validate_unused("embed", "n_bias", s->n_bias, w);
	return r < 0 ? r : validate_unused("embed", "n_stop", s->n_stop, w);
}

static int embed_read(struct prompt_reader *p, struct request *r, const uint8_t *data, uint32_t n, uint32_t split)
{
	int res = prompt_take(p, r, data, n);

	(void)split;
	if (res < 0)
		return res;
	return r->kept.n_prompt ? 0 : request_explain(r, -EINVAL, "the prompt is empty");
}

static struct op_span embed_wants_logits(const struct request *r)
{
	(void)r;
	return (struct op_span){ UINT32_MAX, UINT32_MAX }; /* none */
}

static uint32_t pooling_of(const struct request *r)
{
	uint32_t pooling = r->kept.sampling.pooling & ~GYRE_POOLING_RAW;

	return pooling ? pooling : r->session->served->pooling;
}

/* Those that are not in the vector yet. */
static struct op_span embed_wants_hidden(const struct request *r)
{
	uint32_t n = r->kept.n_prompt;

	switch (pooling_of(r)) {
	case GYRE_POOLING_MEAN:
		return (struct op_span){ r->kept.n_pooled, n };
	case GYRE_POOLING_CLS:
		return (struct op_span){ 0, 1 };
	default:
		return (struct op_span){ n - 1, n };
	}
}

/* As the vector goes out. */
static void finish(struct request *r)
{
	double sum = 0, by = 1.0 / r->kept.n_pooled;

	for (uint32_t i = 0; i < r->served->n_embd; i++) {
		r->vector[i] *= by;
		sum += r->vector[i] * r->vector[i];
	}
	if (r->kept.sampling.pooling & GYRE_POOLING_RAW || !(sum > 0))
		return;
	for (uint32_t i = 0; i < r->served->n_embd; i++)
		r->vector[i] /= sqrt(sum);
}

static bool is_finite(const struct request *r, const float *x)
{
	bool is = true;

	for (uint32_t i = 0; i < r->served->n_embd; i++)
		is &= isfinite(x[i]) != 0;
	return is;
}

static void embed_end(struct request *r);

static void embed_take_hidden(struct request *r, const float *x)
{
	bool is_first = !r->kept.n_pooled++, is_fine = is_finite(r, x);
	uint32_t n = r->kept.n_prompt;

	for (uint32_t i = 0; i < r->served->n_embd; i++)
		r->vector[i] = is_first ? (double)x[i] : r->vector[i] + (double)x[i];
	if (is_fine && pooling_of(r) == GYRE_POOLING_MEAN && r->kept.n_pooled < n)
		return;
	finish(r);
	request_end(r, is_fine ? 0 : -EDOM);
	embed_end(r);
}

static void put_piece(struct request *r, uint32_t n)
{
	uint8_t *result;
	struct gyre_cqe *cqe = stream_complete(r, &result);
	float *to = (float *)(void *)result;

	if (!cqe)
		return;
	for (uint32_t i = 0; i < n; i++)
		to[i] = (float)r->vector[r->kept.n_emitted + i];
	cqe->res = (int32_t)n;
	cqe->index = r->kept.n_emitted;
	cqe->flags = GYRE_CQE_EXT | GYRE_CQE_MORE;
	r->kept.n_emitted += n;
}

/* As many pieces as are granted, then the last completion; the rest in the next step. */
static void embed_end(struct request *r)
{
	while (r->kept.res == 0 && r->grant && r->kept.n_emitted < r->served->n_embd)
		put_piece(r, min_u32(r->served->n_embd - r->kept.n_emitted, PIECE));
	if (r->grant)
		stream_end(r, 0);
}

const struct op op_embed = {
	.name = "embed",
	.flags = GYRE_SQE_TOKENS | GYRE_SQE_CHAT | GYRE_SQE_SPECIAL | GYRE_SQE_NO_BOS,
	.validate = embed_validate,
	.check_options = embed_check_options,
	.read = embed_read,
	.rows = request_prompt_rows,
	.wants_logits = embed_wants_logits,
	.wants_hidden = embed_wants_hidden,
	.take_hidden = embed_take_hidden,
	.end = embed_end,
};
