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
#include "kernels/avx512vnni/k.h"
#include "kernels/matmul.h"
#include "kernels/zen4/zen4.h"

#define SUMS_TOKENS 5 /* with fewer there is nothing to win */

struct form {
	ref_matmul_fn *fewer; /* the product of fewer tokens */
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

/* Of Q4_0 and Q4_1. */
INLINE void block_q4(const size_t n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	const __m512i nibble = _mm512_set1_epi8(15);
	const size_t head = f->has_min ? 64 : 32, n_sum = by_sums(n);
	const float *d = (const float *)x, *s = d + n;
	const int32_t *nsum = (const int32_t *)(s + n), *cross = (const int32_t *)(x + 44 * n);
	const uint8_t *q = (const uint8_t *)(nsum + n);
	__m512i isum[ACT_TILE], row = _mm512_setzero_si512();

	prefetch(w, head + 256);
	for (size_t t = 0; t < n; t++) {
		__m512i eight = _mm512_slli_epi32(_mm512_set1_epi32(nsum[t]), 3);

		if (t < n_sum)
			isum[t] = f->has_min ? _mm512_sub_epi32(_mm512_set1_epi32(cross[t]), eight)
					     : _mm512_set1_epi32(cross[t]);
		else
			isum[t] = f->has_min ? _mm512_setzero_si512() : eight;
	}
	for (size_t j = 0; j < 4; j++) {
		__m512i v = _mm512_loadu_si512(w + head + 64 * j);

		dot_pairs(n, isum, &row, _mm512_and_si512(v, nibble), _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble),
			  q + 4 * n * j, q + 4 * n * (j + 4));
	}
	__m512 dw = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)w));
	__m512 m = f->has_min ? _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(w + 32))) : dw;

	for (size_t t = 0; t < n; t++) {
		if (t < n_sum)
			isum[t] = _mm512_sub_epi32(isum[t], row);
		acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(dw, _mm512_set1_ps(d[t])), _mm512_cvtepi32_ps(isum[t]), acc[t]);
		if (f->has_min)
			acc[t] = _mm512_fmadd_ps(m, _mm512_set1_ps(s[t]), acc[t]);
	}
}

INLINE void block_q4_k(const size_t n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	const __m512i nibble = _mm512_set1_epi8(15);
	const size_t share = PANEL_ROWS * 144 / 8; /* of a sub-block */
	const int32_t *cross = (const int32_t *)(x + 308 * n);
	const uint8_t *sc = w + 64, *qs = sc + 192;
	__m512i isum[ACT_TILE], rows = _mm512_setzero_si512();
	uint8_t scales[8][PANEL_ROWS];

	(void)f;
	unpack_scales6(scales, sc);
	for (size_t t = 0; t < n; t++)
		isum[t] = _mm512_setzero_si512();
	for (size_t s = 0; s < 8; s++) {
		__m512i scale = scale6(scales[s]), part[ACT_TILE], row = _mm512_setzero_si512();
		const uint8_t *q = x + (52 + 32 * s) * n;

		prefetch(w + s * share, share);
		for (size_t t = 0; t < n; t++)
			part[t] = t < by_sums(n) ? _mm512_set1_epi32(cross[s * n + t]) : _mm512_setzero_si512();
		for (size_t j = 0; j < 4; j++) {
			__m512i lo = _mm512_loadu_si512(qs + (s / 2 * 8 + j) * 64);
			__m512i hi = _mm512_loadu_si512(qs + (s / 2 * 8 + j + 4) * 64);

			lo = _mm512_and_si512(s % 2 ? _mm512_srli_epi16(lo, 4) : lo, nibble);
			hi = _mm512_and_si512(s % 2 ? _mm512_srli_epi16(hi, 4) : hi, nibble);
			dot_pairs(n, part, &row, lo, hi, q + 4 * n * j, q + 4 * n * (j + 4));
		}
		for (size_t t = 0; t < n; t++)
			isum[t] = _mm512_add_epi32(isum[t], _mm512_mullo_epi32(part[t], scale));
		rows = _mm512_add_epi32(rows, _mm512_mullo_epi32(row, scale));
	}
	for (size_t t = 0; t < by_sums(n); t++)
		isum[t] = _mm512_sub_epi32(isum[t], rows);
	end_block_k45(n, acc, w, x, isum);
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

MATMUL_BY(walk_many, zen4_matmul_q4_0, block_q4, 32, 18, .fewer = avx512vnni_matmul_q4_0)
MATMUL_BY(walk_many, zen4_matmul_q4_1, block_q4, 32, 20, .fewer = avx512vnni_matmul_q4_1, .has_min = true)
MATMUL_BY(walk_many, zen4_matmul_q4_k, block_q4_k, 256, 144, .fewer = avx512vnni_matmul_q4_k)
