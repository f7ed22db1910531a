/*
 * Q4_0 Q4_1 Q5_0 Q5_1 Q8_0: 32 elements a block, lane = output row, 8 rows a ymm. Weights are unsigned, which for Q8_0 means plus 128,
 * and a sum starts where the tile's sum of quants takes the offset off. Exact: a sum is below 255 * 127 * 32 < 2^20.
 */
#include "kernels/avxvnni/avxvnni.h"

struct form {
	bool has_min, has_high, eight_bits;
	int offset;
};

INLINE size_t head_bytes(const struct form *f)
{
	return 32 + (f->has_min ? 32 : 0) + (f->has_high ? 64 : 0);
}

INLINE void half_block(const int n, const struct form *f, __m256 *acc, const uint8_t *panel, const uint8_t *x, int half)
{
	const float *d = (const float *)x, *s = (const float *)(x + ACT_Q8_S(n));
	const int32_t *nsum = (const int32_t *)(x + ACT_Q8_NSUM(n));
	const int8_t *q = (const int8_t *)(x + ACT_Q8_Q(n));
	const uint8_t *qs = panel + head_bytes(f) + 32 * half;
	__m256 dw = load_halfs(panel + 16 * half), m = f->has_min ? load_halfs(panel + 32 + 16 * half) : dw;
	__m256i v[8];

	unpack_q8(v, qs, f->eight_bits, f->has_high);
	for (int g = 0; f->eight_bits && g < 8; g++)
		v[g] = _mm256_xor_si256(v[g], _mm256_set1_epi8(-128));
#pragma GCC unroll 1 /* as avx2/, whose registers it has */
	for (int t = 0; t < n; t++) {
		__m256i isum = _mm256_set1_epi32(f->offset * nsum[t]);

		isum = dot_groups(isum, v, 8, q + 4 * t, 4 * (size_t)n);
		add_scaled(1, acc + t, dw, d + t, &isum);
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

MATMUL(avxvnni_matmul_q4_0, block, 32, 18, .offset = 8)
MATMUL(avxvnni_matmul_q4_1, block, 32, 20, .has_min = true)
MATMUL(avxvnni_matmul_q5_0, block, 32, 22, .has_high = true, .offset = 16)
MATMUL(avxvnni_matmul_q5_1, block, 32, 24, .has_high = true, .has_min = true)
MATMUL(avxvnni_matmul_q8_0, block, 32, 34, .eight_bits = true, .offset = 128)

const struct matmul_row avxvnni_matmul_q8[] = {
	{ QUANT_Q4_0, avxvnni_matmul_q4_0 }, { QUANT_Q4_1, avxvnni_matmul_q4_1 }, { QUANT_Q5_0, avxvnni_matmul_q5_0 },
	{ QUANT_Q5_1, avxvnni_matmul_q5_1 }, { QUANT_Q8_0, avxvnni_matmul_q8_0 }, { .matmul = NULL },
};
