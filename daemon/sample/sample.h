/*
 * Logits -> tokens. In this order: bias, penalties (repetition once per distinct token of the window, presence once,
 * frequency per occurrence), then for temperature 0 the largest (first on ties); else logits / temperature, the top_k most
 * likely, of these the fewest that hold top_p, of these the ones no less likely than min_p times the first; then one draw
 * with the random number of (seed, position). The reported log-probability is taken after bias and penalties, at
 * temperature 1, over the whole vocabulary.
 *
 * The model has left the maximum and the sum of each range of logits: the leader alone draws a greedy token from them. Where options
 * ask for more, the team shares the ranges out, then the rows. Sums meet range by range in ascending order, so no bit
 * depends on the number of workers.
 *
 * Drafts: row i of a sequence is sampled as if there were none; the next row counts only if the guess equals the drawn token.
 * Leader thread. Nothing allocates after sample_init; sums and exponentials are the kernels', so bits don't depend on ISA.
 */
#ifndef GYRE_DAEMON_SAMPLE_SAMPLE_H
#define GYRE_DAEMON_SAMPLE_SAMPLE_H

#include "daemon/flow/batch.h"
#include "daemon/spec/spec.h"
#include "daemon/team/share.h"
#include "kernels/kernels.h"

struct sample_options {
	uint32_t n_vocab;
	uint32_t n_logit_max; /* rows of one batch */
	struct spec *spec;    /* is told which of its guesses were right */
};

struct sample {
	const struct kernels *kernels;
	struct team *team;
	struct sample_options o;
	uint32_t *count; /* [n_vocab] occurrences in the window; all zero between calls */
	uint32_t n_row, n_scan, n_run;
	struct share_slot *share;    /* [team_size] */
	struct row *row;             /* [n_logit_max] */
	struct row **scan;           /* [n_logit_max] those that need it */
	float *scaled_sum;           /* [n_logit_max][n_range] */
	float *block_max;            /* [n_logit_max][n_range * RANGE_BLOCKS] */
	struct row_scratch *scratch; /* [team_size] */
};

/* The kernel table and the team stay the caller's. */
int sample_init(struct sample *s, const struct kernels *k, struct team *team, const struct sample_options *o);
void sample_deinit(struct sample *s);

/* Fills batch->out, appends generated tokens to their requests and moves n_past on. Adjusts batch->logits in place. */
void sample_batch(struct sample *s, struct batch *b);

#endif
