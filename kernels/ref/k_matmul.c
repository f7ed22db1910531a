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
	const int16_t *sum = (const int16_t *)(x + (w->sub == 16 ? ACT_Q8_K_SUM16(n) : ACT_Q8_K_SUM32(n)));
	const int8_t *q = (const int8_t *)(x + ACT_Q8_K_Q(n));
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

/* acc[n][PANEL_ROWS] over one block of a panel. */
static void panel_block_dot(const struct quant_info *info, k_decode_fn *decode, float *acc, const uint8_t *panel,
			    const uint8_t *x, size_t n)
{
	for (int r = 0; r < PANEL_ROWS; r++) {
		uint8_t row[256];
		struct k_block w;

		info->unpack(row, panel, r);
		decode(&w, row);
		for (size_t t = 0; t < n; t++)
			acc[t * PANEL_ROWS + (size_t)r] = block_dot(&w, x, n, t, acc[t * PANEL_ROWS + (size_t)r]);
	}
}

void k_matmul(uint32_t type, k_decode_fn *decode, MATMUL_ARGS)
{
	const struct quant_info *info = quant_info(type);
	size_t n_block = k->cut[k->n] / 256, n = (size_t)n_tok, block_bytes = info->block_bytes * (size_t)PANEL_ROWS;
	float acc[ACT_TILE * PANEL_ROWS], wait[CHUNK_WAIT_MAX * ACT_TILE * PANEL_ROWS];

	for (size_t p = panel0; p < panel1; p++) {
		const uint8_t *panel = (const uint8_t *)w + p * n_block * block_bytes;

		for (uint32_t c = 0; c < k->n; c++) {
			memset(acc, 0, sizeof(acc));
			for (size_t b = k->cut[c] / 256; b < k->cut[c + 1] / 256; b++)
				panel_block_dot(info, decode, acc, panel + b * block_bytes,
						(const uint8_t *)x_tile + b * ACT_Q8_K_BYTES(n), n);
			ref_chunk_end(k, c, acc, wait, n * PANEL_ROWS);
		}
		for (size_t t = 0; t < n; t++)
			memcpy(y + t * y_stride + p * PANEL_ROWS, acc + t * PANEL_ROWS, PANEL_ROWS * sizeof(*acc));
	}
}
