/*
 * A drafter guesses how a stream goes on. Each is a file of this folder and a row of the table in drafter.c; spec.c asks them all, and the
 * one whose guess is likeliest to be right is heard. A wrong guess costs a row of the step and nothing else: sample verifies every
 * one. Leader thread; no drafter allocates after it has been opened.
 */
#ifndef GYRE_DAEMON_SPEC_DRAFTER_H
#define GYRE_DAEMON_SPEC_DRAFTER_H

#include "daemon/spec/chance.h"
#include "daemon/flow/request.h"

#define DRAFTER_MAX 4u

/* token[i] is guessed to come behind all those before it; kind[i] says how likely that is (chance.h), of its drafter. */
struct guess {
	uint32_t n;
	int32_t token[REQUEST_DRAFT_MAX];
	uint8_t kind[REQUEST_DRAFT_MAX];
};

struct drafter {
	const char *name;
	/* What it keeps, for n_stream streams of up to n_ctx tokens. -ENOMEM. */
	int (*open)(void **state, uint32_t n_stream, uint32_t n_ctx);
	void (*close)(void *state); /* NULL does nothing */
	/* Stream number i is another request's from now on. */
	void (*begin)(void *state, uint32_t i);
	/* Up to `most` guesses at what follows r->token[n_token) of stream i. Bounded time: a long prompt may take several calls before there are any. */
	void (*propose)(void *state, uint32_t i, const struct request *r, uint32_t most, struct guess *g);
};

extern const struct drafter *const drafters[];
extern const uint32_t n_drafter;

/* lookup.c: what followed in the same stream. store.c: what followed in what its user's streams drew lately. */
extern const struct drafter drafter_lookup, drafter_store;

#endif
