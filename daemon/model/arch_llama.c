/*
 * Llama (Touvron et al. 2023; Grouped-Query Attention of Llama 2 and 3): per layer
 *   x += Wo . attention(rope(Wq . n), rope(Wk . n), Wv . n),  n = rms_norm(x) * attn_norm
 *   x += Wdown . (silu(Wgate . n) * (Wup . n)),               n = rms_norm(x) * ffn_norm
 * and logits = Woutput . (rms_norm(x) * output_norm). Rotary pairs are (2i, 2i+1), as GGUF stores this architecture.
 */
#include "daemon/model/arch.h"
#include "daemon/model/block.h"

#include <stddef.h>

struct layer {
	struct heads_in heads;
	const struct tensor *output;
	struct ffn_in ffn;
	const struct tensor *down;
};

enum { LAP_QKV, LAP_ATTENTION, LAP_OUTPUT, LAP_GATE_UP, LAP_DOWN };

#define AT(field) offsetof(struct layer, field)

static const struct layer_tensor tensor[] = {
	{ "attn_norm.weight", AT(heads.norm), PLAN_COPY, VECTOR_EMBD },
	{ "attn_q.weight", AT(heads.q), PLAN_HEAD, VECTOR_NONE },
	{ "attn_k.weight", AT(heads.k), PLAN_HEAD_KV, VECTOR_NONE },
	{ "attn_v.weight", AT(heads.v), PLAN_HEAD_KV, VECTOR_NONE },
	{ "attn_output.weight", AT(output), PLAN_HEAD_K, VECTOR_NONE },
	{ "ffn_norm.weight", AT(ffn.norm), PLAN_COPY, VECTOR_EMBD },
	{ "ffn_gate.weight", AT(ffn.gate), PLAN_FF, VECTOR_NONE },
	{ "ffn_up.weight", AT(ffn.up), PLAN_FF, VECTOR_NONE },
	{ "ffn_down.weight", AT(down), PLAN_FF_K, VECTOR_NONE },
};

#define N_TENSOR (sizeof(tensor) / sizeof(tensor[0]))

static enum plan_axis llama_axis(const char *name, size_t n)
{
	return tensors_axis(tensor, N_TENSOR, name, n);
}

static int llama_open(struct tensors *t, struct error *e)
{
	struct layer *layer = t->m->layer;
	int r = tensors_open_ends(t, e);

	if (r == 0)
		r = tensors_open_layers(t, e);
	for (uint32_t i = 0; i < t->m->hp.n_layer && r == 0; i++) {
		layer[i].heads.rope = &t->m->rope;
		r = memory_add_heads(t->m, i, t->m->hp.n_window, e);
	}
	return r == 0 ? rope_open(t, ROPE_NEIGHBOURS, e) : r;
}

static void llama_forward(const struct seat *s)
{
	const struct model *m = s->m;
	const struct layer *layer = m->layer;

	block_embed(s);
	for (uint32_t i = 0; i < m->hp.n_layer; i++) {
		const struct layer *l = &layer[i];

		block_heads(s, LAP_QKV, &l->heads, i);
		block_attention(s, LAP_ATTENTION, i);
		block_residual(s, LAP_OUTPUT, l->output, m->att, m->att_stride);
		block_ffn(s, LAP_GATE_UP, &l->ffn, m->k->silu_mul);
		block_residual(s, LAP_DOWN, l->down, m->gate, m->ff_stride);
	}
	block_logits(s);
}

const struct arch arch_llama = {
	.name = "llama",
	.lap = { [LAP_QKV] = "qkv",
		 [LAP_ATTENTION] = "attention",
		 [LAP_OUTPUT] = "output",
		 [LAP_GATE_UP] = "gate_up",
		 [LAP_DOWN] = "down" },
	.axis = llama_axis,
	.tensor = tensor,
	.n_tensor = N_TENSOR,
	.layer_bytes = sizeof(struct layer),
	.has_window = true,
	.open = llama_open,
	.forward = llama_forward,
};
