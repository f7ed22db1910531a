/*
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a random number is a function of
 * key and counter, so that a sample depends on seed and position alone.
 */
#ifndef GYRE_DAEMON_SAMPLE_PHILOX_H
#define GYRE_DAEMON_SAMPLE_PHILOX_H

#include <stdint.h>

void philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);
/* Uniform in [0, 1), a multiple of 2^-24, of this seed at this position. */
float philox_uniform(uint64_t seed, uint64_t position);

#endif
