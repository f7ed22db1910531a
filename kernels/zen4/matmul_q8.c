/* Q4_0 and Q4_1 with ACT_Q8 tiles, five tokens and up, by pairs.h; fewer as in avx512vnni/. */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/zen4/pairs.h"
#include "kernels/zen4/zen4.h"

INLINE void block_q4(const size_t n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	const __m512i nibble = _mm512_set1_epi8(15);
	const size_t head = f->has_min ? 64 : 32, n_sum = by_sums(n);
	const float *d = (const float *)x, *s = (const float *)(x + ACT_Q8_S(n));
	const int32_t *nsum = (const int32_t *)(x + ACT_Q8_NSUM(n)), *cross = (const int32_t *)(x + ACT_Q8_CROSS(n));
	const uint8_t *q = x + ACT_Q8_Q(n);
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

MATMUL_BY(walk_many, zen4_matmul_q4_0, block_q4, 32, 18, .fewer = avx512vnni_matmul_q4_0)
MATMUL_BY(walk_many, zen4_matmul_q4_1, block_q4, 32, 20, .fewer = avx512vnni_matmul_q4_1, .has_min = true)

const struct matmul_row zen4_matmul_q8[] = {
	{ QUANT_Q4_0, zen4_matmul_q4_0 },
	{ QUANT_Q4_1, zen4_matmul_q4_1 },
	{ .matmul = NULL },
};
