/* What the files of avx512vnni/ and above share: a panel is one zmm, a lane a row. */
#ifndef GYRE_KERNELS_AVX512VNNI_SIMD_H
#define GYRE_KERNELS_AVX512VNNI_SIMD_H

#include "kernels/constant_n.h"
#include "kernels/kernels.h"
#include "kernels/ref/ref.h"

#include <immintrin.h>
#include <string.h>

/* acc[r] += w[r][0..3] . x[0..3]: unsigned w; signed x, broadcast by the operand itself. In assembly because gcc 12 does
 * not fold the broadcast, which costs a register and an instruction a product: 1-2 % at eight tokens. */
INLINE __m512i dot4(__m512i acc, __m512i w, const uint8_t *x)
{
	__asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*(const uint8_t(*)[4])x));
	return acc;
}

/* acc[r] += w[r][0] * x[0] + w[r][1] * x[1]: pairs of i16, broadcast likewise. */
INLINE __m512i dot2(__m512i acc, __m512i w, const uint8_t *x)
{
	__asm__("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*(const uint8_t(*)[4])x));
	return acc;
}

/* Four bytes of x in every lane. */
INLINE __m512i load4(const uint8_t *x)
{
	int32_t v;

	memcpy(&v, x, 4);
	return _mm512_set1_epi32(v);
}

#endif
