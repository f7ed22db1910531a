/* Installs what tiles do better: every product of integers, with activations as they want them. */
#include "kernels/amx/amx.h"
#include "kernels/isa.h"

struct kernels amx_parent;

static const struct matmul_row *const products[] = { amx_matmul_q8, amx_matmul_k, amx_matmul_k23, amx_matmul_iq };

void kernels_amx_override(struct kernels *k)
{
	amx_parent = *k;
	for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++) {
		matmul_install(k, products[i]);
		for (const struct matmul_row *row = products[i]; row->matmul; row++)
			k->act[row->type] = k->act[row->type] == ACT_Q8 ? ACT_Q8_ROWS : ACT_Q8_K_ROWS;
	}
	k->act_pack[ACT_Q8_ROWS] = amx_act_pack_q8_rows;
	k->act_pack[ACT_Q8_K_ROWS] = amx_act_pack_q8_k_rows;
}
