/*
 * Why: a file's metadata change what a model computes, and a key that is left out in silence makes a model that is subtly another.
 * Every key that llama.cpp has a name for is here: what gyre obeys must have its logits (tools/golden/keys.py), what it does
 * not must be refused by name, and what is called harmless must change nothing.
 */
#include "daemon/model/arch.h"
#include "daemon/model/hparams.h"
#include "tests/daemon/model/golden.h"
#include "tests/daemon/model/harness.h"
#include "tests/daemon/model/own_keys.h"
#include "tests/util/tiny.h"

#include <math.h>
#include <unistd.h>

#define N_TOK 24
#define FROM_F32_KV \
	4e-3 /* its K and V are f32, ours f16: 2e-3 with these weights (tools/golden/logits.py); a key left out: 0.1 and more */

static char path[64];
static const char *arch; /* whose keys are tried */
static const struct arch *row;

/* Opens the served model with a key more; its error, or "" and the logits of N_TOK tokens. */
static const char *open_with(const struct tiny_kv *kv, size_t n_kv, const char *extra, uint32_t n_ctx, float *logits)
{
	static struct error e;
	struct weights_options wo = { .plan = model_plan, .n_thread = 1 };
	struct model_options mo = { HARNESS_ROWS, HARNESS_ROWS, 1, n_ctx, KVQ_F16 };
	struct tiny o = tiny_served;
	struct weights *w = NULL;
	struct model *m = NULL;
	struct kernels k;
	bool is_open;

	o.arch = arch, o.kv = kv, o.n_kv = n_kv, o.extra = extra;
	e.text[0] = 0;
	assert_int_equal(tiny_write(path, &o), 0);
	kernels_select(&k, ISA_MAX);
	is_open = weights_load(&w, path, &wo, &e) == 0 && model_open(&m, w, &k, &mo, &e) == 0;
	assert_int_equal(is_open, e.text[0] == 0);
	model_close(m);
	weights_free(w);
	if (is_open && logits) {
		int32_t token[N_TOK];
		struct harness h;

		for (int32_t i = 0; i < N_TOK; i++)
			token[i] = i * 7;
		harness_open(&h, path, ISA_MAX, 1, N_TOK);
		harness_logits(&h, logits, token, N_TOK, N_TOK, 0);
		harness_close(&h);
	}
	return e.text;
}

static void assert_refused(const struct tiny_kv *kv, const char *why)
{
	const char *said = open_with(kv, 1, NULL, 0, NULL);

	if (!strstr(said, kv->key) || !strstr(said, why))
		fail_msg("%s: not refused by name and with '%s', but: '%s'", kv->key, why, said);
}

#define ACTIVATION(name)                                 \
	{                                                \
		name, KEY_STR("hidden_activation", name) \
	}

/* What a file may call each gate. */
static const struct {
	const char *name;
	struct tiny_kv kv;
} activation[] = { [GATE_SILU] = ACTIVATION("silu"),
		   [GATE_GELU] = ACTIVATION("gelu_pytorch_tanh"),
		   [GATE_OAI] = ACTIVATION("swiglu_oai"),
		   [GATE_RELU2] = ACTIVATION("relu2"),
		   [GATE_XIELU] = ACTIVATION("xielu") };

static bool is_of_images(const char *name)
{
	for (const char *const *p = row->of_images; p && *p; p++)
		if (!strcmp(*p, name))
			return true;
	return false;
}

