/*
 * Drafts by prompt look-up: if the last tokens of a stream stood earlier in the same stream, what followed them there is
 * guessed to follow again. Guesses ride as extra rows and are verified exactly by sample, so they change speed and nothing
 * else. Their number follows the acceptance: up by one when all were right, down to half when none was. Leader thread.
 */
#ifndef GYRE_DAEMON_SPEC_SPEC_H
#define GYRE_DAEMON_SPEC_SPEC_H

#include "daemon/flow/batch.h"

#define SPEC_NGRAM  3u    /* tokens that must match: shorter ones guess wrong too often */
#define SPEC_WINDOW 4096u /* how far back to look */

struct spec {
	uint32_t n_draft; /* at most; 0: off */
	uint32_t n_ctx, n_row, block_len;
	uint32_t n_piece; /* completions that a token's bytes take at most */
	uint64_t n_guessed;
};

void spec_init(struct spec *s, uint32_t n_draft, uint32_t n_ctx, uint32_t n_row, uint32_t block_len, uint32_t n_piece);
/* Lengthens the decoding sequences of the batch. Guesses go behind their requests' tokens. */
void spec_draft(struct spec *s, struct batch *b);
/* Where what follows token[0, n) may be found: an index < n, or n if there is none. */
uint32_t spec_lookup(const int32_t *token, uint32_t n);

#endif
