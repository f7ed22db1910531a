/* Installs what 256 bits with VNNI do better. Q2_K and Q3_K stay avx2's, whose maddubs adds their small products in 16 bits. */
#include "kernels/avxvnni/avxvnni.h"
#include "kernels/isa.h"

void kernels_avxvnni_override(struct kernels *k)
{
	matmul_install(k, avxvnni_matmul_q8);
	matmul_install(k, avxvnni_matmul_k);
	matmul_install(k, avxvnni_matmul_iq);
}
