/* F32, F16, BF16: lane = output row, one fma a k. Up to six tokens keep both half panels in registers; more go over the
 * panel in two groups, so that a broadcast of an activation serves two fma. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/sums.h"
#include "kernels/matmul.h"

struct form {
	enum quant_type type;
};

_Static_assert(ACT_TILE <= 12, "two groups");
#define TOKENS_MAX 6 /* twelve accumulators, two halves of weights, one activation */

INLINE __m256 load8(const struct form *f, const uint8_t *p)
{
	if (f->type == QUANT_F32)
		return _mm256_loadu_ps((const float *)p);
	if (f->type == QUANT_F16)
		return load_halfs(p);
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	const size_t half_bytes = f->type == QUANT_F32 ? 32 : 16;
	__m256 low = load8(f, panel), high = load8(f, panel + half_bytes);

	if (n > 2)
		prefetch(panel, 2 * half_bytes);
	for (int t = 0; t < n; t++) {
		__m256 v = _mm256_set1_ps(((const float *)x)[t]);

		acc[0][t] = _mm256_fmadd_ps(low, v, acc[0][t]);
		acc[1][t] = _mm256_fmadd_ps(high, v, acc[1][t]);
	}
}

/* As walk; more than TOKENS_MAX in two groups. */
INLINE void walk_groups(const int n, block_fn *add, const struct form *f, const uint32_t len, const size_t bytes,
			float *y, size_t y_stride, const uint8_t *w, const uint8_t *x, const struct chunks *k,
			size_t panel0, size_t panel1)
{
	const size_t panel_bytes = k->cut[k->n] * bytes, x_bytes = act_block_bytes(len, (size_t)n);
	const int first = n <= TOKENS_MAX ? n : (n + 1) / 2;

	for (size_t p = panel0; p < panel1; p++) {
		const uint8_t *panel = w + p * panel_bytes;

		walk_panel(first, add, f, len, bytes, x_bytes, y + p * PANEL_ROWS, y_stride, panel, x, k);
		if (first < n)
			walk_panel(n - first, add, f, len, bytes, x_bytes,
				   y + p * PANEL_ROWS + (size_t)first * y_stride, y_stride, panel,
				   x + sizeof(float) * (size_t)first, k);
	}
}

MATMUL_BY(walk_groups, avx2_matmul_f32, block, 1, 4, .type = QUANT_F32)
MATMUL_BY(walk_groups, avx2_matmul_f16, block, 1, 2, .type = QUANT_F16)
MATMUL_BY(walk_groups, avx2_matmul_bf16, block, 1, 2, .type = QUANT_BF16)

const struct matmul_row avx2_matmul_float[] = {
	{ QUANT_F32, avx2_matmul_f32 },
	{ QUANT_F16, avx2_matmul_f16 },
	{ QUANT_BF16, avx2_matmul_bf16 },
	{ .matmul = NULL },
};
