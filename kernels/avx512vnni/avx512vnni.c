/* Installs what AVX-512 with VNNI does better. */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/isa.h"

void kernels_avx512vnni_override(struct kernels *k)
{
	k->act_pack[ACT_Q8_K] = avx512vnni_act_pack_q8_k;
	k->matmul[QUANT_F32] = avx512vnni_matmul_f32;
	k->matmul[QUANT_F16] = avx512vnni_matmul_f16;
	k->matmul[QUANT_BF16] = avx512vnni_matmul_bf16;
	k->matmul[QUANT_Q4_0] = avx512vnni_matmul_q4_0;
	k->matmul[QUANT_Q4_1] = avx512vnni_matmul_q4_1;
	k->matmul[QUANT_Q5_0] = avx512vnni_matmul_q5_0;
	k->matmul[QUANT_Q5_1] = avx512vnni_matmul_q5_1;
	k->matmul[QUANT_Q8_0] = avx512vnni_matmul_q8_0;
	k->matmul[QUANT_Q4_K] = avx512vnni_matmul_q4_k;
	k->matmul[QUANT_Q5_K] = avx512vnni_matmul_q5_k;
	k->matmul[QUANT_Q6_K] = avx512vnni_matmul_q6_k;
	k->matmul[QUANT_Q2_K] = avx512vnni_matmul_q2_k;
	k->matmul[QUANT_Q3_K] = avx512vnni_matmul_q3_k;
	k->matmul[QUANT_IQ4_NL] = avx512vnni_matmul_iq4_nl;
	k->matmul[QUANT_IQ4_XS] = avx512vnni_matmul_iq4_xs;
	k->matmul[QUANT_MXFP4] = avx512vnni_matmul_mxfp4;
	k->rms_norm = avx512vnni_rms_norm;
	k->silu_mul = avx512vnni_silu_mul;
	k->add = avx512vnni_add;
	k->max = avx512vnni_max;
	k->argmax = avx512vnni_argmax;
	k->exps = avx512vnni_exps;
	k->sum_exp = avx512vnni_sum_exp;
	k->attn_chunk[KV_F16] = avx512vnni_attn_chunk_f16;
	k->kv_store[KV_Q8_0] = avx512vnni_kv_store_q8_0;
	k->attn_chunk[KV_Q8_0] = avx512vnni_attn_chunk_q8_0;
}
