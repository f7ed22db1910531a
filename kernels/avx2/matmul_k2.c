/* Q2_K, by k23.h; Q3_K stands apart, since a compiler has much to do for either. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/k23.h"

/* As walk, with all of the sums inlined: functions cost 4 % at ten tokens. */
INLINE void walk_inlined(const int n, block_fn *add, const struct form *f, const uint32_t len, const size_t bytes,
			 float *y, size_t y_stride, const uint8_t *w, const uint8_t *x, const struct chunks *k,
			 size_t panel0, size_t panel1)
{
	const size_t panel_bytes = k->cut[k->n] / len * bytes, x_bytes = act_block_bytes(len, (size_t)n);

	for (size_t p = panel0; p < panel1; p++)
		walk_panel_by(false, n, add, f, len, bytes, x_bytes, y + p * PANEL_ROWS, y_stride, w + p * panel_bytes,
			      x, k);
}

MATMUL_BY(walk_inlined, avx2_matmul_q2_k, block, 256, 84, .bits = 2)

const struct matmul_row avx2_matmul_k2[] = {
	{ QUANT_Q2_K, avx2_matmul_q2_k },
	{ .matmul = NULL },
};