/* Of the arch-prefixed keys of llama.cpp, those that ask for what gyre does not compute, or only some architectures do. */
static const char *const not_computed[] = {
	"attention.clamp_kqv",
	"attention.max_alibi_bias",
	"attention.sliding_window_pattern",
	"attention.scale",
	"attention.output_scale",
	"attention.value_scale",
	"attention.temperature_length",
	"attention.temperature_scale",
	"attention.relative_buckets_count",
	"attention.shared_kv_layers",
	"attention.recurrent_layers",
	"attention.q_lora_rank",
	"attention.kv_lora_rank",
	"attention.key_length_mla",
	"attention.value_length_mla",
	"attention.indexer.head_count",
	"attention.compress_ratios",
	"attention.key_length_swa",
	"attention.value_length_swa",
	"attn_logit_softcapping",
	"final_logit_softcapping",
	"router_logit_softcapping",
	"logit_scale",
	"embedding_scale",
	"residual_scale",
	"use_parallel_residual",
	"embedding_length_out",
	"embedding_length_per_layer_input",
	"hidden_activation",
	"swin_norm",
	"swiglu_clamp_exp",
	"swiglu_clamp_shexp",
	"expert_chunk_feed_forward_length",
	"rescale_every_n_layers",
	"token_shift_count",
	"full_attention_interval",
	"num_loops",
	"n_deepstack_layers",
	"decoder_block_count",
	"hyper_connection.count",
	"hash_layer_count",
	"adapters.count",
	"rope.dimension_count_swa",
	"rope.dimension_sections",
	"rope.freq_base_swa",
	"rope.scaling.alpha",
	"rope.scaling.yarn_ext_factor",
	"rope.scaling.yarn_attn_factor",
	"rope.scaling.yarn_log_multiplier",
};

static const char *const of_experts[] = {
	"expert_count",
	"expert_used_count",
	"expert_shared_count",
	"expert_feed_forward_length",
	"expert_shared_feed_forward_length",
	"expert_group_count",
	"expert_group_used_count",
};

/* With a value that does. */
static void what_is_not_computed_is_refused_by_name(void **state)
{
	char key[96];

	(void)state;
	for (size_t i = 0; i < sizeof(not_computed) / sizeof(not_computed[0]); i++) {
		snprintf(key, sizeof(key), ".%s", not_computed[i]);
		if (keys_is_obeyed(row, not_computed[i]) || is_of_images(not_computed[i]))
			continue;
		assert_refused(&(struct tiny_kv){ key, GGUF_F32, &(float){ 7.5f }, 4 }, "use another model");
	}
	for (size_t i = 0; i < sizeof(of_experts) / sizeof(of_experts[0]) && row->experts.are == EXPERTS_NEVER; i++) {
		snprintf(key, sizeof(key), ".%s", of_experts[i]);
		assert_refused(&(struct tiny_kv){ key, GGUF_U32, &(uint32_t){ 8 }, 4 }, "mixture of experts");
	}
	assert_refused(&(struct tiny_kv)KEY_BOOL("attention.causal", 0), "not 1");
	assert_refused(&(struct tiny_kv)KEY_F32("rope.scaling.yarn_attn_factor", 1.2f), "not 1 or 1");
	assert_refused(&(struct tiny_kv)KEY_STR("hidden_activation", "relu"), activation[row->gate].name);
	if (!keys_is_obeyed(row, "attention.sliding_window_pattern"))
		assert_refused(&(struct tiny_kv)KEY_PAIR("attention.sliding_window_pattern", 0, 1), "not 0");
	assert_refused(&(struct tiny_kv)KEY_STR("rope.scaling.type", "dynamic"), "knows none, linear, yarn");
	/* Its frequencies are tensors, which this file does not have. */
	assert_non_null(strstr(open_with(&(struct tiny_kv)KEY_STR("rope.scaling.type", "longrope"), 1, NULL, 0, NULL),
			       "no tensor rope_factors_short.weight"));
}

/* A value of another type is not as good as none, where the key is read. */
static void what_it_obeys_has_its_type(void **state)
{
	const struct tiny_kv text = KEY_STR("", "text");
	char key[96];

	(void)state;
	for (const char *const *name = row->obeys; name && *name; name++) {
		const struct own_key *own = own_key_find(*name);
		struct tiny_kv kv[1 + BESIDE_MAX] = { { key, text.type, text.value, text.n } };
		size_t n = 1;

		for (; own && n <= BESIDE_MAX && own->beside[n - 1].key; n++)
			kv[n] = own->beside[n - 1];
		snprintf(key, sizeof(key), ".%s", *name);
		if (!strstr(open_with(kv, n, NULL, 0, NULL), *name))
			fail_msg("%s%s is a text, and is taken", arch, key);
	}
}

