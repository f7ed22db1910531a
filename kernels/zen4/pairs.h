/*
 * Products of the types of unsigned nibbles, five tokens and up. Zen 4 multiplies in two of its four vector pipes and adds in all,
 * so for half of a tile's tokens two products become one and two sums (Winograd's inner product, 1968): with a nibble u of
 * column k, v of column k + 16, and the quants x and z there,
 *   ((u + 120) + z) * ((v - 8) + x) = (u + 120) * (v - 8)        the row's: once for all tokens
 *                                   + (u + 120) * x + (v - 8) * z      what is wanted, and a multiple of the quants
 *                                   + x * z                            the token's: the tile has it (cross, kernels.h).
 * |x|, |z| <= ACT_Q_MAX = 120 keep the first factor in an unsigned byte, the second in a signed one. All of it is exact. The other half
 * of the tokens is multiplied as in avx512vnni/, in between, so that every pipe has work at any time.
 */
#ifndef GYRE_KERNELS_ZEN4_PAIRS_H
#define GYRE_KERNELS_ZEN4_PAIRS_H

#include "kernels/avx512vnni/sums.h"
#include "kernels/matmul.h"

#define SUMS_TOKENS 5 /* with fewer there is nothing to win */

struct form {
	matmul_fn *fewer; /* the product of fewer tokens */
	bool has_min;
};

/* How many of n tokens, the first ones, go by sums. */
INLINE size_t by_sums(size_t n)
{
	return n / 2;
}

/* In assembly because gcc 12 makes slower code of the intrinsic: 3 % at eight tokens. */
INLINE __m512i dot(__m512i acc, __m512i a, __m512i b)
{
	__asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
	return acc;
}

/* isum[n] += lo . q_lo + hi . q_hi: four nibbles a row of columns k and of columns k + 16. For the tokens by sums the row's part
 * and the token's come with it: the one goes to *row as well, for the caller to take off, and isum starts at cross for the other. */
INLINE void dot_pairs(const size_t n, __m512i *isum, __m512i *row, __m512i lo, __m512i hi, const uint8_t *q_lo,
		      const uint8_t *q_hi)
{
	const size_t n_sum = by_sums(n);
	const __m512i a = _mm512_add_epi8(lo, _mm512_set1_epi8(120)), b = _mm512_sub_epi8(hi, _mm512_set1_epi8(8));

	*row = _mm512_dpbusd_epi32(*row, a, b);
	for (size_t i = 0; i < n - n_sum; i++) {
		size_t t = n_sum + i;

		if (i < n_sum)
			isum[i] = dot(isum[i], _mm512_add_epi8(a, load4(q_hi + 4 * i)),
				      _mm512_add_epi8(b, load4(q_lo + 4 * i)));
		isum[t] = dot4(isum[t], lo, q_lo + 4 * t);
		isum[t] = dot4(isum[t], hi, q_hi + 4 * t);
	}
}

/* A walk (matmul.h) for tiles of SUMS_TOKENS and more. */
INLINE void walk_many(const int n, block_fn *block, const struct form *f, const uint32_t len, const size_t bytes,
		      float *y, size_t y_stride, const uint8_t *w, const uint8_t *x, const struct chunks *k,
		      size_t panel0, size_t panel1)
{
	if (n < SUMS_TOKENS)
		f->fewer(y, y_stride, w, x, n, k, panel0, panel1);
	else
		walk(n, block, f, len, bytes, y, y_stride, w, x, k, panel0, panel1);
}

#endif
