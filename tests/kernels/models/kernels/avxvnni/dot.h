/* vpdpbusd in portable C: what the level's products are compiled with where the CPU that tests them lacks the instruction. */
#ifndef GYRE_KERNELS_AVXVNNI_DOT_H
#define GYRE_KERNELS_AVXVNNI_DOT_H

#include "kernels/avx2/simd.h"

INLINE __m256i dot4(__m256i acc, __m256i w, __m256i x)
{
	int32_t sum[8];
	uint8_t u[32];
	int8_t s[32];

	memcpy(sum, &acc, 32), memcpy(u, &w, 32), memcpy(s, &x, 32);
	for (int i = 0; i < 32; i++)
		sum[i / 4] += u[i] * s[i];
	memcpy(&acc, sum, 32);
	return acc;
}

#endif
