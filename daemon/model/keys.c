/*
 * What the metadata of an architecture may say. A key that changes numbers is either obeyed by the code that reads it, or must have the
 * value at which it changes none: what is not computed is refused by name, never left out in silence. The names are those that
 * GGUF's converters write for decoders; a key of none of them may mean anything, and the caller is told of it.
 */
#include "daemon/model/hparams.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEY_BYTES 96

enum rule {
	RULE_OBEYED,  /* read by hparams.c or rope.c */
	RULE_ANY,     /* changes no logit */
	RULE_NUMBER,  /* must be `number`, or an array of nothing else; a flag is 0 or 1 */
	RULE_TEXT,    /* must be `text` */
	RULE_EXPERTS, /* must be 0: named for what it is */
	RULE_NEVER,
};

static const struct key {
	const char *name;
	enum rule rule;
	double number;
	const char *text;
} keys[] = {
	{ "context_length", RULE_OBEYED, 0, NULL },
	{ "embedding_length", RULE_OBEYED, 0, NULL },
	{ "block_count", RULE_OBEYED, 0, NULL },
	{ "feed_forward_length", RULE_OBEYED, 0, NULL },
	{ "attention.head_count", RULE_OBEYED, 0, NULL },
	{ "attention.head_count_kv", RULE_OBEYED, 0, NULL },
	{ "attention.key_length", RULE_OBEYED, 0, NULL },
	{ "attention.value_length", RULE_OBEYED, 0, NULL },
	{ "attention.layer_norm_rms_epsilon", RULE_OBEYED, 0, NULL },
	{ "attention.sliding_window", RULE_OBEYED, 0, NULL },
	{ "rope.dimension_count", RULE_OBEYED, 0, NULL },
	{ "rope.freq_base", RULE_OBEYED, 0, NULL },
	{ "rope.scale_linear", RULE_OBEYED, 0, NULL },
	{ "rope.scaling.type", RULE_OBEYED, 0, NULL },
	{ "rope.scaling.factor", RULE_OBEYED, 0, NULL },
	{ "rope.scaling.attn_factor", RULE_OBEYED, 0, NULL },
	{ "rope.scaling.original_context_length", RULE_OBEYED, 0, NULL },
	{ "rope.scaling.yarn_beta_fast", RULE_OBEYED, 0, NULL },
	{ "rope.scaling.yarn_beta_slow", RULE_OBEYED, 0, NULL },

	{ "vocab_size", RULE_ANY, 0, NULL },             /* the embedding has as many rows as it has */
	{ "pooling_type", RULE_ANY, 0, NULL },           /* of embeddings */
	{ "tensor_data_layout", RULE_ANY, 0, NULL },     /* where the converter had its tensors from */
	{ "rope.scaling.finetuned", RULE_ANY, 0, NULL }, /* how the model was made */
	{ "classifier.output_labels", RULE_ANY, 0, NULL },
	{ "attention.layer_norm_epsilon", RULE_ANY, 0, NULL }, /* of a norm that RMS norm is in the place of */
	{ "attention.group_norm_epsilon", RULE_ANY, 0, NULL },
	{ "attention.group_norm_groups", RULE_ANY, 0, NULL },

	{ "attention.causal", RULE_NUMBER, 1, NULL },
	{ "attention.clamp_kqv", RULE_NUMBER, 0, NULL },
	{ "attention.max_alibi_bias", RULE_NUMBER, 0, NULL },
	{ "attention.sliding_window_pattern", RULE_NUMBER, 0, NULL },
	{ "attention.scale", RULE_NUMBER, 0, NULL },
	{ "attention.output_scale", RULE_NUMBER, 1, NULL },
	{ "attention.value_scale", RULE_NUMBER, 1, NULL },
	{ "attention.temperature_length", RULE_NUMBER, 0, NULL },
	{ "attention.temperature_scale", RULE_NUMBER, 0, NULL },
	{ "attention.relative_buckets_count", RULE_NUMBER, 0, NULL },
	{ "attention.shared_kv_layers", RULE_NUMBER, 0, NULL },
	{ "attention.recurrent_layers", RULE_NUMBER, 0, NULL },
	{ "attention.q_lora_rank", RULE_NUMBER, 0, NULL },
	{ "attention.kv_lora_rank", RULE_NUMBER, 0, NULL },
	{ "attention.key_length_mla", RULE_NUMBER, 0, NULL },
	{ "attention.value_length_mla", RULE_NUMBER, 0, NULL },
	{ "attention.indexer.head_count", RULE_NUMBER, 0, NULL },
	{ "attention.compress_ratios", RULE_NUMBER, 0, NULL },
	{ "attention.key_length_swa", RULE_NEVER, 0, NULL },
	{ "attention.value_length_swa", RULE_NEVER, 0, NULL },
	{ "attn_logit_softcapping", RULE_NUMBER, 0, NULL },
	{ "final_logit_softcapping", RULE_NUMBER, 0, NULL },
	{ "router_logit_softcapping", RULE_NUMBER, 0, NULL },
	{ "logit_scale", RULE_NUMBER, 1, NULL },
	{ "embedding_scale", RULE_NUMBER, 1, NULL },
	{ "residual_scale", RULE_NUMBER, 1, NULL },
	{ "use_parallel_residual", RULE_NUMBER, 0, NULL },
	{ "embedding_length_out", RULE_NUMBER, 0, NULL },
	{ "embedding_length_per_layer_input", RULE_NUMBER, 0, NULL },
	{ "hidden_activation", RULE_TEXT, 0, "silu" },
	{ "swin_norm", RULE_NUMBER, 0, NULL },
	{ "swiglu_clamp_exp", RULE_NUMBER, 0, NULL },
	{ "swiglu_clamp_shexp", RULE_NUMBER, 0, NULL },
	{ "rescale_every_n_layers", RULE_NUMBER, 0, NULL },
	{ "token_shift_count", RULE_NUMBER, 0, NULL },
	{ "full_attention_interval", RULE_NUMBER, 0, NULL },
	{ "num_loops", RULE_NUMBER, 1, NULL },
	{ "n_deepstack_layers", RULE_NUMBER, 0, NULL },
	{ "nextn_predict_layers", RULE_NUMBER, 0, NULL },
	{ "decoder_block_count", RULE_NUMBER, 0, NULL },
	{ "hyper_connection.count", RULE_NUMBER, 0, NULL },
	{ "hash_layer_count", RULE_NUMBER, 0, NULL },
	{ "adapters.count", RULE_NUMBER, 0, NULL },
	{ "rope.dimension_count_swa", RULE_NEVER, 0, NULL },
	{ "rope.dimension_sections", RULE_NUMBER, 0, NULL },
	{ "rope.freq_base_swa", RULE_NEVER, 0, NULL },
	{ "rope.scaling.alpha", RULE_NUMBER, 0, NULL },
	{ "rope.scaling.yarn_ext_factor", RULE_NUMBER, 1, NULL },
	{ "rope.scaling.yarn_attn_factor", RULE_NUMBER, 1, NULL },
	{ "rope.scaling.yarn_log_multiplier", RULE_NUMBER, 0, NULL },

	{ "expert_count", RULE_EXPERTS, 0, NULL },
	{ "expert_used_count", RULE_EXPERTS, 0, NULL },
	{ "expert_shared_count", RULE_EXPERTS, 0, NULL },
	{ "expert_feed_forward_length", RULE_EXPERTS, 0, NULL },
	{ "expert_shared_feed_forward_length", RULE_EXPERTS, 0, NULL },
	{ "expert_chunk_feed_forward_length", RULE_EXPERTS, 0, NULL },
	{ "expert_group_count", RULE_EXPERTS, 0, NULL },
	{ "expert_group_used_count", RULE_EXPERTS, 0, NULL },
	{ "expert_weights_scale", RULE_ANY, 0, NULL }, /* these weigh experts, of which there are none */
	{ "expert_weights_norm", RULE_ANY, 0, NULL },
	{ "expert_gating_func", RULE_ANY, 0, NULL },
	{ "leading_dense_block_count", RULE_ANY, 0, NULL },
	{ "interleave_moe_layer_step", RULE_ANY, 0, NULL },
	{ "moe_every_n_layers", RULE_ANY, 0, NULL },
};

