/* Q3_K, by k23.h; Q2_K stands apart, since a compiler has much to do for either. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/k23.h"

MATMUL(avx2_matmul_q3_k, block, 256, 110, .bits = 3)

const struct matmul_row avx2_matmul_k3[] = {
	{ QUANT_Q3_K, avx2_matmul_q3_k },
	{ .matmul = NULL },
};
