/* Installs what avx2 does better. */
#include "kernels/avx2/avx2.h"
#include "kernels/isa.h"

void kernels_avx2_override(struct kernels *k)
{
	k->act_pack[ACT_F32] = avx2_act_pack_f32;
	k->act_pack[ACT_Q8] = avx2_act_pack_q8;
	k->act_pack[ACT_Q8_K] = avx2_act_pack_q8_k;
	k->matmul[QUANT_F32] = avx2_matmul_f32;
	k->matmul[QUANT_F16] = avx2_matmul_f16;
	k->matmul[QUANT_BF16] = avx2_matmul_bf16;
	k->matmul[QUANT_Q4_0] = avx2_matmul_q4_0;
	k->matmul[QUANT_Q4_1] = avx2_matmul_q4_1;
	k->matmul[QUANT_Q5_0] = avx2_matmul_q5_0;
	k->matmul[QUANT_Q5_1] = avx2_matmul_q5_1;
	k->matmul[QUANT_Q8_0] = avx2_matmul_q8_0;
	k->matmul[QUANT_Q4_K] = avx2_matmul_q4_k;
	k->matmul[QUANT_Q5_K] = avx2_matmul_q5_k;
	k->matmul[QUANT_Q6_K] = avx2_matmul_q6_k;
	k->matmul[QUANT_Q2_K] = avx2_matmul_q2_k;
	k->matmul[QUANT_Q3_K] = avx2_matmul_q3_k;
	k->matmul[QUANT_IQ4_NL] = avx2_matmul_iq4_nl;
	k->matmul[QUANT_IQ4_XS] = avx2_matmul_iq4_xs;
	k->matmul[QUANT_MXFP4] = avx2_matmul_mxfp4;
	k->rms_norm = avx2_rms_norm;
	k->rope = avx2_rope;
	k->silu_mul = avx2_silu_mul;
	k->add = avx2_add;
	k->kv_store[KV_F16] = avx2_kv_store_f16;
	k->attn_chunk[KV_F16] = avx2_attn_chunk_f16;
	k->kv_store[KV_Q8_0] = avx2_kv_store_q8_0;
	k->attn_chunk[KV_Q8_0] = avx2_attn_chunk_q8_0;
	k->attn_merge = avx2_attn_merge;
	k->max = avx2_max;
	k->argmax = avx2_argmax;
	k->exps = avx2_exps;
	k->sum_exp = avx2_sum_exp;
}
