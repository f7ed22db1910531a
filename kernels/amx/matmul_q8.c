/* Q4_0 Q4_1 Q5_0 Q5_1 Q8_0: a block is a tile. */
#include "kernels/amx/amx.h"

struct form {
	bool has_min, has_high, eight_bits;
	int offset;
};

INLINE void unpack(tile_weights to, const struct form *f, const uint8_t *qs)
{
	const bytes64 offset = (bytes64){ 0 } + (uint8_t)f->offset, high = load64(qs - 64);

	for (int j = 0; j < 8; j++) {
		bytes64 v = load64(qs + 64 * (f->eight_bits ? j : j % 4));

		if (!f->eight_bits)
			v = (j < 4 ? v : v >> 4) & 15;
		if (f->has_high)
			v |= (high >> j & 1) << 4;
		store64(to[j], v - offset);
	}
}

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	const size_t head = 32 + (f->has_min ? 32 : 0) + (f->has_high ? 64 : 0);
	const float *d = (const float *)x, *s = (const float *)(x + ACT_Q8_S(n));
	_Alignas(64) tile_weights weights;
	_Alignas(64) tile_sums sum;
	float dw[PANEL_ROWS], m[PANEL_ROWS];

	prefetch(w, head + (f->eight_bits ? 512 : 256));
	unpack(weights, f, w + head);
	dot_one(sum, (const int8_t *)(x + ACT_Q8_Q(n)), 32, weights);
	load_halfs16(dw, w);
	add_scaled(n, acc, dw, d, sum);
	if (!f->has_min)
		return;
	load_halfs16(m, w + 32);
	for (int t = 0; t < n; t++)
		for (int r = 0; r < PANEL_ROWS; r++)
			acc[t][r] = fmaf(m[r], s[t], acc[t][r]);
}

AMX_MATMUL(matmul_q4_0, QUANT_Q4_0, 32, block, 32, 18, .offset = 8)
AMX_MATMUL(matmul_q4_1, QUANT_Q4_1, 32, block, 32, 20, .has_min = true)
AMX_MATMUL(matmul_q5_0, QUANT_Q5_0, 32, block, 32, 22, .has_high = true, .offset = 16)
AMX_MATMUL(matmul_q5_1, QUANT_Q5_1, 32, block, 32, 24, .has_high = true, .has_min = true)
AMX_MATMUL(matmul_q8_0, QUANT_Q8_0, 32, block, 32, 34, .eight_bits = true)

const struct matmul_row amx_matmul_q8[] = {
	{ QUANT_Q4_0, matmul_q4_0 }, { QUANT_Q4_1, matmul_q4_1 }, { QUANT_Q5_0, matmul_q5_0 },
	{ QUANT_Q5_1, matmul_q5_1 }, { QUANT_Q8_0, matmul_q8_0 }, { .matmul = NULL },
};
