/*
 * One row of logits. The model has left each range's maximum and sum; where the options ask for more, any worker scans any
 * range of it. The results of ranges meet in ascending order, so that none depends on the division of work.
 */
#ifndef GYRE_DAEMON_SAMPLE_ROW_H
#define GYRE_DAEMON_SAMPLE_ROW_H

#include "daemon/flow/batch.h"
#include "daemon/sample/order.h"
#include "kernels/kernels.h"

#define RANGE_BLOCKS (LOGIT_RANGE / ORDER_BLOCK)

struct row {
	const float *logits; /* [n_vocab] adjusted */
	const struct sampling *sampling;
	uint64_t position;         /* of the token to draw */
	bool is_drawn;             /* false: out->token is given */
	bool is_adjusted;          /* range[] is the model's still, until scanned */
	struct logit_range *range; /* [n_range] */
	float *scaled_sum; /* [n_range] of exp(x / temperature - max / temperature); filled where a draw needs it */
	float *block_max;  /* [n_range * RANGE_BLOCKS]; filled where the order of tokens is asked for */
	struct batch_token *out;
};

/* One worker's memory. */
struct row_scratch {
	struct order order;
	uint32_t *id;  /* [n_vocab] candidates from the likeliest on */
	float *weight; /* [n_vocab] weights of these candidates; the likeliest has 1 */
};

int row_scratch_init(struct row_scratch *s, uint32_t n_vocab);
void row_scratch_deinit(struct row_scratch *s);

/* row_scan.c: does it need row_scan of all ranges before row_finish? */
bool row_needs_scan(const struct row *r);
/* row_scan.c: what is needed of range[range], scaled_sum[range], and the range's piece of block_max. */
void row_scan(const struct row *r, const struct kernels *k, uint32_t n_vocab, uint32_t range);
/* row_finish.c: the token if it is to be drawn, log-probability and alternatives. */
void row_finish(const struct row *r, const struct kernels *k, uint32_t n_vocab, struct row_scratch *s);

static inline bool sampling_has_top_p(const struct sampling *o)
{
	return o->top_p > 0 && o->top_p < 1;
}

static inline bool sampling_has_filter(const struct sampling *o)
{
	return sampling_has_top_p(o) || o->top_k || o->min_p > 0;
}

/* The sum at temperature: a share of it is asked for, or a point in it. */
static inline bool row_needs_scaled_sum(const struct row *r)
{
	const struct sampling *o = r->sampling;

	return r->is_drawn && o->temperature > 0 && (!sampling_has_filter(o) || sampling_has_top_p(o));
}

#endif
