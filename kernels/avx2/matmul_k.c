/*
 * Q4_K Q5_K Q6_K: 256 elements a block, lane = output row, 8 rows a ymm. Sub-scales multiply inside madd, which is exact: a
 * maddubs pair of u4 x s8 is at most 3810 (eight fit an int16), of u5 x s8 7874 (four fit), of u6 x s8 16002 (two fit).
 */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/k45.h"
#include "kernels/avx2/sums.h"
#include "kernels/avx2/unpack.h"
#include "kernels/matmul.h"

struct form {
	int bits;
};

/* Adds scale * dot of `run`-bounded groups to isum; n_group k-groups, q steps by `step` bytes. */
INLINE __m256i dot_scaled(__m256i isum, const __m256i *v, int n_group, int run, const int8_t *q, size_t step,
			  __m256i scale)
{
	for (int g = 0; g < n_group; g += run) {
		__m256i part = _mm256_setzero_si256();

		for (int i = g; i < g + run; i++)
			part = _mm256_add_epi16(part, _mm256_maddubs_epi16(v[i], broadcast4(q + (size_t)i * step)));
		isum = _mm256_add_epi32(isum, _mm256_madd_epi16(part, scale));
	}
	return isum;
}

INLINE void half_k5(const int n, __m256 *acc, const uint8_t *panel, const uint8_t *x, int half)
{
	const float *d = (const float *)x;
	const int16_t *sum32 = (const int16_t *)(x + ACT_Q8_K_SUM32(n));
	const int8_t *q = (const int8_t *)(x + ACT_Q8_K_Q(n));
	const uint8_t *sc = panel + 64 + 8 * half, *qh = panel + 256 + 32 * half, *qs = qh + 512;
	const size_t share = PANEL_ROWS * 176 / 4; /* to fetch in every other sub-block of a half */
	__m256 dw = load_halfs(panel + 16 * half), dmin = load_halfs(panel + 32 + 16 * half);
	__m256i isum[ACT_TILE], mins[4];
	__m128i six[8];

	for (int t = 0; t < n; t++)
		isum[t] = _mm256_setzero_si256();
	for (int s = 0; s < 8; s++) /* not where they are needed: 2 to 6 % */
		six[s] = scale6(sc, s);
	for (int s = 0; s < 8; s++) {
		__m256i scale = pairs_u8(six[s], six[s]), v[8];

		if (n > 1 && s % 2 == half)
			prefetch(panel + s / 2 * share, share);
		unpack_k45(v, qh, qs, s, true);
#pragma GCC unroll 1 /* unrolled, as gcc 12 does up to six tokens, it spills */
		for (int t = 0; t < n; t++)
			isum[t] = dot_scaled(isum[t], v, 8, 4, q + 4 * (8 * s * n + t), 4 * (size_t)n, scale);
	}
	for (int p = 0; p < 4; p++)
		mins[p] = pairs_u8(min6(sc, 2 * p), min6(sc, 2 * p + 1));
#pragma GCC unroll 1 /* the loop above keeps the sums in memory */
	for (int t = 0; t < n; t++) {
		__m256 da = _mm256_set1_ps(d[t]);
		__m256i m = _mm256_setzero_si256();

		for (int p = 0; p < 4; p++)
			m = _mm256_add_epi32(m, _mm256_madd_epi16(mins[p], load_pair(sum32 + (p * n + t) * 2)));
		acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(dw, da), _mm256_cvtepi32_ps(isum[t]), acc[t]);
		acc[t] = _mm256_fnmadd_ps(_mm256_mul_ps(dmin, da), _mm256_cvtepi32_ps(m), acc[t]);
	}
}

INLINE void half_q6(const int n, __m256 *acc, const uint8_t *panel, const uint8_t *x, int half)
{
	const float *d = (const float *)x;
	const int16_t *sum16 = (const int16_t *)(x + ACT_Q8_K_SUM16(n));
	const int8_t *q = (const int8_t *)(x + ACT_Q8_K_Q(n));
	const uint8_t *sc = panel + 32 + 8 * half, *sub = panel + 288 + 32 * half;
	__m256 dw = load_halfs(panel + 16 * half);
	__m256i isum[ACT_TILE], sums[ACT_TILE];

	for (int t = 0; t < n; t++)
		isum[t] = sums[t] = _mm256_setzero_si256();
	for (int p = 0; p < 8; p++) {
		__m256i scale[2] = { load_i8_twice(sc + 32 * p), load_i8_twice(sc + 32 * p + 16) };
		__m256i pair = _mm256_blend_epi16(scale[0], scale[1], 0xaa);

		if (n > 1 && p % 2 == half)
			prefetch(panel + p / 2 * 840, 840);
		for (int i = 0; i < 2; i++) {
			__m256i v[4];

			unpack_q6(v, sub, 2 * p + i);
			for (int t = 0; t < n; t++)
				isum[t] = dot_scaled(isum[t], v, 4, 2, q + 4 * (4 * (2 * p + i) * n + t), 4 * (size_t)n,
						     scale[i]);
		}
		for (int t = 0; t < n; t++)
			sums[t] =
				_mm256_add_epi32(sums[t], _mm256_madd_epi16(pair, load_pair(sum16 + (p * n + t) * 2)));
	}
	for (int t = 0; t < n; t++) {
		__m256i v = _mm256_sub_epi32(isum[t], _mm256_slli_epi32(sums[t], 5));

		acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(dw, _mm256_set1_ps(d[t])), _mm256_cvtepi32_ps(v), acc[t]);
	}
}

/* Of Q5_K, whose nibbles want a bit each, many tokens take a sub-block unpacked for all of them. */
#define FEW 4

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	if (f->bits == 4 || (f->bits == 5 && n <= FEW)) {
		k45_block(n, f->bits == 5, acc, panel, x);
		return;
	}
	for (int half = 0; half < 2; half++)
		if (f->bits == 6)
			half_q6(n, acc[half], panel, x, half);
		else
			half_k5(n, acc[half], panel, x, half);
}

MATMUL(avx2_matmul_q4_k, block, 256, 144, .bits = 4)
MATMUL(avx2_matmul_q5_k, block, 256, 176, .bits = 5)
MATMUL(avx2_matmul_q6_k, block, 256, 210, .bits = 6)

const struct matmul_row avx2_matmul_k[] = {
	{ QUANT_Q4_K, avx2_matmul_q4_k },
	{ QUANT_Q5_K, avx2_matmul_q5_k },
	{ QUANT_Q6_K, avx2_matmul_q6_k },
	{ .matmul = NULL },
};