#define N_KEY (sizeof(keys) / sizeof(keys[0]))

static const struct key *key_find(const char *name, size_t n)
{
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

static int refuse(const struct gguf_kv *kv, const struct key *k, struct error *e)
{
	int n = (int)kv->key.n;

	if (k->rule == RULE_EXPERTS)
		return error_set(e, -ENOTSUP,
				 "%.*s: a mixture of experts, which is not supported yet; use a dense model", n,
				 kv->key.p);
	if (k->rule == RULE_TEXT)
		return error_set(e, -ENOTSUP, "%.*s is not \"%s\", the only one that gyre computes; use another model",
				 n, kv->key.p, k->text);
	if (k->rule == RULE_NEVER)
		return error_set(e, -ENOTSUP, "%.*s: gyre computes no layers of a kind of their own; use another model",
				 n, kv->key.p);
	return error_set(e, -ENOTSUP, "%.*s is not %g, the only value that gyre computes; use another model", n,
			 kv->key.p, k->number);
}

static int check(const struct gguf *g, const struct gguf_kv *kv, const struct key *k, struct error *e)
{
	struct gguf_str s;
	char key[KEY_BYTES];

	if (k->rule == RULE_OBEYED || k->rule == RULE_ANY)
		return 0;
	if (k->rule == RULE_TEXT) {
		snprintf(key, sizeof(key), "%.*s", (int)kv->key.n, kv->key.p);
		return gguf_get_str(g, key, &s) == 0 && gguf_str_eq(s, k->text) ? 0 : refuse(kv, k, e);
	}
	return k->rule != RULE_NEVER && is_all(kv, k->number) ? 0 : refuse(kv, k, e);
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

int keys_check(const struct gguf *g, const char *arch, struct error *e)
{
	for (size_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);
		size_t n;
		const char *name = own_name(kv, arch, &n);
		const struct key *k = name ? key_find(name, n) : NULL;
		int r = k ? check(g, kv, k, e) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

bool model_unknown_key(const struct gguf *g, size_t *i, struct gguf_str *key)
{
	struct gguf_str name;
	char arch[KEY_BYTES];

	if (gguf_get_str(g, "general.architecture", &name) < 0)
		return false;
	snprintf(arch, sizeof(arch), "%.*s", (int)(name.n < sizeof(arch) ? name.n : sizeof(arch) - 1), name.p);
	while (*i < gguf_n_kv(g)) {
		const struct gguf_kv *kv = gguf_kv_at(g, (*i)++);
		size_t n;
		const char *own = own_name(kv, arch, &n);

		*key = kv->key;
		if (own && !key_find(own, n))
			return true;
	}
	return false;
}
