/*
 * The tokens of a row from the likeliest on, as far as the caller asks. Blocks of tokens wait in a heap by their largest logit;
 * a block is opened when that is the next largest of all, so k tokens cost about k blocks and not the whole vocabulary.
 * Equal logits come in order of id; NaN never comes.
 */
#ifndef GYRE_DAEMON_SAMPLE_ORDER_H
#define GYRE_DAEMON_SAMPLE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#define ORDER_BLOCK 32u /* tokens */

/* One worker's. */
struct order {
	const float *x; /* [n] the row */
	const float *block_max;
	uint32_t n, n_block, n_open;
	uint32_t *block; /* heap of blocks not yet opened */
	uint32_t *open;  /* heap of tokens of opened blocks */
};

int order_init(struct order *o, uint32_t n_max);
void order_deinit(struct order *o);
/* block_max[b] is the largest of x[b * ORDER_BLOCK ..], NaN if all are. Tokens below floor may be left out. */
void order_begin(struct order *o, const float *x, const float *block_max, uint32_t n, float floor);
/* The next token; false: there is none. */
bool order_next(struct order *o, uint32_t *id);

#endif
