/*
 * The types whose nibbles index a table: IQ4_NL, IQ4_XS, MXFP4; lane = output row, 8 rows a ymm, the table in each 128-bit lane.
 * Exactness: IQ4's values are -127..113, so a maddubs pair of |w8| x s8 is at most 2*127*127 = 32258 and one fits an int16.
 * MXFP4's -12..12 are looked up plus 12: a pair of 24 x s8 is at most 6096, so four fit; the tile's sums take the 12 off.
 */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/sums.h"
#include "kernels/avx2/unpack.h"
#include "kernels/codes.h"
#include "kernels/matmul.h"

#define MXFP4_OFFSET 12

struct form {
	enum quant_type type;
};

/* Adds scale * dot of eight k-groups of signed values; scale is an int16 pair a row, q steps by `step` bytes. */
INLINE __m256i dot_signed(__m256i isum, const __m256i v[8], const int8_t *q, size_t step, __m256i scale)
{
	for (int g = 0; g < 8; g++) {
		__m256i x = _mm256_sign_epi8(broadcast4(q + (size_t)g * step), v[g]);

		isum = _mm256_add_epi32(isum, _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(v[g]), x), scale));
	}
	return isum;
}

INLINE __m256i dot_mxfp4(__m256i isum, const __m256i v[8], const int8_t *q, size_t step)
{
	for (int g = 0; g < 8; g += 4) {
		__m256i part = _mm256_setzero_si256();

		for (int i = g; i < g + 4; i++)
			part = _mm256_add_epi16(part, _mm256_maddubs_epi16(v[i], broadcast4(q + (size_t)i * step)));
		isum = _mm256_add_epi32(isum, _mm256_madd_epi16(part, _mm256_set1_epi16(1)));
	}
	return isum;
}

INLINE void half_mxfp4(const int n, __m256 *acc, const uint8_t *panel, const uint8_t *x, int half)
{
	const float *d = (const float *)x;
	const int32_t *nsum = (const int32_t *)(x + ACT_Q8_NSUM(n));
	const int8_t *q = (const int8_t *)(x + ACT_Q8_Q(n));
	__m256 dw = load_e8m0(panel + 8 * half);
	__m256i v[8];

	look_up(v, load_table(codes_mxfp4, MXFP4_OFFSET), panel + 16 + 32 * half);
#pragma GCC unroll 1 /* unrolled, as gcc 12 does up to six tokens, it spills */
	for (int t = 0; t < n; t++) {
		__m256i isum = _mm256_set1_epi32(MXFP4_OFFSET * nsum[t]);

		isum = dot_mxfp4(isum, v, q + 4 * t, 4 * (size_t)n);
		acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(dw, _mm256_set1_ps(d[t])), _mm256_cvtepi32_ps(isum), acc[t]);
	}
}

INLINE void half_nl(const int n, __m256 *acc, const uint8_t *panel, const uint8_t *x, int half)
{
	const float *d = (const float *)x;
	const int8_t *q = (const int8_t *)(x + ACT_Q8_Q(n));
	__m256 dw = load_halfs(panel + 16 * half);
	__m256i v[8];

	look_up(v, load_table(codes_iq4, 0), panel + 32 + 32 * half);
#pragma GCC unroll 1 /* unrolled, as gcc 12 does up to six tokens, it spills */
	for (int t = 0; t < n; t++) {
		__m256i isum = dot_signed(_mm256_setzero_si256(), v, q + 4 * t, 4 * (size_t)n, _mm256_set1_epi16(1));

		acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(dw, _mm256_set1_ps(d[t])), _mm256_cvtepi32_ps(isum), acc[t]);
	}
}

INLINE void half_xs(const int n, __m256 *acc, const uint8_t *panel, const uint8_t *x, int half)
{
	const float *d = (const float *)x;
	const int8_t *q = (const int8_t *)(x + ACT_Q8_K_Q(n));
	__m256 dw = load_halfs(panel + 16 * half);
	__m256i isum[ACT_TILE];

	for (int t = 0; t < n; t++)
		isum[t] = _mm256_setzero_si256();
	for (int s = 0; s < 8; s++) {
		__m256i scale = twice(scale_xs(panel + 32 + 8 * half, s)), v[8];

		if (n >= PREFETCH_TOKENS && s % 2 == half)
			prefetch(panel + s / 2 * 544, 544);
		look_up(v, load_table(codes_iq4, 0), panel + 128 + 256 * s + 32 * half);
		for (int t = 0; t < n; t++)
			isum[t] = dot_signed(isum[t], v, q + 4 * (8 * s * n + t), 4 * (size_t)n, scale);
	}
	for (int t = 0; t < n; t++)
		acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(dw, _mm256_set1_ps(d[t])), _mm256_cvtepi32_ps(isum[t]), acc[t]);
}

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	if (n >= PREFETCH_TOKENS && f->type != QUANT_IQ4_XS)
		prefetch(panel, 288);
	if (f->type == QUANT_MXFP4) {
		for (int half = 0; half < 2; half++)
			half_mxfp4(n, acc[half], panel, x, half);
		return;
	}
#pragma GCC unroll 2 /* MXFP4 above loses by it */
	for (int half = 0; half < 2; half++) {
		if (f->type == QUANT_IQ4_NL)
			half_nl(n, acc[half], panel, x, half);
		else
			half_xs(n, acc[half], panel, x, half);
	}
}

MATMUL(avx2_matmul_iq4_nl, block, 32, 18, .type = QUANT_IQ4_NL)
MATMUL(avx2_matmul_mxfp4, block, 32, 17, .type = QUANT_MXFP4)
MATMUL(avx2_matmul_iq4_xs, block, 256, 136, .type = QUANT_IQ4_XS)

const struct matmul_row avx2_matmul_iq[] = {
	{ QUANT_IQ4_NL, avx2_matmul_iq4_nl },
	{ QUANT_MXFP4, avx2_matmul_mxfp4 },
	{ QUANT_IQ4_XS, avx2_matmul_iq4_xs },
	{ .matmul = NULL },
};