static void assert_change_nothing(const struct tiny_kv *kv, size_t n, const float *want)
{
	static float got[N_TOK * TINY_SERVED_VOCAB];

	memset(got, 0, sizeof(got));
	if (strcmp(open_with(kv, n, NULL, 0, got), "") || memcmp(want, got, sizeof(got)))
		fail_msg("%s%s makes another model: '%s'", arch, kv->key, open_with(kv, n, NULL, 0, NULL));
}

/* Whether the architecture has tensors, or layers, by it. */
static bool is_shape_here(const char *name)
{
	return (!strncmp(name, "expert", 6) && row->experts.are == EXPERTS_ALWAYS) ||
	       tiny_differs(&(struct tiny){ .arch = arch }, name);
}

/* And the same keys where they say what gyre computes anyhow, those that weigh nothing, and one that nobody knows. */
static void what_changes_nothing_is_taken(void **state)
{
	static float want[N_TOK * TINY_SERVED_VOCAB];
	const struct tiny_kv other_norm = KEY_F32("attention.layer_norm_epsilon", 1);
	const struct tiny_kv other_norm_rms = KEY_F32("attention.layer_norm_rms_epsilon", 1);
	const struct tiny_kv kv[] = {
		KEY_BOOL("attention.causal", 1),
		KEY_F32("attention.clamp_kqv", 0),
		KEY_F32("logit_scale", 1),
		KEY_U32("expert_count", 0),
		KEY_U32("expert_used_count", 0),
		KEY_F32("expert_weights_scale", 3),
		KEY_PAIR("rope.dimension_sections", 0, 0),
		KEY_F32("rope.scaling.yarn_ext_factor", 1),
		KEY_F32("rope.scaling.yarn_attn_factor", 1),
		KEY_STR("tensor_data_layout", "Meta AI original pth"),
		KEY_BOOL("rope.scaling.finetuned", 1),
		KEY_U32("pooling_type", 3),
		KEY_U32("vocab_size", TINY_SERVED_VOCAB),
		KEY_F32("rope.scaling.factor", 0),
		KEY_F32("rope.scale_linear", 0),
		KEY_F32("rope.scaling.attn_factor", 1),
		KEY_U32("rope.scaling.original_context_length", 0),
		KEY_U32("attention.sliding_window", TINY_SERVED_CTX),
		KEY_U32("attention.sliding_window", UINT32_MAX),
		KEY_PAIR("attention.head_count", 4, 4),
		KEY_PAIR("attention.head_count_kv", 2, 2),
		KEY_PAIR("feed_forward_length", 128, 128),
		KEY_U32("deepstack_mapping", 7),
	};

	(void)state;
	assert_string_equal(open_with(NULL, 0, NULL, 0, want), "");
	for (size_t i = 0; i < sizeof(kv) / sizeof(kv[0]); i++)
		if (!is_shape_here(kv[i].key + 1))
			assert_change_nothing(&kv[i], 1, want);
	assert_change_nothing(row->norm == NORM_RMS ? &other_norm : &other_norm_rms, 1, want);
}

/* And what converters of models with images write, ollama's in other words, where a text is read. */
static void what_is_of_images_changes_nothing(void **state)
{
	static float want[N_TOK * TINY_SERVED_VOCAB];
	const struct tiny_kv image[] = {
		KEY_FOUR("rope.dimension_sections", 3, 3, 2, 0),
		KEY_U32("n_deepstack_layers", 3),
	};
	const struct tiny_kv ollama[] = {
		KEY_U32("attention.head_dim", 48),
		KEY_U32("image_token_id", 7),
		KEY_U32("image_token_index", 7),
		KEY_U32("vision_start_token_id", 7),
		KEY_U32("vision_end_token_id", 7),
		KEY_U32("spatial_merge_size", 2),
		KEY_BOOL("rope.mrope_interleaved", 1),
		KEY_BOOL("ssm.v_head_reordered", 1),
		KEY_BOOL("norm_top_k_prob", !row->experts.is_unnormed),
	};
	const struct tiny_kv turns[] = { KEY_PAIR("rope.mrope_section", 4, 4), KEY_PAIR("mrope_sections", 4, 4) };

	(void)state;
	assert_string_equal(open_with(NULL, 0, NULL, 0, want), "");
	for (size_t i = 0; i < sizeof(image) / sizeof(image[0]); i++)
		if (is_of_images(image[i].key + 1))
			assert_change_nothing(&image[i], 1, want);
	assert_change_nothing(ollama, sizeof(ollama) / sizeof(ollama[0]), want);
	for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++)
		if (is_of_images("rope.dimension_sections"))
			assert_change_nothing(&turns[i], 1, want);
		else
			assert_refused(&turns[i], "use another model");
	/* Pairs that turn by a number of a position that a text has not. */
	assert_refused(&(struct tiny_kv)KEY_FOUR("rope.dimension_sections", 2, 2, 2, 2), "use another model");
}

