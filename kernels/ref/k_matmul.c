/* See k.h. */
#include "kernels/ref/k.h"

#include <math.h>

void k_dequantize(float *y, const uint8_t *block, k_decode_fn *decode)
{
	struct k_block b;

	decode(&b, block);
	for (int k = 0; k < 256; k++) {
		int s = k / b.sub;
		float v = b.d * (float)b.sc[s] * (float)b.q[k];

		y[k] = b.has_min ? v - b.dmin * (float)b.min[s] : v;
	}
}

/* acc over one block for token t of the tile. */
static float block_dot(const struct k_block *w, const uint8_t *x, size_t n, size_t t, float acc)
{
	const float *d = (const float *)x;
	const int16_t *sum32 = (const int16_t *)(d + n), *sum16 = sum32 + 8 * n;
	const int16_t *sum = w->sub == 16 ? sum16 : sum32;
	const int8_t *q = (const int8_t *)(sum16 + 16 * n);
	int32_t isum = 0, mins = 0;

	for (int s = 0; s < 256 / w->sub; s++) {
		int32_t part = 0;

		for (int k = s * w->sub; k < (s + 1) * w->sub; k++)
			part += w->q[k] * q[((size_t)k / 4 * n + t) * 4 + (size_t)k % 4];
		isum += w->sc[s] * part;
		mins += w->min[s] * sum[((size_t)s / 2 * n + t) * 2 + (size_t)s % 2];
	}
	acc = fmaf(w->d * d[t], (float)isum, acc);
	return w->has_min ? fmaf(-(w->dmin * d[t]), (float)mins, acc) : acc;
}

void k_matmul(uint32_t type, k_decode_fn *decode, float *y, size_t y_stride, const void *w, const void *x_tile,
	      int n_tok, size_t n_col, size_t panel0, size_t panel1)
{
	const struct quant_info *info = quant_info(type);
	size_t n_block = n_col / 256, n = (size_t)n_tok;

	for (size_t p = panel0; p < panel1; p++) {
		for (size_t i = 0; i < PANEL_ROWS * n; i++)
			y[i / PANEL_ROWS * y_stride + p * PANEL_ROWS + i % PANEL_ROWS] = 0.0f;
		for (size_t i = 0; i < n_block * PANEL_ROWS; i++) {
			size_t b = i / PANEL_ROWS, r = i % PANEL_ROWS;
			const uint8_t *panel = (const uint8_t *)w + (p * n_block + b) * info->block_bytes * PANEL_ROWS;
			uint8_t row[256];
			struct k_block k;

			info->unpack(row, panel, (int)r);
			decode(&k, row);
			for (size_t t = 0; t < n; t++) {
				float *acc = y + t * y_stride + p * PANEL_ROWS + r;

				*acc = block_dot(&k, (const uint8_t *)x_tile + b * ACT_Q8_K_BYTES(n), n, t, *acc);
			}
		}
	}
}
