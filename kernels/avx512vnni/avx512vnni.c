/* Installs what AVX-512 with VNNI does better. */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/isa.h"

static const struct matmul_row *const products[] = { avx512vnni_matmul_float, avx512vnni_matmul_q8, avx512vnni_matmul_k,
						     avx512vnni_matmul_k23, avx512vnni_matmul_iq };

void kernels_avx512vnni_override(struct kernels *k)
{
	k->act_pack[ACT_Q8_K] = avx512vnni_act_pack_q8_k;
	for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++)
		matmul_install(k, products[i]);
	k->rms_norm = avx512vnni_rms_norm;
	k->layer_norm = avx512vnni_layer_norm;
	k->sum_squares = avx512vnni_sum_squares;
	k->mul_scaled = avx512vnni_mul_scaled;
	k->silu_mul = avx512vnni_silu_mul;
	k->gelu_mul = avx512vnni_gelu_mul;
	k->oai_mul = avx512vnni_oai_mul;
	k->gelu = avx512vnni_gelu;
	k->relu2 = avx512vnni_relu2;
	k->xielu = avx512vnni_xielu;
	k->cap = avx512vnni_cap;
	k->add = avx512vnni_add;
	k->max = avx512vnni_max;
	k->argmax = avx512vnni_argmax;
	k->exps = avx512vnni_exps;
	k->sum_exp = avx512vnni_sum_exp;
	k->attn_chunk[KVQ_F16] = avx512vnni_attn_chunk_f16;
	k->attn_chunk[KVQ_F32] = avx512vnni_attn_chunk_f32;
	k->kvq_store[KVQ_Q8_0] = avx512vnni_kvq_store_q8_0;
	k->attn_chunk[KVQ_Q8_0] = avx512vnni_attn_chunk_q8_0;
	k->recur[RECUR_DECAY] = avx512vnni_recur_decay;
	k->recur[RECUR_RATE] = avx512vnni_recur_rate;
	k->recur[RECUR_DELTA] = avx512vnni_recur_delta;
	k->recur[RECUR_BONUS] = avx512vnni_recur_bonus;
	k->recur[RECUR_TWO] = avx512vnni_recur_two;
	k->conv1d = avx512vnni_conv1d;
	k->l2_norm = avx512vnni_l2_norm;
	k->silu = avx512vnni_silu;
	k->sigmoid = avx512vnni_sigmoid;
	k->softplus = avx512vnni_softplus;
	k->sigmoid_mul = avx512vnni_sigmoid_mul;
	k->mul = avx512vnni_mul;
}
