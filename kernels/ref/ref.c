/* Installs the definition of every operation. */
#include "kernels/isa.h"
#include "kernels/ref/ref.h"

void kernels_ref_fill(struct kernels *k)
{
	*k = (struct kernels){
		.isa = "ref",
		.act_pack = { [ACT_F32] = ref_act_pack_f32, [ACT_Q8] = ref_act_pack_q8, [ACT_Q8_K] = ref_act_pack_q8_k },
		.matmul = {
			[QUANT_F32] = ref_matmul_f32, [QUANT_F16] = ref_matmul_f16, [QUANT_BF16] = ref_matmul_bf16,
			[QUANT_Q4_0] = ref_matmul_q4_0, [QUANT_Q4_1] = ref_matmul_q4_1,
			[QUANT_Q5_0] = ref_matmul_q5_0, [QUANT_Q5_1] = ref_matmul_q5_1, [QUANT_Q8_0] = ref_matmul_q8_0,
			[QUANT_Q4_K] = ref_matmul_q4_k, [QUANT_Q5_K] = ref_matmul_q5_k, [QUANT_Q6_K] = ref_matmul_q6_k,
			[QUANT_Q2_K] = ref_matmul_q2_k, [QUANT_Q3_K] = ref_matmul_q3_k, [QUANT_IQ4_NL] = ref_matmul_iq4_nl,
			[QUANT_IQ4_XS] = ref_matmul_iq4_xs, [QUANT_MXFP4] = ref_matmul_mxfp4,
		},
		.rms_norm = ref_rms_norm,
		.rope = ref_rope,
		.silu_mul = ref_silu_mul,
		.add = ref_add,
		.kv_store = { [KV_F16] = ref_kv_store_f16, [KV_Q8_0] = ref_kv_store_q8_0 },
		.attn_chunk = { [KV_F16] = ref_attn_chunk_f16, [KV_Q8_0] = ref_attn_chunk_q8_0 },
		.attn_merge = ref_attn_merge,
		.max = ref_max,
		.argmax = ref_argmax,
		.exps = ref_exps,
		.sum_exp = ref_sum_exp,
	};
}
