/* 64-byte loads; and sixteen independent chains of vpdpbusd, more than its latency times its rate on any CPU that has it. */
#include "kernels/constant_n.h"
#include "kernels/isa.h"

#include <immintrin.h>

#define CHAINS 16

INLINE uint64_t read_streams(const uint8_t *p, size_t part, size_t n_stream, size_t ahead)
{
	__m512i acc[8] = { _mm512_setzero_si512() };
	uint64_t x[8], sum = 0;

	for (size_t k = 1; k < 8; k++)
		acc[k] = acc[0];
	for (size_t i = 0; i < part; i += 512 / n_stream)
		for (size_t s = 0; s < n_stream; s++)
			for (size_t u = 0; u < 8 / n_stream; u++) {
				const uint8_t *at = p + s * part + i + 64 * u;
				size_t k = s * (8 / n_stream) + u;

				if (ahead)
					_mm_prefetch((const char *)at + ahead, _MM_HINT_T0);
				acc[k] = _mm512_xor_si512(acc[k], _mm512_load_si512(at));
			}
	for (size_t k = 1; k < 8; k++)
		acc[0] = _mm512_xor_si512(acc[0], acc[k]);
	_mm512_storeu_si512(x, acc[0]);
	for (size_t k = 0; k < 8; k++)
		sum ^= x[k];
	return sum;
}

#include "kernels/limit_read.h"

static uint64_t limit_mul_add(uint64_t n)
{
	__m512i w = _mm512_set1_epi8(3), x = _mm512_set1_epi8(5), acc[CHAINS];

	for (int k = 0; k < CHAINS; k++)
		acc[k] = _mm512_setzero_si512();
	for (uint64_t i = 0; i < n; i++)
		for (int k = 0; k < CHAINS; k++)
			acc[k] = _mm512_dpbusd_epi32(acc[k], w, x);
	for (int k = 0; k < CHAINS; k++)
		__asm__ volatile("" : : "v"(acc[k]));
	return n * CHAINS * 64;
}

void limits_avx512vnni_override(struct limits *l)
{
	*l = (struct limits){ limit_read, limit_mul_add };
}
