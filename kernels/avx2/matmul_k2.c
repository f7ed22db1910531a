/* Q2_K, by k23.h; Q3_K stands apart, since a compiler has much to do for either. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/k23.h"

MATMUL(avx2_matmul_q2_k, block, 256, 84, .bits = 2)

const struct matmul_row avx2_matmul_k2[] = {
	{ QUANT_Q2_K, avx2_matmul_q2_k },
	{ .matmul = NULL },
};
