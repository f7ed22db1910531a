/*
 * What the metadata of an architecture may say. A key that changes numbers is either obeyed by the code that reads it, or must have the
 * value at which it changes none: what is not computed is refused by name, never left out in silence. Some are obeyed by the
 * architectures that list them (arch.h), and refused of all others. The names are those that
 * the converters of llama.cpp and ollama write for decoders; a key of none of them may mean anything, and is refused, too.
 */
#include "daemon/model/arch.h"
#include "daemon/model/hparams.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEY_BYTES 96

enum rule {
	RULE_OBEYED,  /* read by hparams.c or rope.c */
	RULE_ANY,     /* changes no logit */
	RULE_NUMBER,  /* must be `number`, or an array of nothing else; a flag is 0 or 1 */
	RULE_GATE,    /* must name the architecture's gate */
	RULE_EXPERTS, /* obeyed where an architecture has experts; else it must be 0 */
	RULE_TURNS, /* how many rotary pairs turn by which of a position's numbers, the first three of which are equal in a text */
	RULE_NEVER,
};

static const struct key {
	const char *name;
	enum rule rule;
	double number;
} keys[] = {
	{ "context_length", RULE_OBEYED, 0 },
	{ "embedding_length", RULE_OBEYED, 0 },
	{ "block_count", RULE_OBEYED, 0 },
	{ "nextn_predict_layers", RULE_OBEYED, 0 },
	{ "feed_forward_length", RULE_OBEYED, 0 },
	{ "attention.head_count", RULE_OBEYED, 0 },
	{ "attention.head_count_kv", RULE_OBEYED, 0 },
	{ "attention.key_length", RULE_OBEYED, 0 },
	{ "attention.value_length", RULE_OBEYED, 0 },
	{ "attention.head_dim", RULE_OBEYED, 0 }, /* as ollama says both */
	{ "attention.layer_norm_rms_epsilon", RULE_OBEYED, 0 },
	{ "attention.sliding_window", RULE_OBEYED, 0 },
	{ "rope.dimension_count", RULE_OBEYED, 0 },
	{ "rope.freq_base", RULE_OBEYED, 0 },
	{ "rope.scale_linear", RULE_OBEYED, 0 },
	{ "rope.scaling.type", RULE_OBEYED, 0 },
	{ "rope.scaling.factor", RULE_OBEYED, 0 },
	{ "rope.scaling.attn_factor", RULE_OBEYED, 0 },
	{ "rope.scaling.original_context_length", RULE_OBEYED, 0 },
	{ "rope.scaling.yarn_attn_factor", RULE_OBEYED, 0 },
	{ "rope.scaling.yarn_beta_fast", RULE_OBEYED, 0 },
	{ "rope.scaling.yarn_truncate", RULE_OBEYED, 0 },
	{ "rope.scaling.yarn_beta_slow", RULE_OBEYED, 0 },

	{ "vocab_size", RULE_ANY, 0 },             /* the embedding has as many rows as it has */
	{ "pooling_type", RULE_ANY, 0 },           /* of embeddings */
	{ "tensor_data_layout", RULE_ANY, 0 },     /* where the converter had its tensors from */
	{ "rope.scaling.finetuned", RULE_ANY, 0 }, /* how the model was made */
	{ "classifier.output_labels", RULE_ANY,
	  0 }, /* of another head than that of tokens, whose tensors are refused */
	{ "classifier.pooling_type", RULE_ANY, 0 },
	{ "classifier.activation", RULE_ANY, 0 },
	{ "dense_2_feat_in", RULE_ANY, 0 },
	{ "dense_2_feat_out", RULE_ANY, 0 },
	{ "dense_3_feat_in", RULE_ANY, 0 },
	{ "dense_3_feat_out", RULE_ANY, 0 },
	{ "decoder_start_token_id", RULE_ANY, 0 },
	{ "deepstack_mapping", RULE_ANY, 0 }, /* where images join the layers */
	{ "image_token_id", RULE_ANY, 0 },    /* in a text these are tokens like others */
	{ "image_token_index", RULE_ANY, 0 },
	{ "vision_start_token_id", RULE_ANY, 0 },
	{ "vision_end_token_id", RULE_ANY, 0 },
	{ "spatial_merge_size", RULE_ANY, 0 },
	{ "rope.mrope_interleaved", RULE_ANY, 0 },       /* which pairs turn by which of equal numbers */
	{ "attention.layer_norm_epsilon", RULE_ANY, 0 }, /* of a norm that RMS norm is in the place of */
	{ "attention.group_norm_epsilon", RULE_ANY, 0 },
	{ "attention.group_norm_groups", RULE_ANY, 0 },

	{ "attention.causal", RULE_NUMBER, 1 },
	{ "attention.clamp_kqv", RULE_NUMBER, 0 },
	{ "attention.max_alibi_bias", RULE_NUMBER, 0 },
	{ "attention.sliding_window_pattern", RULE_NUMBER, 0 },
	{ "attention.scale", RULE_NUMBER, 0 },
	{ "attention.output_scale", RULE_NUMBER, 1 },
	{ "attention.value_scale", RULE_NUMBER, 1 },
	{ "attention.temperature_length", RULE_NUMBER, 0 },
	{ "attention.temperature_scale", RULE_NUMBER, 0 },
	{ "attention.relative_buckets_count", RULE_NUMBER, 0 },
	{ "attention.shared_kv_layers", RULE_NUMBER, 0 },
	{ "attention.recurrent_layers", RULE_NUMBER, 0 },
	{ "attention.q_lora_rank", RULE_NUMBER, 0 },
	{ "attention.kv_lora_rank", RULE_NUMBER, 0 },
	{ "attention.key_length_mla", RULE_NUMBER, 0 },
	{ "attention.value_length_mla", RULE_NUMBER, 0 },
	{ "attention.indexer.head_count", RULE_NUMBER, 0 },
	{ "attention.compress_ratios", RULE_NUMBER, 0 },
	{ "attention.key_length_swa", RULE_NEVER, 0 },
	{ "attention.value_length_swa", RULE_NEVER, 0 },
	{ "attn_logit_softcapping", RULE_NUMBER, 0 },
	{ "final_logit_softcapping", RULE_NUMBER, 0 },
	{ "router_logit_softcapping", RULE_NUMBER, 0 },
	{ "logit_scale", RULE_NUMBER, 1 },
	{ "embedding_scale", RULE_NUMBER, 1 },
	{ "residual_scale", RULE_NUMBER, 1 },
	{ "use_parallel_residual", RULE_NUMBER, 0 },
	{ "embedding_length_out", RULE_NUMBER, 0 },
	{ "embedding_length_per_layer_input", RULE_NUMBER, 0 },
	{ "hidden_activation", RULE_GATE, 0 },
	{ "swin_norm", RULE_NUMBER, 0 },
	{ "swiglu_clamp_exp", RULE_NUMBER, 0 },
	{ "swiglu_clamp_shexp", RULE_NUMBER, 0 },
	{ "rescale_every_n_layers", RULE_NUMBER, 0 },
	{ "token_shift_count", RULE_NUMBER, 0 },
	{ "full_attention_interval", RULE_NUMBER, 0 },
	{ "num_loops", RULE_NUMBER, 1 },
	{ "n_deepstack_layers", RULE_NUMBER, 0 },
	{ "decoder_block_count", RULE_NUMBER, 0 },
	{ "hyper_connection.count", RULE_NUMBER, 0 },
	{ "hash_layer_count", RULE_NUMBER, 0 },
	{ "adapters.count", RULE_NUMBER, 0 },
	{ "rope.dimension_count_swa", RULE_NEVER, 0 },
	{ "rope.dimension_sections", RULE_TURNS, 0 },
	{ "rope.mrope_section", RULE_TURNS, 0 }, /* ollama's names of it */
	{ "mrope_sections", RULE_TURNS, 0 },
	{ "rope.freq_base_swa", RULE_NEVER, 0 },
	{ "rope.scaling.alpha", RULE_NUMBER, 0 },
	{ "rope.scaling.yarn_ext_factor", RULE_NUMBER, 1 },
	{ "rope.scaling.yarn_log_multiplier", RULE_NUMBER, 0 },

	{ "ssm.conv_kernel", RULE_NEVER, 0 },
	{ "ssm.inner_size", RULE_NEVER, 0 },
	{ "ssm.state_size", RULE_NEVER, 0 },
	{ "ssm.time_step_rank", RULE_NEVER, 0 },
	{ "ssm.group_count", RULE_NEVER, 0 },
	{ "ssm.dt_b_c_rms", RULE_NUMBER, 0 },
	{ "ssm.v_head_reordered", RULE_NUMBER, 1 }, /* as llama.cpp's converter has them, which says nothing */
	{ "shortconv.l_cache", RULE_NEVER, 0 },
	{ "wkv.head_size", RULE_NEVER, 0 },
	{ "time_mix_extra_dim", RULE_NEVER, 0 },
	{ "time_decay_extra_dim", RULE_NEVER, 0 },
	{ "attention.decay_lora_rank", RULE_NEVER, 0 },
	{ "attention.iclr_lora_rank", RULE_NEVER, 0 },
	{ "attention.value_residual_mix_lora_rank", RULE_NEVER, 0 },
	{ "attention.gate_lora_rank", RULE_NEVER, 0 },

	{ "expert_count", RULE_EXPERTS, 0 },
	{ "expert_used_count", RULE_EXPERTS, 0 },
	{ "expert_shared_count", RULE_EXPERTS, 0 },
	{ "expert_feed_forward_length", RULE_EXPERTS, 0 },
	{ "expert_shared_feed_forward_length", RULE_EXPERTS, 0 },
	{ "expert_group_count", RULE_EXPERTS, 0 },
	{ "expert_group_used_count", RULE_EXPERTS, 0 },
	{ "expert_chunk_feed_forward_length", RULE_NUMBER, 0 },
	{ "expert_weights_scale", RULE_ANY, 0 }, /* these weigh experts; where there are none they weigh nothing */
	{ "expert_weights_norm", RULE_ANY, 0 },
	{ "norm_top_k_prob", RULE_ANY, 0 },
	{ "expert_gating_func", RULE_ANY, 0 },
	{ "leading_dense_block_count", RULE_ANY, 0 },
	{ "interleave_moe_layer_step", RULE_ANY, 0 },
	{ "moe_every_n_layers", RULE_ANY, 0 },
};

