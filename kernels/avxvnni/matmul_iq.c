/*
 * The types whose nibbles index a table: IQ4_NL, IQ4_XS, MXFP4; lane = output row, 8 rows a ymm. The table holds the values plus an
 * offset, so that they are unsigned, and the tile's sums take it off. Exact: a sum of 32 is below 255 * 127 * 32 < 2^20, IQ4_XS's
 * eight with their scales (-32..31) below 2^28.
 */
#include "kernels/avxvnni/avxvnni.h"
#include "kernels/codes.h"

#define IQ4_OFFSET 128

struct form {
	const int8_t *codes;
	int offset;
	bool is_e8m0;
};

INLINE void half_32(const int n, const struct form *f, __m256 *acc, const uint8_t *panel, const uint8_t *x, int half)
{
	const float *d = (const float *)x;
	const int32_t *nsum = (const int32_t *)(x + ACT_Q8_NSUM(n));
	const int8_t *q = (const int8_t *)(x + ACT_Q8_Q(n));
	__m256 dw = f->is_e8m0 ? load_e8m0(panel + 8 * half) : load_halfs(panel + 16 * half);
	__m256i v[8];

	look_up(v, load_table(f->codes, f->offset), panel + (f->is_e8m0 ? 16 : 32) + 32 * half);
#pragma GCC unroll 1 /* as avx2/ */
	for (int t = 0; t < n; t++) {
		__m256i isum = dot_groups(_mm256_set1_epi32(f->offset * nsum[t]), v, 8, q + 4 * t, 4 * (size_t)n);

		add_scaled(1, acc + t, dw, d + t, &isum);
	}
}

INLINE void block_32(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	if (n >= PREFETCH_TOKENS)
		prefetch(panel, 288);
	for (int half = 0; half < 2; half++)
		half_32(n, f, acc[half], panel, x, half);
}

INLINE void half_xs(const int n, __m256 *acc, const uint8_t *panel, const uint8_t *x, int half)
{
	const __m256i table = load_table(codes_iq4, IQ4_OFFSET);
	const int16_t *sum32 = (const int16_t *)(x + ACT_Q8_K_SUM32(n));
	const int8_t *q = (const int8_t *)(x + ACT_Q8_K_Q(n));
	__m256i isum[ACT_TILE];

	for (int t = 0; t < n; t++)
		isum[t] = _mm256_setzero_si256();
	for (int s = 0; s < 8; s++) {
		__m256i scale = scale_xs(panel + 32 + 8 * half, s), v[8];

		if (n >= PREFETCH_TOKENS && s % 2 == half)
			prefetch(panel + s / 2 * 544, 544);
		look_up(v, table, panel + 128 + 256 * s + 32 * half);
		for (int t = 0; t < n; t++) {
			int sum = sum32[(s / 2 * n + t) * 2 + s % 2];
			__m256i part = dot_groups(_mm256_set1_epi32(-IQ4_OFFSET * sum), v, 8, q + 4 * (8 * s * n + t),
						  4 * (size_t)n);

			isum[t] = _mm256_add_epi32(isum[t], _mm256_mullo_epi32(part, scale));
		}
	}
	add_scaled(n, acc, load_halfs(panel + 16 * half), (const float *)x, isum);
}

INLINE void block_xs(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	(void)f;
	for (int half = 0; half < 2; half++)
		half_xs(n, acc[half], panel, x, half);
}

MATMUL(avxvnni_matmul_iq4_nl, block_32, 32, 18, .codes = codes_iq4, .offset = IQ4_OFFSET)
MATMUL(avxvnni_matmul_mxfp4, block_32, 32, 17, .codes = codes_mxfp4, .offset = 12, .is_e8m0 = true)
MATMUL(avxvnni_matmul_iq4_xs, block_xs, 256, 136, .codes = codes_iq4)

const struct matmul_row avxvnni_matmul_iq[] = {
	{ QUANT_IQ4_NL, avxvnni_matmul_iq4_nl },
	{ QUANT_MXFP4, avxvnni_matmul_mxfp4 },
	{ QUANT_IQ4_XS, avxvnni_matmul_iq4_xs },
	{ .matmul = NULL },
};
