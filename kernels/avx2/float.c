/* F32, F16, BF16: lane = output row, one fma a k. Up to six tokens keep both half panels in registers; seven and eight go over the
 * panel in two groups, so that a broadcast of an activation serves two fma. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/simd.h"

#define TOKENS_MAX 6 /* twelve accumulators, two halves of weights, one activation */

INLINE __m256 load8(const uint32_t type, const uint8_t *p)
{
	if (type == QUANT_F32)
		return _mm256_loadu_ps((const float *)p);
	if (type == QUANT_F16)
		return load_halfs(p);
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}

/* Tokens [t0, t0 + n_t) of a tile of n, over one panel. */
INLINE void panel_tokens(const int n, const int t0, const int n_t, const uint32_t type, float *y, size_t y_stride,
			 const uint8_t *panel, const float *x, const struct chunks *k)
{
	const size_t width = type == QUANT_F32 ? 4 : 2;
	__m256 acc[2][ACT_TILE];
	struct wait wait;
	uint32_t c = 0;

	do {
		for (int t = 0; t < n_t; t++)
			acc[0][t] = acc[1][t] = _mm256_setzero_ps();
		for (size_t i = k->cut[c]; i < k->cut[c + 1]; i++, panel += PANEL_ROWS * width, x += n) {
			__m256 low = load8(type, panel), high = load8(type, panel + 8 * width);

			for (int t = 0; t < n_t; t++) {
				__m256 v = _mm256_set1_ps(x[t0 + t]);

				acc[0][t] = _mm256_fmadd_ps(low, v, acc[0][t]);
				acc[1][t] = _mm256_fmadd_ps(high, v, acc[1][t]);
			}
		}
	} while (next_chunk(n_t, k, &c, acc, &wait));
	for (int t = 0; t < n_t; t++) {
		_mm256_storeu_ps(y + (size_t)(t0 + t) * y_stride, acc[0][t]);
		_mm256_storeu_ps(y + (size_t)(t0 + t) * y_stride + 8, acc[1][t]);
	}
}

INLINE void matmul(const int n, const uint32_t type, float *y, size_t y_stride, const uint8_t *w, const float *x_tile,
		   const struct chunks *k, size_t panel0, size_t panel1)
{
	const size_t panel_bytes = k->cut[k->n] * PANEL_ROWS * (type == QUANT_F32 ? 4 : 2);
	const int first = n <= TOKENS_MAX ? n : 4;

	for (size_t p = panel0; p < panel1; p++) {
		panel_tokens(n, 0, first, type, y + p * PANEL_ROWS, y_stride, w + p * panel_bytes, x_tile, k);
		if (first < n)
			panel_tokens(n, first, n - first, type, y + p * PANEL_ROWS, y_stride, w + p * panel_bytes,
				     x_tile, k);
	}
}

void avx2_matmul_f32(MATMUL_ARGS)
{
	WITH_CONSTANT_8(n_tok, matmul, QUANT_F32, y, y_stride, w, x_tile, k, panel0, panel1)
}

void avx2_matmul_f16(MATMUL_ARGS)
{
	WITH_CONSTANT_8(n_tok, matmul, QUANT_F16, y, y_stride, w, x_tile, k, panel0, panel1)
}

void avx2_matmul_bf16(MATMUL_ARGS)
{
	WITH_CONSTANT_8(n_tok, matmul, QUANT_BF16, y, y_stride, w, x_tile, k, panel0, panel1)
}