#define N_KEY (sizeof(keys) / sizeof(keys[0]))

/* Of what sees or hears beside the text, whose tensors are left out (cut.c). */
static const struct key other_senses = { "vision", RULE_ANY, 0 };

static bool is_of_other_senses(const char *name, size_t n)
{
	static const char *const prefix[] = { "vision.", "audio.", "mm." };

	for (size_t i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++)
		if (n > strlen(prefix[i]) && !memcmp(name, prefix[i], strlen(prefix[i])))
			return true;
	return false;
}

static const struct key *key_find(const char *name, size_t n)
{
	if (is_of_other_senses(name, n))
		return &other_senses;
	for (size_t i = 0; i < N_KEY; i++)
		if (strlen(keys[i].name) == n && !memcmp(keys[i].name, name, n))
			return &keys[i];
	return NULL;
}

/* Whether every number of it is v: a scalar is an array of one. */
static bool is_all(const struct gguf_kv *kv, double v)
{
	struct gguf_arr a = kv->type == GGUF_ARR ? kv->arr : (struct gguf_arr){ kv->type, 1, kv->data, NULL };
	bool is_float = a.type == GGUF_F32 || a.type == GGUF_F64;

	for (uint64_t i = 0; i < a.n; i++)
		if (a.type == GGUF_STR || (is_float ? (double)gguf_arr_f32(&a, i) : (double)gguf_arr_int(&a, i)) != v)
			return false;
	return true;
}

