/* Installs what avx2 does better. */
#include "kernels/avx2/avx2.h"
#include "kernels/isa.h"

void kernels_avx2_override(struct kernels *k)
{
	k->matmul[QUANT_Q4_0] = avx2_matmul_q4_0;
	k->matmul[QUANT_Q4_1] = avx2_matmul_q4_1;
	k->matmul[QUANT_Q5_0] = avx2_matmul_q5_0;
	k->matmul[QUANT_Q5_1] = avx2_matmul_q5_1;
	k->matmul[QUANT_Q8_0] = avx2_matmul_q8_0;
	k->matmul[QUANT_Q4_K] = avx2_matmul_q4_k;
	k->matmul[QUANT_Q5_K] = avx2_matmul_q5_k;
	k->matmul[QUANT_Q6_K] = avx2_matmul_q6_k;
	k->silu_mul = avx2_silu_mul;
	k->attn_chunk = avx2_attn_chunk;
}
