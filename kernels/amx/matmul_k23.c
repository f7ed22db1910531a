/* Q2_K Q3_K: sixteen sub-blocks of 16, s = 8h + 2c + m: k-groups 4m .. 4m+3 of half h, bits 2c and 2c+1 of each byte. */
#include "kernels/amx/amx.h"

struct form {
	int bits;
};

/* Where the fields of a panel block of three bits lie (quant.h). */
#define HM_AT 224

INLINE void unpack(tile_weights to, const uint8_t *w, int s, const struct form *f)
{
	const int h = s / 8, c = s % 8 / 2, first = 4 * (s % 2);
	const uint8_t *qs = w + (f->bits == 3 ? 736 : 320) + 512 * h;

	for (int j = 0; j < 4; j++) {
		bytes64 v = load64(qs + 64 * (first + j)) >> (uint8_t)(2 * c) & 3;

		if (f->bits == 3) {
			v |= (load64(w + HM_AT + 64 * (first + j)) >> (uint8_t)(4 * h + c) & 1) << 2;
			v -= 4;
		}
		store64(to[j], v);
	}
}

INLINE void block_q2(const int n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	struct sub_scales c;

	prefetch(w, PANEL_ROWS * 84);
	load_halfs16(c.dw, w);
	load_halfs16(c.dmin, w + 32);
	for (int s = 0; s < 16; s++)
		for (int r = 0; r < PANEL_ROWS; r++) {
			c.scale[s][r] = w[64 + 16 * s + r] & 15;
			c.min[s][r] = w[64 + 16 * s + r] >> 4;
		}
	block_256(n, acc, 16, unpack, f, &c, (const int16_t *)(x + ACT_Q8_K_SUM16(n)), w, x);
}

INLINE void block_q3(const int n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	const uint8_t *sc = w + 32;
	struct sub_scales c;

	prefetch(w, PANEL_ROWS * 110);
	load_halfs16(c.dw, w);
	for (int s = 0; s < 16; s++)
		for (int r = 0; r < PANEL_ROWS; r++)
			c.scale[s][r] = ((sc[s % 8 * 16 + r] >> s / 8 * 4 & 15) |
					 (sc[128 + s % 4 * 16 + r] >> s / 4 * 2 & 3) << 4) -
					32;
	block_256(n, acc, 16, unpack, f, &c, NULL, w, x);
}

AMX_MATMUL(matmul_q2_k, QUANT_Q2_K, 16, block_q2, 256, 84, .bits = 2)
AMX_MATMUL(matmul_q3_k, QUANT_Q3_K, 16, block_q3, 256, 110, .bits = 3)

const struct matmul_row amx_matmul_k23[] = {
	{ QUANT_Q2_K, matmul_q2_k },
	{ QUANT_Q3_K, matmul_q3_k },
	{ .matmul = NULL },
};
