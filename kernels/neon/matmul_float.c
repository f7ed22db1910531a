/* F32, F16, BF16: lane = output row, one fma a k. Up to six tokens keep the whole panel's sums in registers; more go over the
 * panel in two groups. */
#include "kernels/neon/neon.h"
#include "kernels/neon/sums.h"
#include "kernels/matmul.h"

struct form {
	enum quant_type type;
};

_Static_assert(ACT_TILE <= 12, "two groups");
#define TOKENS_MAX 6 /* 24 sums, four quarters of weights, activations */

INLINE float32x4_t load4(const struct form *f, const uint8_t *p)
{
	if (f->type == QUANT_F32)
		return vld1q_f32((const float *)p);
	if (f->type == QUANT_F16)
		return load_halfs(p);
	return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	const size_t bytes = f->type == QUANT_F32 ? 16 : 8; /* of a quarter */
	float32x4_t w[QUARTERS];

	if (n > 2)
		prefetch(panel, QUARTERS * bytes);
	for (size_t r = 0; r < QUARTERS; r++)
		w[r] = load4(f, panel + r * bytes);
	for (int t = 0; t < n; t++)
		for (int r = 0; r < QUARTERS; r++)
			acc[r][t] = vfmaq_n_f32(acc[r][t], w[r], ((const float *)x)[t]);
}

/* As walk; more than TOKENS_MAX in two groups. */
INLINE void walk_groups(const int n, block_fn *add, const struct form *f, const uint32_t len, const size_t bytes,
			float *y, size_t y_stride, const uint8_t *w, const uint8_t *x, const struct chunks *k,
			size_t panel0, size_t panel1)
{
	const size_t panel_bytes = k->cut[k->n] * bytes, x_bytes = act_block_bytes(len, (size_t)n);
	const int first = n <= TOKENS_MAX ? n : (n + 1) / 2;

	for (size_t p = panel0; p < panel1; p++) {
		const uint8_t *panel = w + p * panel_bytes;

		walk_panel(first, add, f, len, bytes, x_bytes, y + p * PANEL_ROWS, y_stride, panel, x, k);
		if (first < n)
			walk_panel(n - first, add, f, len, bytes, x_bytes,
				   y + p * PANEL_ROWS + (size_t)first * y_stride, y_stride, panel,
				   x + sizeof(float) * (size_t)first, k);
	}
}

MATMUL_BY(walk_groups, neon_matmul_f32, block, 1, 4, .type = QUANT_F32)
MATMUL_BY(walk_groups, neon_matmul_f16, block, 1, 2, .type = QUANT_F16)
MATMUL_BY(walk_groups, neon_matmul_bf16, block, 1, 2, .type = QUANT_BF16)

const struct matmul_row neon_matmul_float[] = {
	{ QUANT_F32, neon_matmul_f32 },
	{ QUANT_F16, neon_matmul_f16 },
	{ QUANT_BF16, neon_matmul_bf16 },
	{ .matmul = NULL },
};