static void its_own_activation_may_be_named(void **state)
{
	(void)state;
	assert_string_equal(open_with(&activation[row->gate].kv, 1, NULL, 0, NULL), "");
	assert_refused(&activation[row->gate == GATE_SILU ? GATE_GELU : GATE_SILU].kv, activation[row->gate].name);
}

/* Keys that say what tensors there are, and another number than that of tiny.c's. */
static const struct tiny_kv shapes[] = {
	KEY_U32("ssm.conv_kernel", 3),
	KEY_U32("ssm.inner_size", 64),
	KEY_U32("ssm.state_size", 32),
	KEY_U32("ssm.time_step_rank", 4),
	KEY_U32("ssm.group_count", 1),
	KEY_U32("full_attention_interval", 1),
	KEY_PAIR("attention.recurrent_layers", 0, 1),
	KEY_U32("shortconv.l_cache", 2),
	KEY_U32("wkv.head_size", 48),
	KEY_U32("time_mix_extra_dim", 16),
	KEY_U32("time_decay_extra_dim", 8),
	KEY_U32("attention.decay_lora_rank", 8),
	KEY_U32("attention.iclr_lora_rank", 16),
	KEY_U32("attention.value_residual_mix_lora_rank", 8),
	KEY_U32("attention.gate_lora_rank", 16),
};

static bool is_shape(const char *name)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (!strcmp(shapes[i].key + 1, name)) {
			assert_string_not_equal(open_with(&shapes[i], 1, NULL, 0, NULL), "");
			return true;
		}
	return false;
}

/* beside: up to one without a key. */
static void assert_changes_logits(const struct tiny_kv *kv, const struct tiny_kv beside[BESIDE_MAX])
{
	static float want[N_TOK * TINY_SERVED_VOCAB], got[N_TOK * TINY_SERVED_VOCAB];
	struct tiny_kv all[1 + BESIDE_MAX] = { *kv };
	size_t n = 0;

	for (; n < BESIDE_MAX && beside[n].key; n++)
		all[1 + n] = beside[n];
	assert_string_equal(open_with(beside, n, NULL, 0, want), "");
	assert_string_equal(open_with(all, 1 + n, NULL, 0, got), "");
	if (!memcmp(want, got, sizeof(want)))
		fail_msg("%s%s changes nothing", arch, kv->key);
}

/* Or, where it says what tensors there are, makes others of them, which the file does not have. A scale or a cap is refused where it is no
 * such number. */
static void what_it_obeys_changes_its_logits(void **state)
{
	static const struct tiny_kv nothing[BESIDE_MAX];
	static const float bad[] = { NAN, INFINITY, -1, 1e-9f, 1e9f };

	(void)state;
	for (const char *const *name = row->obeys; name && *name; name++) {
		const struct own_key *own;
		char key[96];

		if (is_shape(*name))
			continue;
		if (!own_key_is_factor(*name)) {
			own = own_key_find(*name);
			if (!own)
				fail_msg("%s obeys %s, of which own_keys.h knows no value", arch, *name);
			if (own->kv.value)
				assert_changes_logits(&own->kv, own->beside);
			continue;
		}
		snprintf(key, sizeof(key), ".%s", *name);
		assert_changes_logits(&(struct tiny_kv){ key, GGUF_F32, &(float){ 0.125f }, 4 }, nothing);
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
			assert_refused(&(struct tiny_kv){ key, GGUF_F32, &bad[i], 4 }, "not 0 or a number in");
	}
}

