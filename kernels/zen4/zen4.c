/* Installs what AMD's cores with AVX-512 do better in another way. */
#include "kernels/zen4/zen4.h"
#include "kernels/isa.h"

void kernels_zen4_override(struct kernels *k)
{
	matmul_install(k, zen4_matmul_q8);
	matmul_install(k, zen4_matmul_k);
}
