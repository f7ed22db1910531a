/* Installs what smmla does better: every product of integers, with activations as it wants them. */
#include "kernels/i8mm/i8mm.h"
#include "kernels/isa.h"

static const struct matmul_row *const products[] = { i8mm_matmul_q8, i8mm_matmul_k, i8mm_matmul_k23, i8mm_matmul_iq };

void kernels_i8mm_override(struct kernels *k)
{
	for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++) {
		matmul_install(k, products[i]);
		for (const struct matmul_row *row = products[i]; row->matmul; row++)
			k->act[row->type] = k->act[row->type] == ACT_Q8 ? ACT_Q8_EIGHTS : ACT_Q8_K_EIGHTS;
	}
	k->act_pack[ACT_Q8_EIGHTS] = i8mm_act_pack_q8_eights;
	k->act_pack[ACT_Q8_K_EIGHTS] = i8mm_act_pack_q8_k_eights;
}
