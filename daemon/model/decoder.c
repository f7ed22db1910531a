#include "daemon/model/dense.h"

#include "daemon/model/hparams.h"

enum { LAP_QKV, LAP_ATTENTION, LAP_OUTPUT, LAP_GATE_UP, LAP_DOWN };

static gate_fn *gate_of(const struct model *m)
{
	return m->arch->gate == GATE_GELU ? m->k->gelu_mul : m->k->silu_mul;
}

static int dense_open(struct tensors *t, struct error *e)
{
	struct model *m = t->m;
	struct dense_layer *layer = m->layer;
	int r = tensors_open_ends(t, e);

	if (r == 0)
		r = tensors_open_layers(t, e);
	for (uint32_t i = 0; i < m->hp.n_layer && r == 0; i++) {
		layer[i].heads.rope = &m->rope;
		layer[i].ffn.gate_mul = gate_of(m);
		r = memory_add_heads(m, i, hparams_window(&m->hp, i), e);
	}
	return r == 0 ? rope_open(t, m->arch->rope, e) : r;
}

static void dense_forward(const struct seat *s)
{
	const struct model *m = s->m;
	const struct dense_layer *layer = m->layer;

	block_embed(s);
	for (uint32_t i = 0; i < m->hp.n_layer; i++) {
		const struct dense_layer *l = &layer[i];

		block_heads(s, LAP_QKV, &l->heads, i);
		block_attention(s, LAP_ATTENTION, i);
		block_residual(s, LAP_OUTPUT, &l->output, m->att, m->att_stride);
		block_ffn(s, LAP_GATE_UP, &l->ffn);
		block_residual(s, LAP_DOWN, &l->down, m->gate, m->ff_stride);
	}
	block_logits(s);
}

const struct pass dense_pass = {
	.lap = { [LAP_QKV] = "qkv",
		 [LAP_ATTENTION] = "attention",
		 [LAP_OUTPUT] = "output",
		 [LAP_GATE_UP] = "gate_up",
		 [LAP_DOWN] = "down" },
	.layer_bytes = sizeof(struct dense_layer),
	.open = dense_open,
	.forward = dense_forward,
};
