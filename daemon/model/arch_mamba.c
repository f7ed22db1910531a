/*
 * Mamba (Gu and Dao 2023): every layer mixes tokens by a selective state space (block_mamba.c), and nothing else:
 *   x += Wout . mamba(Win . n),  n = rms_norm(x) * attn_norm
 * and logits = Woutput . (rms_norm(x) * output_norm). Falcon Mamba (2024) norms steps, B and C (ssm.dt_b_c_rms).
 */
#include "daemon/model/decoder.h"
#include "daemon/model/mamba.h"

#include <errno.h>
#include <string.h>

static const struct layer_tensor tensor[] = {
	TENSOR("attn_norm.weight", mix.norm.w, .width = VECTOR_EMBD, .in = LAYER_STATE),
	TENSOR("ssm_in.weight", mix.proj[0], .axis = PLAN_ROW, .n_row = VECTOR_MAMBA_IN, .width = VECTOR_EMBD,
	       .in = LAYER_STATE),
	TENSOR("ssm_conv1d.weight", mix.conv, .n_row = VECTOR_SSM_INNER, .width = VECTOR_SSM_TAPS, .in = LAYER_STATE),
	TENSOR("ssm_conv1d.bias", mix.conv_bias, .width = VECTOR_SSM_INNER, .in = LAYER_STATE),
	TENSOR("ssm_x.weight", mix.x, .axis = PLAN_ROW, .n_row = VECTOR_MAMBA_X, .width = VECTOR_SSM_INNER,
	       .in = LAYER_STATE),
	TENSOR("ssm_dt.weight", mix.dt, .axis = PLAN_ROW, .n_row = VECTOR_SSM_INNER, .width = VECTOR_SSM_RANK,
	       .in = LAYER_STATE),
	TENSOR("ssm_dt.bias", mix.dt_bias, .width = VECTOR_SSM_INNER, .in = LAYER_STATE),
	TENSOR("ssm_a", mix.a, .n_row = VECTOR_SSM_INNER, .width = VECTOR_SSM_KEYS, .in = LAYER_STATE),
	TENSOR("ssm_d", mix.d, .width = VECTOR_SSM_INNER, .in = LAYER_STATE),
	TENSOR("ssm_out.weight", mix_output.w, .axis = PLAN_ROW, .n_row = VECTOR_EMBD, .width = VECTOR_SSM_INNER,
	       .in = LAYER_STATE),
};

static const char *const obeys[] = { "ssm.conv_kernel",    "ssm.inner_size", "ssm.state_size",
				     "ssm.time_step_rank", "ssm.dt_b_c_rms", NULL };

static int mamba_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	int r = hparams_read_ssm(hp, g, arch, e);

	memset(hp->kind, LAYER_STATE, hp->n_layer);
	if (r == 0)
		r = hparams_get_bool(g, arch, "ssm.dt_b_c_rms", &hp->ssm.is_normed, e);
	if (r == 0 && (hp->ssm.inner_size % LANES || hp->ssm.state_size % LANES || hp->ssm.state_size > MIX_KEY_MAX))
		return error_set(e, -ENOTSUP,
				 "%s.ssm: %u channels of %u keys: gyre runs multiples of %d, of keys up to %u", arch,
				 hp->ssm.inner_size, hp->ssm.state_size, LANES, MIX_KEY_MAX);
	return r;
}

const struct arch arch_mamba = {
	.name = "mamba",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.mixer = &block_mamba,
	.obeys = obeys,
	.imply = mamba_imply,
};