/* Two names of one number, of which each says both values. */
static void ollamas_name_of_a_norm_is_obeyed(void **state)
{
	static float want[N_TOK * TINY_SERVED_VOCAB], got[N_TOK * TINY_SERVED_VOCAB];
	const struct tiny_kv said[2] = { KEY_BOOL("expert_weights_norm", 0), KEY_BOOL("expert_weights_norm", 1) },
			     ollama[2] = { KEY_BOOL("norm_top_k_prob", 0), KEY_BOOL("norm_top_k_prob", 1) };

	(void)state;
	for (size_t i = 0; i < 2 && row->experts.are == EXPERTS_ALWAYS; i++) {
		assert_string_equal(open_with(&said[i], 1, NULL, 0, want), "");
		assert_string_equal(open_with(&ollama[i], 1, NULL, 0, got), "");
		assert_memory_equal(want, got, sizeof(want));
	}
	assert_refused(&(struct tiny_kv)KEY_BOOL("ssm.v_head_reordered", 0), "not 1");
}

/* Llama 4 without windows has other layers, too: a converter says so by a 0, which is not as good as no key. */
static void a_window_that_is_implied_is_not_of_0(void **state)
{
	const struct tiny_kv none = KEY_U32("attention.sliding_window", 0);

	(void)state;
	if (!strcmp(arch, "llama4"))
		assert_refused(&none, "those that have a window");
	else
		assert_string_equal(open_with(&none, 1, NULL, 0, NULL), "");
}

static void what_differs_by_layer_is_refused_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < row->n_tensor; i++)
		if (row->tensor[i].axis == PLAN_HEAD) {
			assert_refused(&(struct tiny_kv)KEY_PAIR("attention.head_count", 4, 2),
				       "differs between layers");
			assert_refused(&(struct tiny_kv)KEY_PAIR("attention.head_count_kv", 2, 4),
				       "differs between layers");
			break;
		}
	if (!row->has_layer_shapes)
		assert_refused(&(struct tiny_kv)KEY_PAIR("feed_forward_length", 128, 64), "differs between layers");
}

/* Where a window is obeyed (test_golden has its logits) it bounds nothing. Elsewhere the answer is right inside it, and past it there is
 * none. */
static void a_window_is_obeyed_or_bounds_the_context(void **state)
{
	const struct tiny_kv kv = KEY_U32("attention.sliding_window", 256);
	bool is_obeyed = row->has_window;
	struct harness h;

	(void)state;
	assert_string_equal(open_with(&kv, 1, NULL, 256, NULL), "");
	if (is_obeyed)
		assert_string_equal(open_with(&kv, 1, NULL, 257, NULL), "");
	else
		assert_non_null(strstr(open_with(&kv, 1, NULL, 257, NULL), "lower --ctx to 256"));
	harness_open(&h, path, ISA_MAX, 1, 0);
	assert_int_equal(model_n_ctx(h.m), is_obeyed ? TINY_SERVED_CTX : 256);
	assert_int_equal(model_default_ctx(h.w->gguf), model_n_ctx(h.m));
	harness_close(&h);
}

/* Nobody knows what it may mean; of llama.cpp's names some that no architecture here has. Another architecture's are nobody's business. */
static void an_unknown_key_is_refused_by_name(void **state)
{
	const struct tiny_kv unknown[] = {
		KEY_U32("something_new", 7),      KEY_U32("vocab_siz", 272),       KEY_U32("vision", 1),
		KEY_U32("altup.num_inputs", 4),   KEY_U32("kda.head_dim", 128),    KEY_U32("moe_latent_size", 64),
		KEY_U32("expert_group_scale", 1), KEY_U32("experts_per_group", 2), KEY_U32("attention.indexer.top_k", 0)
	};
	const struct tiny_kv harmless[] = { KEY_U32("vocab_size", 272), KEY_U32("vision.block_count", 7),
					    KEY_U32("decoder_start_token_id", 7) };
	const struct tiny_kv other = { "another.something_new", GGUF_U32, &(const uint32_t){ 7 }, 4 };

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_refused(&unknown[i], "gyre does not know this key");
	assert_string_equal(open_with(harmless, 3, NULL, 0, NULL), "");
	assert_string_equal(open_with(&other, 1, NULL, 0, NULL), "");
}

