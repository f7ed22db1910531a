/*
 * Logits -> tokens. In this order: bias, penalties (repetition once per distinct token of the window, presence once,
 * frequency per occurrence), then for temperature 0 the largest (first on ties); else logits / temperature, the top_k most
 * likely, of these the fewest that hold top_p, of these the ones no less likely than min_p times the first; then one draw
 * with the random number of (seed, position). The reported log-probability is taken after bias and penalties, at
 * temperature 1, over the whole vocabulary.
 *
 * Drafts: row i of a sequence is sampled as if there were none; the next row counts only if the guess was what was drawn.
 * Leader thread. Nothing allocates after sample_init; sums and exponentials are the kernels', so bits don't depend on ISA.
 */
#ifndef GYRE_DAEMON_SAMPLE_SAMPLE_H
#define GYRE_DAEMON_SAMPLE_SAMPLE_H

#include "daemon/batch.h"
#include "kernels/kernels.h"

struct sample {
	const struct kernels *kernels;
	uint32_t n_vocab;
	uint32_t n_draft_max;
	float *scaled;   /* [n_vocab] logits / temperature */
	uint32_t *heap;  /* [n_vocab] */
	uint32_t *count; /* [n_vocab] occurrences in the window; all zero between calls */
	float *weight;   /* [n_vocab] of the candidates */
	uint64_t n_token, n_draft_hit;
};

int sample_init(struct sample *s, const struct kernels *k, uint32_t n_vocab, uint32_t n_draft_max);
void sample_deinit(struct sample *s);

/* Fills batch->out, appends generated tokens to their requests and moves n_past on. */
void sample_batch(struct sample *s, struct batch *b);

/* One row: adjusts logits[n_vocab] in place and draws the token at position; window[n_window] is what penalties see. */
int32_t sample_row(struct sample *s, float *logits, const struct sampling *o, const int32_t *window, uint32_t n_window,
		   uint64_t position);

#endif
