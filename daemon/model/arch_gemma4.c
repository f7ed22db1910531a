/*
 * Gemma 4 (Gemma Team 2026): a Gemma 3 whose layers differ more than in their window. Layers that see all positions have
 * larger heads, fewer for keys and values, and turn but a part of them (rope_freqs.weight); values are normed without weights, and are what
 * keys are before their norm where a layer has no matrix of its own for them; scores are not scaled:
 *   x += norm(Wo . attention(rope(norm(Wq . n)), rope(norm(Wk . n)), norm(Wv . n))),  n = rms_norm(x) * attn_norm
 *   x += norm(Wdown . (gelu(Wgate . n) * (Wup . n))),                                n = rms_norm(x) * ffn_norm
 *   x += norm(Wproj . (gelu(Winp . x) * numbers of the token for the layer)),        in E2B and E4B
 *   x *= layer_output_scale
 * In 26B-A4B the feed-forward is normed and added to what experts give, whose router has a norm of its own:
 *   x += norm(norm(Wdown . ...) + norm(sum of weight * expert(norm(x)))),            weights by Wrouter . (rms_norm(x) * scale) / sqrt(n_embd)
 * The last attention.shared_kv_layers read the K and V of the last layer of their kind before them. Feed-forwards may differ in size, so
 * they are divided by rows. Rotary pairs are (i, i + n_rot / 2).
 */
#include "daemon/model/decoder.h"
#include "daemon/model/experts.h"
#include "daemon/model/hparams.h"

#include <errno.h>
#include <math.h>

struct gemma4_layer {
	struct decoder_layer d; /* the first, so that its rows of a table fit */
	struct per_layer_in per_layer;
};

#define TENSOR_OWN(tensor_name, field, ...)                                                  \
	{                                                                                    \
		.name = tensor_name, .at = offsetof(struct gemma4_layer, field), __VA_ARGS__ \
	}

static const struct layer_tensor tensor[] = {
	TENSOR("attn_norm.weight", heads.norm.w, .width = VECTOR_EMBD),
	TENSOR("attn_q.weight", heads.q, .axis = PLAN_HEAD),
	TENSOR("attn_k.weight", heads.k, .axis = PLAN_HEAD_KV, .is_optional = true),
	TENSOR("attn_v.weight", heads.v, .axis = PLAN_HEAD_KV, .is_optional = true),
	TENSOR("attn_output.weight", output.w, .axis = PLAN_HEAD_K),
	TENSOR("attn_q_norm.weight", heads.q_norm.w, .width = VECTOR_HEAD_DIM),
	TENSOR("attn_k_norm.weight", heads.k_norm.w, .width = VECTOR_HEAD_DIM, .is_optional = true),
	TENSOR("post_attention_norm.weight", output.norm.w, .width = VECTOR_EMBD),
	TENSOR("ffn_norm.weight", ffn.norm.w, .width = VECTOR_EMBD),
	TENSOR("ffn_gate.weight", ffn.gate, .axis = PLAN_ROW, .n_row = VECTOR_FF, .width = VECTOR_EMBD),
	TENSOR("ffn_up.weight", ffn.up, .axis = PLAN_ROW, .n_row = VECTOR_FF, .width = VECTOR_EMBD),
	TENSOR("ffn_down.weight", down.w, .axis = PLAN_ROW, .n_row = VECTOR_EMBD, .width = VECTOR_FF),
	TENSOR("post_ffw_norm.weight", down.norm.w, .width = VECTOR_EMBD),
	TENSOR_OWN("inp_gate.weight", per_layer.gate, .axis = PLAN_ROW, .n_row = VECTOR_PER_LAYER, .width = VECTOR_EMBD,
		   .is_optional = true),
	TENSOR_OWN("proj.weight", per_layer.proj.w, .axis = PLAN_ROW, .n_row = VECTOR_EMBD, .width = VECTOR_PER_LAYER,
		   .is_optional = true),
	TENSOR_OWN("post_norm.weight", per_layer.proj.norm.w, .width = VECTOR_EMBD, .is_optional = true),
	TENSOR("ffn_gate_inp.weight", experts.router, .axis = PLAN_ROW, .n_row = VECTOR_EXPERTS, .width = VECTOR_EMBD,
	       .in = LAYER_EXPERTS),
	TENSOR("ffn_gate_inp.scale", experts.router_norm.w, .width = VECTOR_EMBD, .in = LAYER_EXPERTS),
	TENSOR("ffn_gate_exps.weight", experts.gate, .axis = PLAN_ROW, .n_row = VECTOR_FF_EXPERT, .width = VECTOR_EMBD,
	       .in = LAYER_EXPERTS, .is_of_experts = true),
	TENSOR("ffn_up_exps.weight", experts.up, .axis = PLAN_ROW, .n_row = VECTOR_FF_EXPERT, .width = VECTOR_EMBD,
	       .in = LAYER_EXPERTS, .is_of_experts = true),
	TENSOR("ffn_down_exps.weight", experts.down, .axis = PLAN_ROW, .n_row = VECTOR_EMBD, .width = VECTOR_FF_EXPERT,
	       .in = LAYER_EXPERTS, .is_of_experts = true),
	TENSOR("ffn_down_exps.scale", experts.times, .width = VECTOR_EXPERTS, .axis = PLAN_VECTOR, .in = LAYER_EXPERTS,
	       .is_optional = true),
	TENSOR("pre_ffw_norm_2.weight", experts.norm.w, .width = VECTOR_EMBD, .in = LAYER_EXPERTS),
	TENSOR("post_ffw_norm_2.weight", experts.post.w, .width = VECTOR_EMBD, .in = LAYER_EXPERTS),
	TENSOR("post_ffw_norm_1.weight", experts.beside.norm.w, .width = VECTOR_EMBD, .in = LAYER_EXPERTS),
	TENSOR("layer_output_scale.weight", down.scale, .width = VECTOR_ONE, .is_optional = true),
};

