/*
 * Q4_K Q5_K Q6_K: 256 elements a block, lane = output row, 8 rows a ymm. A sub-block's sum is exact in 32 bits and is multiplied by its
 * scale there; Q6_K's starts where the tile puts its offset of 32. Of all of them none reaches 16 * 128 * 63 * 120 * 16 < 2^28.
 */
#include "kernels/avxvnni/avxvnni.h"

struct form {
	int bits;
};

/* isum += sum * scale */
INLINE __m256i scaled(__m256i isum, __m256i sum, __m256i scale)
{
	return _mm256_add_epi32(isum, _mm256_mullo_epi32(sum, scale));
}

/* acc[n] -= dmin * d[n] * sum of min * sum32 */
INLINE void take_minima(const int n, __m256 *acc, __m256 dmin, const uint8_t *sc, const float *d, const int16_t *sum32)
{
	__m256i mins[4];

	for (int p = 0; p < 4; p++)
		mins[p] = pairs_u8(min6(sc, 2 * p), min6(sc, 2 * p + 1));
	for (int t = 0; t < n; t++) {
		__m256i m = _mm256_setzero_si256();

		for (int p = 0; p < 4; p++)
			m = _mm256_add_epi32(m, _mm256_madd_epi16(mins[p], load_pair(sum32 + (p * n + t) * 2)));
		acc[t] = _mm256_fnmadd_ps(_mm256_mul_ps(dmin, _mm256_set1_ps(d[t])), _mm256_cvtepi32_ps(m), acc[t]);
	}
}

INLINE void half_k45(const int n, const bool five, __m256 *acc, const uint8_t *panel, const uint8_t *x, int half)
{
	const float *d = (const float *)x;
	const int8_t *q = (const int8_t *)(x + ACT_Q8_K_Q(n));
	const uint8_t *sc = panel + 64 + 8 * half, *qh = panel + 256 + 32 * half, *qs = qh + (five ? 512 : 0);
	const size_t share = PANEL_ROWS * (five ? 176 : 144) / 4; /* to fetch in every other sub-block of a half */
	__m256i isum[ACT_TILE];

	for (int t = 0; t < n; t++)
		isum[t] = _mm256_setzero_si256();
	for (int s = 0; s < 8; s++) {
		__m256i scale = _mm256_cvtepu8_epi32(scale6(sc, s)), v[8];

		if (n > 1 && s % 2 == half)
			prefetch(panel + s / 2 * share, share);
		unpack_k45(v, qh, qs, s, five);
#pragma GCC unroll 1 /* as avx2/ */
		for (int t = 0; t < n; t++)
			isum[t] =
				scaled(isum[t],
				       dot_groups(_mm256_setzero_si256(), v, 8, q + 4 * (8 * s * n + t), 4 * (size_t)n),
				       scale);
	}
	add_scaled(n, acc, load_halfs(panel + 16 * half), d, isum);
	take_minima(n, acc, load_halfs(panel + 32 + 16 * half), sc, d, (const int16_t *)(x + ACT_Q8_K_SUM32(n)));
}

INLINE void half_q6(const int n, __m256 *acc, const uint8_t *panel, const uint8_t *x, int half)
{
	const int8_t *q = (const int8_t *)(x + ACT_Q8_K_Q(n));
	const int32_t *off = (const int32_t *)(x + ACT_Q8_K_OFF(n));
	const uint8_t *sc = panel + 32 + 8 * half, *sub = panel + 288 + 32 * half;
	__m256i isum[ACT_TILE];

	for (int t = 0; t < n; t++)
		isum[t] = _mm256_setzero_si256();
	for (int s = 0; s < 16; s++) {
		__m256i scale = _mm256_cvtepi8_epi32(load_8_bytes(sc + 16 * s)), v[4];

		if (n > 1 && s % 4 == 2 * half)
			prefetch(panel + s / 4 * 840, 840);
		unpack_q6(v, sub, s);
		for (int t = 0; t < n; t++)
			isum[t] = scaled(isum[t],
					 dot_groups(_mm256_set1_epi32(off[s * n + t]), v, 4, q + 4 * (4 * s * n + t),
						    4 * (size_t)n),
					 scale);
	}
	add_scaled(n, acc, load_halfs(panel + 16 * half), (const float *)x, isum);
}

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	for (int half = 0; half < 2; half++) {
		if (f->bits == 6)
			half_q6(n, acc[half], panel, x, half);
		else
			half_k45(n, f->bits == 5, acc[half], panel, x, half);
	}
}

MATMUL(avxvnni_matmul_q4_k, block, 256, 144, .bits = 4)
MATMUL(avxvnni_matmul_q5_k, block, 256, 176, .bits = 5)
MATMUL(avxvnni_matmul_q6_k, block, 256, 210, .bits = 6)

const struct matmul_row avxvnni_matmul_k[] = {
	{ QUANT_Q4_K, avxvnni_matmul_q4_k },
	{ QUANT_Q5_K, avxvnni_matmul_q5_k },
	{ QUANT_Q6_K, avxvnni_matmul_q6_k },
	{ .matmul = NULL },
};
