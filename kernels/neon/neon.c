/* Installs what neon does better. */
#include "kernels/neon/neon.h"
#include "kernels/isa.h"

static const struct matmul_row *const products[] = { neon_matmul_float, neon_matmul_q8, neon_matmul_k, neon_matmul_k23,
						     neon_matmul_iq };

void kernels_neon_override(struct kernels *k)
{
	k->act_pack[ACT_F32] = neon_act_pack_f32;
	k->act_pack[ACT_Q8] = neon_act_pack_q8;
	k->act_pack[ACT_Q8_K] = neon_act_pack_q8_k;
	for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++)
		matmul_install(k, products[i]);
	k->rms_norm = neon_rms_norm;
	k->layer_norm = neon_layer_norm;
	k->sum_squares = neon_sum_squares;
	k->mul_scaled = neon_mul_scaled;
	k->rope = neon_rope;
	k->silu_mul = neon_silu_mul;
	k->gelu_mul = neon_gelu_mul;
	k->oai_mul = neon_oai_mul;
	k->gelu = neon_gelu;
	k->relu2 = neon_relu2;
	k->xielu = neon_xielu;
	k->cap = neon_cap;
	k->add = neon_add;
	k->kvq_store[KVQ_F16] = neon_kvq_store_f16;
	k->attn_chunk[KVQ_F16] = neon_attn_chunk_f16;
	k->kvq_store[KVQ_F32] = neon_kvq_store_f32;
	k->attn_chunk[KVQ_F32] = neon_attn_chunk_f32;
	k->kvq_store[KVQ_Q8_0] = neon_kvq_store_q8_0;
	k->attn_chunk[KVQ_Q8_0] = neon_attn_chunk_q8_0;
	k->attn_merge = neon_attn_merge;
	k->max = neon_max;
	k->argmax = neon_argmax;
	k->exps = neon_exps;
	k->sum_exp = neon_sum_exp;
	k->recur[RECUR_DECAY] = neon_recur_decay;
	k->recur[RECUR_RATE] = neon_recur_rate;
	k->recur[RECUR_DELTA] = neon_recur_delta;
	k->recur[RECUR_BONUS] = neon_recur_bonus;
	k->recur[RECUR_TWO] = neon_recur_two;
	k->conv1d = neon_conv1d;
	k->l2_norm = neon_l2_norm;
	k->silu = neon_silu;
	k->sigmoid = neon_sigmoid;
	k->softplus = neon_softplus;
	k->sigmoid_mul = neon_sigmoid_mul;
	k->mul = neon_mul;
}
