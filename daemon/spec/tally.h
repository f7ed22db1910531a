/*
 * What was expected of the steps with guesses, and what came of them: whether drafts pay, and whether the model of cost that says so is
 * right. The leader writes; anybody reads the counters.
 */
#ifndef GYRE_DAEMON_SPEC_TALLY_H
#define GYRE_DAEMON_SPEC_TALLY_H

#include <stdint.h>

/* A step with guesses, as it was planned. */
struct tally_step {
	uint32_t n_plain;          /* tokens that it would draw without them */
	float n_gain;              /* what they are expected to add */
	uint64_t plain_ns, ns;     /* it is expected to take without them, and with them */
	uint64_t layout_ns, n_hit; /* when it began; what they did add */
};

struct tally {
	/* Counters, of steps whose time could be foretold. A thousandth of a token is the unit where one is expected. */
	uint64_t n_step;
	uint64_t n_token, ns; /* they drew, and took */
	uint64_t expected_millitoken, expected_ns;
	uint64_t plain_token, plain_ns; /* expected of the same steps without guesses */

	struct tally_step step; /* the last one, until its time is known; layout_ns 0: none */
};

/* A step begins. One whose time nobody knows is not counted. */
void tally_begin(struct tally *t, const struct tally_step *s);
/* So many guesses of a stream in it were right. */
void tally_hit(struct tally *t, uint32_t n_hit);
/* It was sampled at time_ns. */
void tally_end(struct tally *t, uint64_t time_ns);

#endif
