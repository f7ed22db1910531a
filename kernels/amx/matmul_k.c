/* Q4_K Q5_K: eight sub-blocks of 32; Q6_K: sixteen of 16. */
#include "kernels/amx/amx.h"

struct form {
	int bits;
};

/* Six-bit scales and minima of eight sub-blocks, from the panel's sc[12][16] (quant.h). */
INLINE void unpack_scales6(struct sub_scales *c, const uint8_t *sc)
{
	for (int s = 0; s < 4; s++)
		for (int r = 0; r < PANEL_ROWS; r++) {
			int first = sc[16 * s + r], second = sc[16 * (4 + s) + r], last = sc[16 * (8 + s) + r];

			c->scale[s][r] = first & 63;
			c->min[s][r] = second & 63;
			c->scale[4 + s][r] = (last & 15) | (first >> 6) << 4;
			c->min[4 + s][r] = last >> 4 | (second >> 6) << 4;
		}
}

INLINE void unpack_k45(tile_weights to, const uint8_t *w, int s, const struct form *f)
{
	const uint8_t *qh = w + 256, *qs = qh + (f->bits == 5 ? 512 : 0);

	for (int j = 0; j < 8; j++) {
		bytes64 v = load64(qs + 64 * (s / 2 * 8 + j));

		v = (s % 2 ? v >> 4 : v) & 15;
		if (f->bits == 5)
			v |= (load64(qh + 64 * j) >> (uint8_t)s & 1) << 4;
		store64(to[j], v);
	}
}

INLINE void block_k45(const int n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	struct sub_scales c;

	prefetch(w, PANEL_ROWS * (f->bits == 5 ? 176 : 144));
	load_halfs16(c.dw, w);
	load_halfs16(c.dmin, w + 32);
	unpack_scales6(&c, w + 64);
	block_256(n, acc, 8, unpack_k45, f, &c, (const int16_t *)(x + ACT_Q8_K_SUM32(n)), w, x);
}

INLINE void unpack_q6(tile_weights to, const uint8_t *w, int s, const struct form *f)
{
	const uint8_t *sub = w + 288 + 192 * s;
	bytes64 h = load64(sub), a = load64(sub + 64), b = load64(sub + 128);

	(void)f;
	store64(to[0], ((a & 15) | (h << 4 & 48)) - 32);
	store64(to[1], (a >> 4 | (h << 2 & 48)) - 32);
	store64(to[2], ((b & 15) | (h & 48)) - 32);
	store64(to[3], (b >> 4 | (h >> 2 & 48)) - 32);
}

INLINE void block_q6(const int n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	struct sub_scales c;

	prefetch(w, PANEL_ROWS * 210);
	load_halfs16(c.dw, w);
	for (int s = 0; s < 16; s++)
		for (int r = 0; r < PANEL_ROWS; r++)
			c.scale[s][r] = (int8_t)w[32 + 16 * s + r];
	block_256(n, acc, 16, unpack_q6, f, &c, NULL, w, x);
}

AMX_MATMUL(matmul_q4_k, QUANT_Q4_K, 32, block_k45, 256, 144, .bits = 4)
AMX_MATMUL(matmul_q5_k, QUANT_Q5_K, 32, block_k45, 256, 176, .bits = 5)
AMX_MATMUL(matmul_q6_k, QUANT_Q6_K, 16, block_q6, 256, 210, .bits = 6)

const struct matmul_row amx_matmul_k[] = {
	{ QUANT_Q4_K, matmul_q4_k },
	{ QUANT_Q5_K, matmul_q5_k },
	{ QUANT_Q6_K, matmul_q6_k },
	{ .matmul = NULL },
};
