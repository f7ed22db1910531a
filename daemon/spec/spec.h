/*
 * Drafts: guesses at the next tokens of a stream ride as extra rows of a step and are verified exactly by sample, so they change
 * speed and nothing else. Who guesses is a drafter's business (drafter.h); here it is decided how many guesses a stream has room
 * for and deserves. Their number follows the acceptance: up by one when all were right, down to half when none was. Leader thread.
 */
#ifndef GYRE_DAEMON_SPEC_SPEC_H
#define GYRE_DAEMON_SPEC_SPEC_H

#include "daemon/flow/batch.h"

struct spec_options {
	uint32_t n_draft;   /* guesses of a stream and step at most; 0: off */
	uint32_t n_ctx;     /* positions of a stream */
	uint32_t n_row;     /* rows of a step */
	uint32_t block_len; /* positions per KV block */
};

struct spec {
	struct spec_options o;
	uint64_t n_guessed, n_hit; /* counters */
};

void spec_init(struct spec *s, const struct spec_options *o);
/* Lengthens the decoding sequences of the batch. Guesses go behind their requests' tokens. */
void spec_draft(struct spec *s, struct batch *b);
/* Of n_guess guesses behind r's tokens, which sample has verified, the first n_hit were right. */
void spec_feedback(struct spec *s, struct request *r, uint32_t n_guess, uint32_t n_hit);

#endif
