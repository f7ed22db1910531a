/*
 * What the stages ask of an operation of the ring. daemon/op/ has a file for each of them; a request points to its own, so no stage
 * knows which operations there are.
 */
#ifndef GYRE_DAEMON_FLOW_OP_H
#define GYRE_DAEMON_FLOW_OP_H

#include "shm/abi.h"

#include <stdbool.h>
#include <stdint.h>

struct batch_token;
struct geometry;
struct prompt_reader;
struct request;
struct sampling;
struct session;
struct words;

/* Positions of a sequence. */
struct op_span {
	uint32_t begin, end;
};

struct op {
	/* What each step asks lies in one line: the pass before has pushed it out of the caches. */

	/* Positions whose predictions are of use: there the model gives logits. NULL: it runs no rows, and ends when it has been read. */
	_Alignas(64) struct op_span (*wants_logits)(const struct request *r);
	/* Likewise, whose vectors are, as the last norm leaves them. NULL: of no position. */
	struct op_span (*wants_hidden)(const struct request *r);
	/* Rows that it still takes, while it has not ended. */
	uint32_t (*rows)(const struct request *r);
	/* A result of the step, in order (NULL: there are none); and the end, once r has ended. Its session is locked, and completions are granted
	 * (stream/stream.h has the verbs). */
	void (*take_token)(struct request *r, const struct batch_token *t, uint64_t time_ns);
	void (*take_hidden)(struct request *r, const float *x); /* [n_embd] */
	void (*end)(struct request *r);
	/* true: each prediction behind the prompt is drawn from and becomes the next token, which may be guessed ahead, and stop strings
	 * count. Others are only compared with the token that follows (request_draws_at). */
	bool is_drawn;
	/* true: nothing is asked of what follows its last token, whose row is left to those that go on from it; it ends when the others have run. */
	bool leaves_last;

	const char *name;
	uint16_t flags; /* GYRE_SQE_* that it takes, beside LINK, which all do */
	/* Are the fields that this operation uses well formed, and the others zero? Those of all entries have been looked at. Pure, on
	 * a private copy. 0, or -EINVAL, -E2BIG with words. */
	int (*validate)(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w);
	/* Likewise of its options, which are in their ranges. NULL: all but the pooling may be given. */
	int (*check_options)(const struct sampling *s, struct words *w);
	/* The result of its only completion, with s locked; *n_looked grows by the requests that were looked at for it. At the watch, or, where it
	 * had to wait for others of its chain, as a request's `end` asks. NULL: a request is made of the entry, and has all that is above. */
	int (*answer)(struct session *s, uint64_t target, uint32_t *n_looked);
	/* Its prompt, data[n], becomes r->token and n_prompt (prompt/prompt.h has the verbs). 0, or -errno, with words where there are any.
	 * Any thread; no allocation. */
	int (*read)(struct prompt_reader *p, struct request *r, const uint8_t *data, uint32_t n, uint32_t split);
};

/* How many of positions [begin, end) are in it. */
static inline uint32_t op_span_overlap(struct op_span s, uint32_t begin, uint32_t end)
{
	begin = begin > s.begin ? begin : s.begin;
	end = end < s.end ? end : s.end;
	return end > begin ? end - begin : 0;
}

#endif
