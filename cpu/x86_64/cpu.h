/* What C cannot say to a CPU: x86-64. The Makefile chooses the folder of the machine it builds for. */
#ifndef GYRE_CPU_H
#define GYRE_CPU_H

#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>

/* In a loop that waits for another CPU: lets the core's other thread have its turn. */
static inline void cpu_relax(void)
{
	_mm_pause();
}

/* A clock that costs a few nanoseconds, the same on all CPUs; the length of a tick is the machine's. */
static inline uint64_t cpu_ticks(void)
{
	return __builtin_ia32_rdtsc();
}

/* Copies n bytes, all three multiples of 16, past the caches: a store to a line that is not near waits for it, though all of it will be
 * replaced. cpu_stream_end comes before anything that says that the bytes are there. */
static inline void cpu_stream(void *dst, const void *src, size_t n)
{
	__m128i *to = (__m128i *)dst;
	const __m128i *from = (const __m128i *)src;

#pragma GCC unroll 4
	for (size_t i = 0; i < n / sizeof(*to); i++)
		_mm_stream_si128(to + i, _mm_load_si128(from + i));
}

static inline void cpu_stream_end(void)
{
	_mm_sfence();
}

#endif
