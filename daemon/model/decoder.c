#include "daemon/model/decoder.h"

#include "daemon/model/experts.h"
#include "daemon/model/hparams.h"
#include "daemon/model/temperature.h"

enum {
	LAP_QKV,
	LAP_ATTENTION,
	LAP_OUTPUT,
	LAP_GATE_UP,
	LAP_DOWN,
	LAP_MIX_IN,
	LAP_MIX,
	LAP_EXPERTS,
	LAP_EXPERTS_GATE_UP,
	LAP_EXPERTS_DOWN
};

static gate_fn *gate_of(const struct model *m)
{
	gate_fn *const fn[GATE_MAX] = {
		[GATE_SILU] = m->k->silu_mul, [GATE_GELU] = m->k->gelu_mul, [GATE_OAI] = m->k->oai_mul
	};

	return fn[m->arch->gate];
}

static void open_ffn(const struct model *m, struct ffn_in *in)
{
	act_fn *const act[GATE_MAX] = { [GATE_GELU] = m->k->gelu, [GATE_RELU2] = m->k->relu2 };

	in->gate_mul = gate_of(m);
	in->act = act[m->arch->gate];
}

static int open_experts(struct model *m, struct experts_in *in, struct error *e)
{
	in->gate_mul = gate_of(m);
	in->is_on_input = m->arch->experts.is_on_input;
	return experts_open(m, in, e);
}

static int decoder_open(struct tensors *t, struct error *e)
{
	struct model *m = t->m;
	struct decoder_layer *layer = m->layer;
	int r = tensors_open_ends(t, e);

	if (r == 0)
		r = tensors_open_layers(t, e);
	if (r == 0)
		r = temperature_open(m, e);
	for (uint32_t i = 0; i < m->hp.n_layer && r == 0; i++) {
		layer[i].heads.rope = rope_of(m, i);
		layer[i].heads.temperature = m->hp.kind[i] & LAYER_TEMPER ? m->temperature : NULL;
		open_ffn(m, &layer[i].ffn);
		if (m->hp.kind[i] & LAYER_ATTENTION)
			r = memory_add_heads(m, i, hparams_window(&m->hp, i), e);
		if (r == 0 && m->hp.kind[i] & LAYER_STATE)
			r = mix_open(m, m->arch->mixer, &layer[i].mix, i, e);
		if (r == 0 && m->hp.kind[i] & LAYER_EXPERTS)
			r = open_experts(m, &layer[i].experts, e);
	}
	if (r == 0)
		r = rope_open(t, m->arch->rope, e);
	return r == 0 && m->arch->open ? m->arch->open(t, e) : r;
}

/* A layer that has both takes x for both before either is added to it. */
static void mix_tokens(const struct seat *s, const struct decoder_layer *l, uint32_t i)
{
	const struct model *m = s->m;
	bool attends = m->hp.kind[i] & LAYER_ATTENTION, has_state = m->hp.kind[i] & LAYER_STATE;

	if (attends) {
		block_heads(s, LAP_QKV, &l->heads, i);
		block_attention(s, LAP_ATTENTION, &l->attention, i);
	}
	if (has_state)
		block_mix(s, LAP_MIX_IN, LAP_MIX, &l->mix, i);
	if (attends)
		block_residual(s, LAP_OUTPUT, &l->output, m->att, m->att_stride);
	if (has_state)
		block_residual(s, LAP_OUTPUT, &l->mix_output, m->mix.row + m->mix.y, m->mix.stride);
}

static void decoder_forward(const struct seat *s)
{
	const struct model *m = s->m;
	const struct decoder_layer *layer = m->layer;

	block_embed(s);
	for (uint32_t i = 0; i < m->hp.n_layer; i++) {
		const struct decoder_layer *l = &layer[i];

		mix_tokens(s, l, i);
		if (m->hp.kind[i] & LAYER_FF) {
			block_ffn(s, LAP_GATE_UP, &l->ffn);
			block_residual(s, LAP_DOWN, &l->down, m->gate, m->ff_stride);
		}
		if (m->hp.kind[i] & LAYER_EXPERTS)
			block_experts(s, LAP_EXPERTS, &l->experts);
	}
	block_logits(s);
}

const struct pass decoder_pass = {
	.lap = { [LAP_QKV] = "qkv",
		 [LAP_ATTENTION] = "attention",
		 [LAP_OUTPUT] = "output",
		 [LAP_GATE_UP] = "gate_up",
		 [LAP_DOWN] = "down",
		 [LAP_MIX_IN] = "mix_in",
		 [LAP_MIX] = "mix",
		 [LAP_EXPERTS] = "router",
		 [LAP_EXPERTS_GATE_UP] = "experts_gate_up",
		 [LAP_EXPERTS_DOWN] = "experts_down" },
	.layer_bytes = sizeof(struct decoder_layer),
	.open = decoder_open,
	.forward = decoder_forward,
};