static const char *const gate_name[] = {
	[GATE_SILU] = "silu",   [GATE_GELU] = "gelu_pytorch_tanh", [GATE_OAI] = "swiglu_oai", [GATE_RELU2] = "relu2",
	[GATE_XIELU] = "xielu",
};

static int refuse(const struct gguf_kv *kv, const struct key *k, enum gate gate, struct error *e)
{
	int n = (int)kv->key.n;

	if (k->rule == RULE_EXPERTS)
		return error_set(
			e, -ENOTSUP,
			"%.*s: a mixture of experts, which gyre does not run of this architecture; use another "
			"model",
			n, kv->key.p);
	if (k->rule == RULE_GATE)
		return error_set(e, -ENOTSUP,
				 "%.*s is not \"%s\", as gyre computes this architecture; use another model", n,
				 kv->key.p, gate_name[gate]);
	if (k->rule == RULE_NEVER)
		return error_set(e, -ENOTSUP, "%.*s: gyre computes no layers of a kind of their own; use another model",
				 n, kv->key.p);
	return error_set(e, -ENOTSUP, "%.*s is not %g, the only value that gyre computes; use another model", n,
			 kv->key.p, k->number);
}

static bool is_gate(const struct gguf *g, const struct gguf_kv *kv, enum gate gate)
{
	struct gguf_str s;
	char key[KEY_BYTES];

	snprintf(key, sizeof(key), "%.*s", (int)kv->key.n, kv->key.p);
	return gguf_get_str(g, key, &s) == 0 && gguf_str_eq(s, gate_name[gate]);
}

