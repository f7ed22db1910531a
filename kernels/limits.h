/*
 * Loops that do one thing only, as fast as an ISA can: the roofs that the products are measured against. For benchmarks; the
 * forward pass does not use them.
 */
#ifndef GYRE_KERNELS_LIMITS_H
#define GYRE_KERNELS_LIMITS_H

#include "kernels/kernels.h"

#define LIMIT_STREAMS 8 /* at most */
#define LIMIT_ALIGN   (64u * LIMIT_STREAMS)

struct limits {
	/* The xor of all 64-bit words of [p, p + bytes), read in n_stream (1, 2, 4, 8) places at once, each fetched `ahead` bytes
	 * before it is used (0: left to the hardware). p 64-byte aligned; bytes a multiple of LIMIT_ALIGN. */
	uint64_t (*read)(const void *p, size_t bytes, int n_stream, size_t ahead);
	/* n rounds of integer multiply-adds (8 bit times 8 bit, summed in 32) on registers. Returns how many that was. */
	uint64_t (*mul_add)(uint64_t n);
};

/* Fills *l for a level that can run, or the preferred one (ISA_MAX), as kernels_select does. */
void kernels_limits(struct limits *l, enum kernels_isa isa);

#endif
