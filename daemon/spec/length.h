/*
 * How many guesses pay: a step of R rows draws one token for each stream, and each guess adds what it is likely to add, but a row as
 * well, which takes time. Chosen are the guesses with which the step draws the most tokens a second, none if that is best without.
 * Arithmetic only.
 */
#ifndef GYRE_DAEMON_SPEC_LENGTH_H
#define GYRE_DAEMON_SPEC_LENGTH_H

#include "daemon/flow/request.h"

/* What a step of n_row rows takes, of the kind that is being planned. ns; 0: nobody knows. */
struct length_cost {
	uint64_t (*step_ns)(const void *of, uint32_t n_row);
	const void *of;
};

/* A stream, and how likely each of its guesses counts: that it and all before it are right. It falls. */
struct length_stream {
	uint32_t n, n_chosen;
	float gain[REQUEST_DRAFT_MAX]; /* [n] */
};

/* n_chosen of each of s[n_stream], in a step of n_row rows that draws n_token without them, and has room for `most` more. How many in all. */
uint32_t length_choose(struct length_stream *s, uint32_t n_stream, uint32_t n_row, uint32_t n_token, uint32_t most,
		       const struct length_cost *cost);

#endif