/* A model that is all in one file may say so. */
static void a_part_of_one_is_the_model(void **state)
{
	const struct tiny_kv one = { "split.count", GGUF_U16, &(const uint16_t){ 1 }, 2 };

	(void)state;
	assert_string_equal(open_with(&one, 1, NULL, 0, NULL), "");
}

static void experts_that_no_key_tells_of_are_refused_by_name(void **state)
{
	static const char *const name[] = { "blk.0.ffn_gate_inp.weight", "blk.1.ffn_up_exps.weight",
					    "blk.0.ffn_down.3.weight" };

	(void)state;
	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]) && row->experts.are != EXPERTS_ALWAYS; i++) {
		const char *said = open_with(NULL, 0, name[i], 0, NULL);

		if (!strstr(said, name[i]))
			fail_msg("%s: %s", name[i], said);
	}
	assert_non_null(strstr(open_with(NULL, 0, name[2], 0, NULL), "convert the model again"));
}

/* Of six experts in each tensor, of which a token takes two. */
static void counts_of_experts_that_lie_are_refused_by_name(void **state)
{
	const struct {
		struct tiny_kv kv[2];
		const char *why;
	} lie[] = {
		{ { KEY_U32("expert_count", 7) }, "_exps.weight has 6 experts" },
		{ { KEY_U32("expert_count", 5000) }, "expert_count is not a number in 0..4096" },
		{ { KEY_U32("expert_used_count", 0) }, "expert_used_count is 0" },
		{ { KEY_U32("expert_used_count", 7) }, "expert_used_count is 7; 1..6 are possible" },
		{ { KEY_U32("expert_feed_forward_length", 64) }, "_exps.weight has 6 experts of [128][64]" },
		{ { KEY_U32("expert_shared_count", UINT32_MAX) }, "expert_shared_count" },
		{ { KEY_U32("expert_group_count", 4) }, "expert_group_count is 4, which does not divide" },
		{ { KEY_U32("expert_group_count", 3), KEY_U32("expert_group_used_count", 4) }, "of 3 groups" },
		{ { KEY_U32("expert_group_count", 6), KEY_U32("expert_group_used_count", 1) }, "used_count is 2, but" },
		{ { KEY_U32("expert_gating_func", 4) }, "expert_gating_func is 4" },
		{ { KEY_F32("expert_weights_scale", NAN) }, "expert_weights_scale" },
		{ { KEY_U32("leading_dense_block_count", 2) }, ".weight" },
		{ { KEY_U32("interleave_moe_layer_step", 3), KEY_U32("leading_dense_block_count", 0) }, ".weight" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lie) / sizeof(lie[0]) && row->experts.are == EXPERTS_ALWAYS; i++) {
		const char *said = open_with(lie[i].kv, 1 + (lie[i].kv[1].key != NULL), NULL, 0, NULL);

		if (!strstr(said, lie[i].why))
			fail_msg("%s: %s", lie[i].kv[0].key, said);
	}
}

static void put_key(FILE *f, const struct tiny_kv *kv)
{
	const char *of = kv->key[0] == '.' ? "llama" : "";
	uint64_t n = strlen(of) + strlen(kv->key);

	fwrite(&n, 8, 1, f);
	fprintf(f, "%s%s", of, kv->key);
	fwrite(&kv->type, 4, 1, f);
	fwrite(kv->value, 1, kv->n, f);
}

/* tests/golden/llama_plain.gguf with keys in front: tools/golden/keys.py does the same. */
static void write_golden(const struct tiny_kv *kv, size_t n_kv)
{
	FILE *base = fopen(GOLDEN "llama_plain.gguf", "rb"), *f = fopen(path, "wb");
	static char rest[1 << 18];
	uint8_t head[24];
	uint64_t n_fill;
	size_t n;

	assert_true(base && f);
	assert_int_equal(fread(head, 1, sizeof(head), base), sizeof(head));
	memcpy(&n, head + 16, 8);
	n += n_kv + 1;
	memcpy(head + 16, &n, 8);
	fwrite(head, 1, sizeof(head), f);
	for (size_t i = 0; i < n_kv; i++)
		put_key(f, &kv[i]);
	n_fill = 64 - (size_t)(ftell(f) - 24 + 8 + 11 + 4 + 8) % 32;
	put_key(f, &(struct tiny_kv){ "golden.fill", GGUF_STR, &n_fill, 8 });
	while (n_fill--)
		fputc('x', f);
	while ((n = fread(rest, 1, sizeof(rest), base)) > 0)
		fwrite(rest, 1, n, f);
	assert_int_equal(fclose(f), 0);
	fclose(base);
}

