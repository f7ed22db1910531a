/*
 * Q4_0 Q4_1 Q5_0 Q5_1 Q8_0: 32 elements a block, lane = output row, 8 rows a ymm. Exactness: a maddubs pair of u4 x s8 is at
 * most 2*15*127 = 3810, so eight fit an int16; of u5 x s8 at most 7874, so four fit; |w8| x s8 at most 32512, so one fits.
 */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/sums.h"
#include "kernels/avx2/unpack.h"
#include "kernels/matmul.h"

struct form {
	bool has_min, has_high, eight_bits;
	int offset;
};

INLINE size_t head_bytes(const struct form *f)
{
	return 32 + (f->has_min ? 32 : 0) + (f->has_high ? 64 : 0);
}

/* Exact int32 sum of one block for 8 rows and one token; q steps by `step` bytes from group to group. */
INLINE __m256i dot_block(const struct form *f, const __m256i v[8], const int8_t *q, size_t step)
{
	const __m256i one = _mm256_set1_epi16(1);
	int run = f->eight_bits ? 1 : f->has_high ? 4 : 8;
	__m256i sum = _mm256_setzero_si256();

	for (int g = 0; g < 8; g += run) {
		__m256i part = _mm256_setzero_si256();

		for (int i = g; i < g + run; i++) {
			__m256i x = broadcast4(q + (size_t)i * step);
			__m256i pair = f->eight_bits
					       ? _mm256_maddubs_epi16(_mm256_abs_epi8(v[i]), _mm256_sign_epi8(x, v[i]))
					       : _mm256_maddubs_epi16(v[i], x);
			part = _mm256_add_epi16(part, pair);
		}
		sum = _mm256_add_epi32(sum, _mm256_madd_epi16(part, one));
	}
	return sum;
}

INLINE void half_block(const int n, const struct form *f, __m256 *acc, const uint8_t *panel, const uint8_t *x, int half)
{
	const float *d = (const float *)x, *s = (const float *)(x + ACT_Q8_S(n));
	const int32_t *nsum = (const int32_t *)(x + ACT_Q8_NSUM(n));
	const int8_t *q = (const int8_t *)(x + ACT_Q8_Q(n));
	__m256 dw = load_halfs(panel + 16 * half), m = f->has_min ? load_halfs(panel + 32 + 16 * half) : dw;
	__m256i v[8];

	unpack_q8(v, panel + head_bytes(f) + 32 * half, f->eight_bits, f->has_high);
#pragma GCC unroll 1 /* unrolled, as gcc 12 does up to six tokens, it spills */
	for (int t = 0; t < n; t++) {
		__m256i isum = dot_block(f, v, q + 4 * t, 4 * (size_t)n);

		if (f->offset)
			isum = _mm256_add_epi32(isum, _mm256_set1_epi32(f->offset * nsum[t]));
		acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(dw, _mm256_set1_ps(d[t])), _mm256_cvtepi32_ps(isum), acc[t]);
		if (f->has_min)
			acc[t] = _mm256_fmadd_ps(m, _mm256_set1_ps(s[t]), acc[t]);
	}
}

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	if (n >= PREFETCH_TOKENS)
		prefetch(panel, head_bytes(f) + (f->eight_bits ? 512 : 256));
	half_block(n, f, acc[0], panel, x, 0);
	half_block(n, f, acc[1], panel, x, 1);
}

MATMUL(avx2_matmul_q4_0, block, 32, 18, .offset = 8)
MATMUL(avx2_matmul_q4_1, block, 32, 20, .has_min = true)
MATMUL(avx2_matmul_q5_0, block, 32, 22, .has_high = true, .offset = 16)
MATMUL(avx2_matmul_q5_1, block, 32, 24, .has_high = true, .has_min = true)
MATMUL(avx2_matmul_q8_0, block, 32, 34, .eight_bits = true)

const struct matmul_row avx2_matmul_q8[] = {
	{ QUANT_Q4_0, avx2_matmul_q4_0 }, { QUANT_Q4_1, avx2_matmul_q4_1 }, { QUANT_Q5_0, avx2_matmul_q5_0 },
	{ QUANT_Q5_1, avx2_matmul_q5_1 }, { QUANT_Q8_0, avx2_matmul_q8_0 }, { .matmul = NULL },
};
