/* Installs what AMD's cores with AVX-512 do better in another way. */
#include "kernels/zen4/zen4.h"
#include "kernels/isa.h"

void kernels_zen4_override(struct kernels *k)
{
	k->matmul[QUANT_Q4_0] = zen4_matmul_q4_0;
	k->matmul[QUANT_Q4_1] = zen4_matmul_q4_1;
	k->matmul[QUANT_Q4_K] = zen4_matmul_q4_k;
}
