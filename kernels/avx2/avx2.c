/* Installs what avx2 does better. */
#include "kernels/avx2/avx2.h"
#include "kernels/isa.h"

static const struct matmul_row *const products[] = { avx2_matmul_float, avx2_matmul_q8, avx2_matmul_k,
						     avx2_matmul_k2,    avx2_matmul_k3, avx2_matmul_iq };

void kernels_avx2_override(struct kernels *k)
{
	k->act_pack[ACT_F32] = avx2_act_pack_f32;
	k->act_pack[ACT_Q8] = avx2_act_pack_q8;
	k->act_pack[ACT_Q8_K] = avx2_act_pack_q8_k;
	for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++)
		matmul_install(k, products[i]);
	k->rms_norm = avx2_rms_norm;
	k->layer_norm = avx2_layer_norm;
	k->sum_squares = avx2_sum_squares;
	k->mul_scaled = avx2_mul_scaled;
	k->rope = avx2_rope;
	k->silu_mul = avx2_silu_mul;
	k->gelu_mul = avx2_gelu_mul;
	k->oai_mul = avx2_oai_mul;
	k->gelu = avx2_gelu;
	k->relu2 = avx2_relu2;
	k->xielu = avx2_xielu;
	k->cap = avx2_cap;
	k->add = avx2_add;
	k->kvq_store[KVQ_F16] = avx2_kvq_store_f16;
	k->attn_chunk[KVQ_F16] = avx2_attn_chunk_f16;
	k->kvq_store[KVQ_F32] = avx2_kvq_store_f32;
	k->attn_chunk[KVQ_F32] = avx2_attn_chunk_f32;
	k->kvq_store[KVQ_Q8_0] = avx2_kvq_store_q8_0;
	k->attn_chunk[KVQ_Q8_0] = avx2_attn_chunk_q8_0;
	k->attn_merge = avx2_attn_merge;
	k->max = avx2_max;
	k->argmax = avx2_argmax;
	k->exps = avx2_exps;
	k->sum_exp = avx2_sum_exp;
	k->recur[RECUR_DECAY] = avx2_recur_decay;
	k->recur[RECUR_RATE] = avx2_recur_rate;
	k->recur[RECUR_DELTA] = avx2_recur_delta;
	k->recur[RECUR_BONUS] = avx2_recur_bonus;
	k->recur[RECUR_TWO] = avx2_recur_two;
	k->conv1d = avx2_conv1d;
	k->l2_norm = avx2_l2_norm;
	k->silu = avx2_silu;
	k->sigmoid = avx2_sigmoid;
	k->softplus = avx2_softplus;
	k->sigmoid_mul = avx2_sigmoid_mul;
	k->mul = avx2_mul;
}
