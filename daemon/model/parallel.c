#include "daemon/model/parallel.h"

enum { LAP_QKV, LAP_ATTENTION, LAP_OUTPUT, LAP_GATE_UP, LAP_DOWN };

static int parallel_open(struct tensors *t, struct error *e)
{
	struct decoder_layer *layer = t->m->layer;
	int r = decoder_pass.open(t, e);

	for (uint32_t i = 0; i < t->m->hp.n_layer && r == 0; i++)
		layer[i].ffn.norm = layer[i].heads.norm;
	return r;
}

/* Both branches take x before either is added to it. */
static void parallel_forward(const struct seat *s)
{
	const struct model *m = s->m;
	const struct decoder_layer *layer = m->layer;

	block_embed(s);
	for (uint32_t i = 0; i < m->hp.n_layer; i++) {
		const struct decoder_layer *l = &layer[i];

		block_heads(s, LAP_QKV, &l->heads, i);
		block_ffn(s, LAP_GATE_UP, &l->ffn);
		block_attention(s, LAP_ATTENTION, &l->attention, i);
		block_residual(s, LAP_OUTPUT, &l->output, m->att, m->att_stride);
		block_residual(s, LAP_DOWN, &l->down, m->gate, m->ff_stride);
	}
	block_logits(s);
}

const struct pass parallel_pass = {
	.lap = { [LAP_QKV] = "qkv",
		 [LAP_ATTENTION] = "attention",
		 [LAP_OUTPUT] = "output",
		 [LAP_GATE_UP] = "gate_up",
		 [LAP_DOWN] = "down" },
	.layer_bytes = sizeof(struct decoder_layer),
	.open = parallel_open,
	.forward = parallel_forward,
};
