/* The types whose nibbles index a table: IQ4_NL and MXFP4, a block of which is a tile, and IQ4_XS, eight sub-blocks of 32. */
#include "kernels/amx/amx.h"
#include "kernels/codes.h"
#include "kernels/f16.h"

struct form {
	const int8_t *codes;
	bool is_e8m0;
};

INLINE void unpack_codes(tile_weights to, const int8_t *codes, const uint8_t *qs)
{
	const bytes64 table = load_table16(codes);

	for (int j = 0; j < 4; j++) {
		bytes64 v = load64(qs + 64 * j);

		store64(to[j], look_up16(table, v));
		store64(to[j + 4], look_up16(table, v >> 4));
	}
}

INLINE void block_32(const int n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	_Alignas(64) tile_weights weights;
	_Alignas(64) tile_sums sum;
	float dw[PANEL_ROWS];

	prefetch(w, 288);
	unpack_codes(weights, f->codes, w + (f->is_e8m0 ? 16 : 32));
	dot_one(sum, (const int8_t *)(x + ACT_Q8_Q(n)), 32, weights);
	if (!f->is_e8m0)
		load_halfs16(dw, w);
	for (int r = 0; f->is_e8m0 && r < PANEL_ROWS; r++)
		dw[r] = e8m0_half_to_f32(w[r]);
	add_scaled(n, acc, dw, (const float *)x, sum);
}

INLINE void unpack_xs(tile_weights to, const uint8_t *w, int s, const struct form *f)
{
	unpack_codes(to, f->codes, w + 128 + 256 * s);
}

INLINE void block_xs(const int n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	const uint8_t *sh = w + 32, *sl = sh + 32;
	struct sub_scales c;

	prefetch(w, PANEL_ROWS * 136);
	load_halfs16(c.dw, w);
	for (int s = 0; s < 8; s++)
		for (int r = 0; r < PANEL_ROWS; r++)
			c.scale[s][r] =
				((sl[s / 2 * 16 + r] >> s % 2 * 4 & 15) | (sh[s / 4 * 16 + r] >> s % 4 * 2 & 3) << 4) -
				32;
	block_256(n, acc, 8, unpack_xs, f, &c, NULL, w, x);
}

AMX_MATMUL(matmul_iq4_nl, QUANT_IQ4_NL, 32, block_32, 32, 18, .codes = codes_iq4)
AMX_MATMUL(matmul_mxfp4, QUANT_MXFP4, 32, block_32, 32, 17, .codes = codes_mxfp4, .is_e8m0 = true)
AMX_MATMUL(matmul_iq4_xs, QUANT_IQ4_XS, 32, block_xs, 256, 136, .codes = codes_iq4)

const struct matmul_row amx_matmul_iq[] = {
	{ QUANT_IQ4_NL, matmul_iq4_nl },
	{ QUANT_MXFP4, matmul_mxfp4 },
	{ QUANT_IQ4_XS, matmul_iq4_xs },
	{ .matmul = NULL },
};