static bool is_listed(const char *const *list, const char *name)
{
	for (; list && *list; list++)
		if (!strcmp(*list, name))
			return true;
	return false;
}

#define N_TURN 4 /* numbers of a position: time, height, width, and one that a text has not */

static bool is_of_text(const struct gguf_kv *kv)
{
	return kv->type == GGUF_ARR && kv->arr.type <= GGUF_I32 &&
	       (kv->arr.n < N_TURN || (kv->arr.n == N_TURN && gguf_arr_int(&kv->arr, N_TURN - 1) == 0));
}

static bool is_computed(const struct gguf *g, const struct gguf_kv *kv, const struct key *k, const struct arch *arch)
{
	switch (k->rule) {
	case RULE_OBEYED:
	case RULE_ANY:
		return true;
	case RULE_GATE:
		return is_gate(g, kv, arch->gate);
	case RULE_NEVER:
		return keys_is_obeyed(arch, k->name);
	case RULE_EXPERTS:
		return arch->experts.are != EXPERTS_NEVER || is_all(kv, 0);
	case RULE_TURNS:
		return is_all(kv, 0) || (is_listed(arch->of_images, "rope.dimension_sections") && is_of_text(kv));
	default:
		return keys_is_obeyed(arch, k->name) || is_listed(arch->of_images, k->name) || is_all(kv, k->number);
	}
}

/* What follows "arch." in a key; NULL: another's. */
static const char *own_name(const struct gguf_kv *kv, const char *arch, size_t *n)
{
	size_t len = strlen(arch);

	if (kv->key.n < len + 2 || memcmp(kv->key.p, arch, len) || kv->key.p[len] != '.')
		return NULL;
	*n = (size_t)kv->key.n - len - 1;
	return kv->key.p + len + 1;
}

bool keys_is_obeyed(const struct arch *arch, const char *name)
{
	return is_listed(arch->obeys, name);
}

int keys_check(const struct gguf *g, const struct arch *arch, struct error *e)
{
	for (size_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);
		size_t n;
		const char *name = own_name(kv, arch->name, &n);
		const struct key *k = name ? key_find(name, n) : NULL;

		if (name && !k)
			return error_set(e, -ENOTSUP,
					 "%.*s: gyre does not know this key, which may change what the model computes; "
					 "use another model, or where it changes nothing a copy without it "
					 "(gguf-new-metadata --remove-metadata)",
					 (int)kv->key.n, kv->key.p);
		if (k && !is_computed(g, kv, k, arch))
			return refuse(kv, k, arch->gate, e);
	}
	return 0;
}