static const struct {
	const char *name;
	struct tiny_kv kv[4];
	size_t n_kv;
} golden_case[] = {
	{ "keys_linear_attn",
	  { KEY_STR("rope.scaling.type", "linear"), KEY_F32("rope.scaling.factor", 4),
	    KEY_F32("rope.scaling.attn_factor", 1.5f) },
	  3 },
	{ "keys_attn", { KEY_STR("rope.scaling.type", "none"), KEY_F32("rope.scaling.attn_factor", 0.75f) }, 2 },
	{ "keys_factor_0", { KEY_STR("rope.scaling.type", "linear"), KEY_F32("rope.scaling.factor", 0) }, 2 },
	{ "keys_yarn_attn",
	  { KEY_STR("rope.scaling.type", "yarn"), KEY_F32("rope.scaling.factor", 4),
	    KEY_F32("rope.scaling.attn_factor", 1.5f), KEY_U32("rope.scaling.original_context_length", 16) },
	  4 },
	{ "keys_yarn_shrinks",
	  { KEY_STR("rope.scaling.type", "yarn"), KEY_F32("rope.scaling.factor", 0.5f),
	    KEY_U32("rope.scaling.original_context_length", 0) },
	  3 },
};

static void what_is_obeyed_is_as_llama_cpp_has_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(golden_case) / sizeof(golden_case[0]); i++) {
		struct golden g;
		struct harness h;
		double d;
		float *out;

		golden_read(&g, golden_case[i].name);
		out = calloc((size_t)g.n_tok * g.n_vocab, sizeof(float));
		write_golden(golden_case[i].kv, golden_case[i].n_kv);
		harness_open(&h, path, ISA_MAX, 2, 0);
		harness_logits(&h, out, g.token, g.n_tok, g.n_tok, 0);
		d = distance(out, g.logits, (size_t)g.n_tok * g.n_vocab);
		print_message("%s: largest difference %.2e of the logit range\n", golden_case[i].name, d);
		if (!(d <= FROM_F32_KV))
			fail_msg("%s is %.2e of the range away from llama.cpp's", golden_case[i].name, d);
		harness_close(&h);
		free(out), free(g.logits);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_computed_is_refused_by_name),
		cmocka_unit_test(what_changes_nothing_is_taken),
		cmocka_unit_test(what_is_of_images_changes_nothing),
		cmocka_unit_test(what_it_obeys_has_its_type),
		cmocka_unit_test(its_own_activation_may_be_named),
		cmocka_unit_test(what_it_obeys_changes_its_logits),
		cmocka_unit_test(ollamas_name_of_a_norm_is_obeyed),
		cmocka_unit_test(a_window_that_is_implied_is_not_of_0),
		cmocka_unit_test(what_differs_by_layer_is_refused_by_name),
		cmocka_unit_test(a_window_is_obeyed_or_bounds_the_context),
		cmocka_unit_test(an_unknown_key_is_refused_by_name),
		cmocka_unit_test(a_part_of_one_is_the_model),
		cmocka_unit_test(experts_that_no_key_tells_of_are_refused_by_name),
		cmocka_unit_test(counts_of_experts_that_lie_are_refused_by_name),
	};
	const struct CMUnitTest golden[] = { cmocka_unit_test(what_is_obeyed_is_as_llama_cpp_has_it) };
	int r = 0;

	snprintf(path, sizeof(path), "/tmp/gyre-test-keys-%d.gguf", (int)getpid());
	for (size_t i = 0; tiny_arch(i); i++) {
		arch = tiny_arch(i);
		row = arch_at(i);
		r += cmocka_run_group_tests_name(arch, tests, NULL, NULL);
	}
	r += cmocka_run_group_tests(golden, NULL, NULL);
	unlink(path);
	return r;
}
