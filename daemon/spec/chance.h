/*
 * How likely a guess is right, given that those before it were: by how long its match is and whether every place agrees, learned from
 * what streams did draw. A stream has its own count, which the engine's stands in for while it is young. Whether a guess was made into
 * a row or only noted makes no difference to what is learned: so drafts that are off cost nothing to watch.
 */
#ifndef GYRE_DAEMON_SPEC_CHANCE_H
#define GYRE_DAEMON_SPEC_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

#define CHANCE_KINDS 16u

struct chance {
	/* Guesses that were right, and all, older ones fading. */
	float n_hit[CHANCE_KINDS], n[CHANCE_KINDS];
};

/* Of a guess whose match is `length` tokens long, its own guesses before it included. */
uint32_t chance_kind(uint32_t length, bool is_alone);
void chance_learn(struct chance *c, uint32_t kind, bool is_hit);
/* Between 0 and 1. of: the stream's; all: the engine's. */
float chance_of(const struct chance *of, const struct chance *all, uint32_t kind);

#endif
