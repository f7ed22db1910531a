/* F32, F16, BF16: lane = output row, one fma a k. Up to six tokens keep both half panels in registers; with more, sixteen
 * accumulators would leave none for the weights, so a panel is read once per half. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/simd.h"

INLINE __m256 load8(const uint32_t type, const uint8_t *p)
{
	if (type == QUANT_F32)
		return _mm256_loadu_ps((const float *)p);
	if (type == QUANT_F16)
		return load_halfs(p);
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}

INLINE void matmul(const int n, const uint32_t type, float *y, size_t y_stride, const uint8_t *w, const float *x_tile,
		   size_t n_col, size_t panel0, size_t panel1)
{
	const size_t width = type == QUANT_F32 ? 4 : 2;
	const int n_half = n <= 6 ? 2 : 1;

	for (size_t p = panel0; p < panel1; p++) {
		for (int h0 = 0; h0 < 2; h0 += n_half) {
			const uint8_t *panel = w + (p * n_col * PANEL_ROWS + 8 * (size_t)h0) * width;
			const float *x = x_tile;
			__m256 acc[2][ACT_TILE];

			for (int t = 0; t < n; t++)
				acc[0][t] = acc[1][t] = _mm256_setzero_ps();
			for (size_t k = 0; k < n_col; k++, panel += PANEL_ROWS * width, x += n)
				for (int h = 0; h < n_half; h++)
					for (int t = 0; t < n; t++)
						acc[h][t] = _mm256_fmadd_ps(load8(type, panel + 8 * (size_t)h * width),
									    _mm256_set1_ps(x[t]), acc[h][t]);
			for (int h = 0; h < n_half; h++)
				for (int t = 0; t < n; t++)
					_mm256_storeu_ps(y + (size_t)t * y_stride + p * PANEL_ROWS + 8 * (h0 + h),
							 acc[h][t]);
		}
	}
}

void avx2_matmul_f32(MATMUL_ARGS)
{
	FOR_CONSTANT_N_TOK(n_tok, matmul, QUANT_F32, y, y_stride, w, x_tile, n_col, panel0, panel1)
}

void avx2_matmul_f16(MATMUL_ARGS)
{
	FOR_CONSTANT_N_TOK(n_tok, matmul, QUANT_F16, y, y_stride, w, x_tile, n_col, panel0, panel1)
}

void avx2_matmul_bf16(MATMUL_ARGS)
{
	FOR_CONSTANT_N_TOK(n_tok, matmul, QUANT_BF16, y, y_stride, w, x_tile, n_col, panel0, panel1)
}