static const char *const obeys[] = { "attention.sliding_window_pattern",
				     "attention.key_length_swa",
				     "attention.value_length_swa",
				     "attention.shared_kv_layers",
				     "embedding_length_per_layer_input",
				     "rope.dimension_count_swa",
				     "rope.freq_base_swa",
				     "final_logit_softcapping",
				     NULL };

#define PER_LAYER_MAX (1u << 16)

static int gemma4_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	int r = hparams_read_pattern(hp, g, arch, 6, LAYER_WINDOW, e);

	for (uint32_t i = 0; i < hp->n_layer; i++)
		hp->kind[i] |= LAYER_FF; /* beside experts, too */
	hp->embd_scale = sqrtf((float)hp->n_embd);
	hp->attn_scale = 1;
	if (!hp->n_window) /* their heads are of their own shape nevertheless */
		hp->n_window = hp->n_ctx_train;
	if (r == 0)
		r = hparams_read_shapes(hp, g, arch, e);
	if (r == 0)
		r = hparams_get_count(g, arch, "embedding_length_per_layer_input", &hp->n_per_layer, 0, PER_LAYER_MAX,
				      e);
	if (r == 0)
		r = hparams_get_count(g, arch, "attention.shared_kv_layers", &hp->n_shared_kv, 0, hp->n_layer - 1, e);
	return r;
}

/* The last layer of the same kind that has K and V of its own; n_layer: there is none. */
static uint32_t source_of(const struct hparams *hp, uint32_t layer)
{
	for (uint32_t i = hp->n_layer - hp->n_shared_kv; i-- > 0;)
		if ((hp->kind[i] & LAYER_WINDOW) == (hp->kind[layer] & LAYER_WINDOW))
			return i;
	return hp->n_layer;
}

/* K and V of a layer, or of which other. */
static int open_kv(struct model *m, struct heads_in *h, uint32_t layer, struct error *e)
{
	const struct hparams *hp = &m->hp;
	uint32_t source = source_of(hp, layer);

	h->is_v_normed = true;
	if (layer < hp->n_layer - hp->n_shared_kv) {
		if (!h->k || !h->k_norm.w)
			return error_set(e, -EINVAL, "the file has no tensor blk.%u.attn_k%s.weight", layer,
					 h->k ? "_norm" : "");
		return memory_add_heads(m, layer, hparams_window(hp, layer), e);
	}
	if (source == hp->n_layer)
		return error_set(e, -EINVAL,
				 "gemma4.attention.shared_kv_layers is %u: layer %u has none of its kind before them",
				 hp->n_shared_kv, layer);
	h->k = h->v = h->k_norm.w = NULL; /* a file may have them, and they mean nothing */
	memory_share_heads(m, layer, source);
	return 0;
}

static int check_per_layer(const struct model *m, const struct gemma4_layer *l, uint32_t layer, struct error *e)
{
	bool is_there = l->per_layer.gate && l->per_layer.proj.w && l->per_layer.proj.norm.w;

	if (is_there == (m->hp.n_per_layer > 0))
		return 0;
	return error_set(
		e, -EINVAL,
		"blk.%u.inp_gate, proj and post_norm do not go with gemma4.embedding_length_per_layer_input %u", layer,
		m->hp.n_per_layer);
}

