/* F32, F16, BF16: unquantized rows, one k a block. */
#include "kernels/ref/panel.h"

#include <math.h>

#define FLOAT_TYPE(name, width, load)                                                                                 \
	void ref_dequantize_##name(float *y, const void *block)                                                       \
	{                                                                                                             \
		*y = load(block);                                                                                     \
	}                                                                                                             \
	void ref_pack_##name(void *dst, const void *const row_block[PANEL_ROWS])                                      \
	{                                                                                                             \
		panel_interleave(dst, row_block, 0, width, 1);                                                        \
	}                                                                                                             \
	void ref_unpack_##name(void *block, const void *src, int r)                                                   \
	{                                                                                                             \
		panel_extract(block, src, r, width, 1);                                                               \
	}                                                                                                             \
	void ref_matmul_##name(float *y, size_t y_stride, const void *w, const void *x_tile, int n_tok, size_t n_col, \
			       size_t panel0, size_t panel1)                                                          \
	{                                                                                                             \
		const float *x = x_tile;                                                                              \
		for (size_t p = panel0; p < panel1; p++) {                                                            \
			const uint8_t *panel = (const uint8_t *)w + p * n_col * (width)*PANEL_ROWS;                   \
			for (int t = 0; t < n_tok; t++) {                                                             \
				float acc[PANEL_ROWS] = { 0 };                                                        \
				for (size_t k = 0; k < n_col; k++)                                                    \
					for (size_t r = 0; r < PANEL_ROWS; r++)                                       \
						acc[r] = fmaf(load(panel + (k * PANEL_ROWS + r) * (width)),           \
							      x[k * (size_t)n_tok + (size_t)t], acc[r]);              \
				memcpy(y + (size_t)t * y_stride + p * PANEL_ROWS, acc, sizeof(acc));                  \
			}                                                                                             \
		}                                                                                                     \
	}

static inline float load_f32(const void *p)
{
	float f;
	memcpy(&f, p, 4);
	return f;
}

static inline float load_bf16(const void *p)
{
	return bf16_to_f32(load_u16(p));
}

FLOAT_TYPE(f32, 4, load_f32)
FLOAT_TYPE(f16, 2, load_f16)
FLOAT_TYPE(bf16, 2, load_bf16)
