/* Installs the definition of every operation. */
#include "kernels/isa.h"
#include "kernels/ref/ref.h"
#include "kernels/ref/types.h"

const struct ref_type *const ref_families[] = { ref_q8_types, ref_k_types, ref_float_types, ref_k23_types, NULL };

void kernels_ref_fill(struct kernels *k)
{
	*k = (struct kernels){
		.isa = "ref",
		.act_pack = { [ACT_F32] = ref_act_pack_f32,
			      [ACT_Q8] = ref_act_pack_q8,
			      [ACT_Q8_K] = ref_act_pack_q8_k,
			      [ACT_Q8_ROWS] = ref_act_pack_q8_rows,
			      [ACT_Q8_K_ROWS] = ref_act_pack_q8_k_rows,
			      [ACT_Q8_EIGHTS] = ref_act_pack_q8_eights,
			      [ACT_Q8_K_EIGHTS] = ref_act_pack_q8_k_eights },
		.rms_norm = ref_rms_norm,
		.sum_squares = ref_sum_squares,
		.mul_scaled = ref_mul_scaled,
		.layer_norm = ref_layer_norm,
		.rope = ref_rope,
		.l2_norm = ref_l2_norm,
		.silu_mul = ref_silu_mul,
		.silu = ref_silu,
		.sigmoid = ref_sigmoid,
		.sigmoid_mul = ref_sigmoid_mul,
		.softplus = ref_softplus,
		.mul = ref_mul,
		.gelu_mul = ref_gelu_mul,
		.oai_mul = ref_oai_mul,
		.gelu = ref_gelu,
		.relu2 = ref_relu2,
		.xielu = ref_xielu,
		.add = ref_add,
		.scale = ref_scale,
		.cap = ref_cap,
		.recur = { [RECUR_DECAY] = ref_recur_decay,
			   [RECUR_RATE] = ref_recur_rate,
			   [RECUR_DELTA] = ref_recur_delta,
			   [RECUR_BONUS] = ref_recur_bonus,
			   [RECUR_TWO] = ref_recur_two },
		.conv1d = ref_conv1d,
		.kvq_store = { [KVQ_F16] = ref_kvq_store_f16,
			       [KVQ_Q8_0] = ref_kvq_store_q8_0,
			       [KVQ_F32] = ref_kvq_store_f32 },
		.attn_chunk = { [KVQ_F16] = ref_attn_chunk_f16,
				[KVQ_Q8_0] = ref_attn_chunk_q8_0,
				[KVQ_F32] = ref_attn_chunk_f32 },
		.attn_merge = ref_attn_merge,
		.max = ref_max,
		.argmax = ref_argmax,
		.exps = ref_exps,
		.sum_exp = ref_sum_exp,
	};
	for (const struct ref_type *const *family = ref_families; *family; family++)
		for (const struct ref_type *t = *family; t->info.name; t++) {
			k->matmul[t->type] = t->matmul;
			k->act[t->type] = t->act;
		}
}
