/*
 * Drafts: guesses at the next tokens of a stream ride as extra rows of a step and are verified exactly by sample, so they change
 * speed and nothing else. Who guesses is a drafter's business (drafter.h). Here it is decided whose guess is heard, and how many of
 * them pay (length.h): a stream's guesses are noted at every step and held against what it then draws, whether they rode or not, so what
 * is expected of them is always what lately came true. Leader thread.
 */
#ifndef GYRE_DAEMON_SPEC_SPEC_H
#define GYRE_DAEMON_SPEC_SPEC_H

#include "daemon/flow/batch.h"
#include "daemon/spec/drafter.h"
#include "daemon/spec/length.h"
#include "daemon/spec/tally.h"
#include "daemon/util/counter.h"

#define SPEC_STREAM_MAX BATCH_SEQ_MAX

struct spec_options {
	uint32_t n_draft;   /* guesses of a stream and step at most; 0: off */
	uint32_t n_least;   /* that many are made even where they do not pay */
	uint32_t n_ctx;     /* positions of a stream */
	uint32_t n_row;     /* rows of a step */
	uint32_t block_len; /* positions per KV block */
	struct length_cost cost;
};

struct spec_stream {
	const struct request *request; /* NULL: nobody's */
	uint64_t number, used;         /* the request's; when it last was in a step */
	uint32_t at;                   /* its tokens when `noted` was */
	uint32_t drafter;              /* whose it is */
	struct guess noted;            /* what would come next */
	struct chance chance[DRAFTER_MAX];
};

/* What has come of guesses that rode, of a drafter. */
struct spec_count {
	uint64_t n_guessed, n_hit; /* counters */
};

struct spec {
	struct spec_options o;
	uint64_t n_step;
	uint32_t n_with; /* steps with guesses since the last one without */
	void *state[DRAFTER_MAX];
	struct chance chance[DRAFTER_MAX]; /* of all streams */
	struct spec_count count[DRAFTER_MAX];
	struct tally tally;
	struct spec_stream stream[SPEC_STREAM_MAX];
	struct length_stream length[SPEC_STREAM_MAX]; /* of this step, as seq[] has them */
	uint32_t seat[SPEC_STREAM_MAX];               /* which of seq[] */
};

/* Of all drafters. */
static inline uint64_t spec_n_guessed(const struct spec *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < DRAFTER_MAX; i++)
		n += counter_read(&s->count[i].n_guessed);
	return n;
}

static inline uint64_t spec_n_hit(const struct spec *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < DRAFTER_MAX; i++)
		n += counter_read(&s->count[i].n_hit);
	return n;
}

/* -ENOMEM. Nothing is taken where n_draft is 0. */
int spec_init(struct spec *s, const struct spec_options *o);
void spec_deinit(struct spec *s);
/* Lengthens the decoding sequences of the batch. Guesses go behind their requests' tokens. */
void spec_draft(struct spec *s, struct batch *b);
/* Of n_guess guesses behind r's tokens, which sample has verified, the first n_hit were right. */
void spec_feedback(struct spec *s, const struct request *r, uint32_t n_guess, uint32_t n_hit);

#endif
