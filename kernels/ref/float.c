/* F32, F16, BF16: unquantized rows, one k a block. */
#include "kernels/ref/panel.h"

#include <math.h>

#define FLOAT_TYPE(name, width, load)                                                                               \
	static void dequantize_##name(float *y, const void *block)                                                  \
	{                                                                                                           \
		*y = load(block);                                                                                   \
	}                                                                                                           \
	static void pack_##name(uint8_t *dst, const uint8_t *src, size_t stride, size_t n_block)                    \
	{                                                                                                           \
		panel_interleave(dst, src, stride, width, n_block);                                                 \
	}                                                                                                           \
	static void unpack_##name(void *block, const void *src, int r)                                              \
	{                                                                                                           \
		panel_extract(block, src, r, width, 1);                                                             \
	}                                                                                                           \
	static void matmul_##name(MATMUL_ARGS)                                                                      \
	{                                                                                                           \
		const float *x = x_tile;                                                                            \
		for (size_t p = panel0; p < panel1; p++) {                                                          \
			const uint8_t *panel = (const uint8_t *)w + p * k->cut[k->n] * (width)*PANEL_ROWS;          \
			for (int t = 0; t < n_tok; t++) {                                                           \
				float acc[PANEL_ROWS], wait[CHUNK_WAIT_MAX * PANEL_ROWS];                           \
				for (uint32_t c = 0; c < k->n; c++) {                                               \
					memset(acc, 0, sizeof(acc));                                                \
					for (size_t i = k->cut[c]; i < k->cut[c + 1]; i++)                          \
						for (size_t r = 0; r < PANEL_ROWS; r++)                             \
							acc[r] = fmaf(load(panel + (i * PANEL_ROWS + r) * (width)), \
								      x[i * (size_t)n_tok + (size_t)t], acc[r]);    \
					ref_chunk_end(k, c, acc, wait, PANEL_ROWS);                                 \
				}                                                                                   \
				memcpy(y + (size_t)t * y_stride + p * PANEL_ROWS, acc, sizeof(acc));                \
			}                                                                                           \
		}                                                                                                   \
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

const struct ref_type ref_float_types[] = {
	{ QUANT_F32, { "F32", 1, 4, dequantize_f32, pack_f32, unpack_f32, 0, { 0 } }, ACT_F32, matmul_f32 },
	{ QUANT_F16, { "F16", 1, 2, dequantize_f16, pack_f16, unpack_f16, 0, { 0 } }, ACT_F32, matmul_f16 },
	{ QUANT_BF16, { "BF16", 1, 2, dequantize_bf16, pack_bf16, unpack_bf16, 0, { 0 } }, ACT_F32, matmul_bf16 },
	{ .info = { .name = NULL } },
};