/* What is added, and scales x then, comes after both. */
static int open_experts(struct model *m, struct decoder_layer *d, struct error *e)
{
	struct experts_in *in = &d->experts;

	in->gate_mul = m->k->gelu_mul;
	in->router_scale = 1.0f / sqrtf((float)m->hp.n_embd);
	in->beside.both = d->down.norm;
	in->scale = d->down.scale;
	d->down = (struct residual_in){ .w = d->down.w, .is_aside = true };
	return experts_open(m, in, e);
}

static int open_layer(struct model *m, struct gemma4_layer *l, uint32_t layer, struct error *e)
{
	int r = open_kv(m, &l->d.heads, layer, e);

	l->d.heads.rope = rope_of(m, layer);
	l->d.ffn.gate_mul = m->k->gelu_mul;
	if (m->hp.n_per_layer) { /* the last that is added */
		l->per_layer.proj.scale = l->d.down.scale;
		l->d.down.scale = NULL;
	}
	if (r == 0 && m->hp.kind[layer] & LAYER_EXPERTS)
		r = open_experts(m, &l->d, e);
	return r == 0 ? check_per_layer(m, l, layer, e) : r;
}

static int open_per_layer(struct tensors *t, struct error *e)
{
	struct model *m = t->m;
	struct per_layer *p = &m->per_layer;
	uint32_t n = m->hp.n_layer * m->hp.n_per_layer;

	if (!n)
		return 0;
	p->embd = tensors_rows(t, "per_layer_token_embd.weight", m->hp.n_vocab, n, e);
	p->proj = p->embd ? tensors_rows(t, "per_layer_model_proj.weight", n, m->hp.n_embd, e) : NULL;
	p->norm.w = p->proj ? tensors_vector(t, "per_layer_proj_norm.weight", m->hp.n_per_layer, e) : NULL;
	return p->norm.w ? 0 : -EINVAL;
}

static int gemma4_open(struct tensors *t, struct error *e)
{
	struct model *m = t->m;
	struct gemma4_layer *layer = m->layer;
	int r = tensors_open_ends(t, e);

	if (r == 0)
		r = tensors_open_layers(t, e);
	if (r == 0)
		r = open_per_layer(t, e);
	for (uint32_t i = 0; i < m->hp.n_layer && r == 0; i++)
		r = open_layer(m, &layer[i], i, e);
	return r == 0 ? rope_open(t, m->arch->rope, e) : r;
}

enum {
	LAP_QKV,
	LAP_ATTENTION,
	LAP_OUTPUT,
	LAP_GATE_UP,
	LAP_DOWN,
	LAP_PER_LAYER,
	LAP_EXPERTS,
	LAP_EXPERTS_GATE_UP,
	LAP_EXPERTS_DOWN
};

static void gemma4_forward(const struct seat *s)
{
	const struct model *m = s->m;
	const struct gemma4_layer *layer = m->layer;

	block_embed(s);
	if (m->hp.n_per_layer)
		block_per_layer_embed(s, LAP_PER_LAYER);
	for (uint32_t i = 0; i < m->hp.n_layer; i++) {
		const struct decoder_layer *l = &layer[i].d;

		block_heads(s, LAP_QKV, &l->heads, i);
		block_attention(s, LAP_ATTENTION, &l->attention, i);
		block_residual(s, LAP_OUTPUT, &l->output, m->att, m->att_stride);
		block_ffn(s, LAP_GATE_UP, &l->ffn);
		block_residual(s, LAP_DOWN, &l->down, m->gate, m->ff_stride);
		if (m->hp.kind[i] & LAYER_EXPERTS)
			block_experts(s, LAP_EXPERTS, &l->experts);
		if (m->hp.n_per_layer)
			block_per_layer(s, LAP_PER_LAYER, &layer[i].per_layer, i);
	}
	block_logits(s);
}

static const struct pass gemma4_pass = {
	.lap = { [LAP_QKV] = "qkv",
		 [LAP_ATTENTION] = "attention",
		 [LAP_OUTPUT] = "output",
		 [LAP_GATE_UP] = "gate_up",
		 [LAP_DOWN] = "down",
		 [LAP_PER_LAYER] = "per_layer",
		 [LAP_EXPERTS] = "router",
		 [LAP_EXPERTS_GATE_UP] = "experts_gate_up",
		 [LAP_EXPERTS_DOWN] = "experts_down" },
	.layer_bytes = sizeof(struct gemma4_layer),
	.open = gemma4_open,
	.forward = gemma4_forward,
};

const struct arch arch_gemma4 = {
	.name = "gemma4",
	.pass = &gemma4_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_GELU,
	.experts = { .are = EXPERTS_MAYBE },
	.has_aside = true,
	.has_window = true,
	.has_window_rope = true,
	.window_base = 10000,
	.has_layer_shapes = true,
	.obeys = obeys,
	.imply = gemma4_imply,
};
