/*
 * A drafter guesses how a stream goes on. Each is a file of this folder and a row of the table in drafter.c; spec.c asks them in
 * that order, and the first that has a guess is heard. A wrong guess costs a row of the step and nothing else: sample verifies
 * every one.
 */
#ifndef GYRE_DAEMON_SPEC_DRAFTER_H
#define GYRE_DAEMON_SPEC_DRAFTER_H

#include <stdint.h>

struct drafter {
	const char *name;
	/*
	 * Guesses at the tokens behind token[0, n) -> guess[0, most), which may lie right behind them. How many; 0: none. Ids that are
	 * guessed must be ids of the vocabulary. Leader thread: bounded time, no allocation.
	 */
	uint32_t (*propose)(const int32_t *token, uint32_t n, int32_t *guess, uint32_t most);
};

/* In the order in which they are asked. */
extern const struct drafter *const drafters[];
extern const uint32_t n_drafter;

/* lookup.c */
extern const struct drafter drafter_lookup;

#endif
