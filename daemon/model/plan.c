/* How a model's file is divided between nodes: its shape, its blocks, and what its architecture divides along what. */
#include "daemon/model/arch.h"
#include "daemon/model/cut.h"
#include "daemon/model/hparams.h"
#include "daemon/util/minmax.h"

#include <errno.h>

/* What the tensors add to the shape: the largest blocks of those that are divided by columns, and the vocabulary. */
static void note_tensor(struct plan_shape *s, const struct gguf_tensor *t, enum plan_axis axis)
{
	const struct quant_info *q = quant_info(t->type);
	uint32_t block = q ? q->block_len : 1;

	if (axis == PLAN_HEAD_K)
		s->head_block = max_u32(s->head_block, block);
	if (axis == PLAN_FF_K)
		s->ff_block = max_u32(s->ff_block, block);
	if (axis == PLAN_VOCAB && t->ne[1] <= INT32_MAX)
		s->n_vocab = (uint32_t)t->ne[1];
}

/* Whether there are feed-forwards of all tokens, beside experts or without. */
static bool has_ff(const struct hparams *hp)
{
	for (uint32_t i = 0; i < hp->n_layer; i++)
		if (hp->kind[i] & LAYER_FF)
			return true;
	return false;
}

_Static_assert(LAYER_MAX <= PLAN_LAYER_MAX, "a bit for each layer");

int model_plan(struct plan *p, struct gguf *g, uint32_t n_node, struct error *e)
{
	struct plan_shape s = { .head_block = 1, .ff_block = 1, .n_vocab = 1 };
	const struct arch *arch;
	struct hparams hp = { 0 };
	int r = arch_read(&arch, &hp, g, e);

	if (r == 0)
		r = cut_tensors(g, arch, &hp, e);
	if (r == 0)
		r = tensors_check_experts(arch, &hp, g, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < gguf_n_tensor(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);

		note_tensor(&s, t, tensors_axis(&(struct plan){ .axis_of = arch }, t->name.p, t->name.n));
	}
	s.n_embd = hp.n_embd;
	s.n_head = hp.n_head;
	s.n_head_kv = hp.n_head_kv;
	s.head_dim = hp.head_dim;
	s.n_head_kv_2 = hp.window_heads.n_head_kv;
	s.head_dim_2 = hp.window_heads.head_dim;
	s.n_ff = has_ff(&hp) ? hp.n_ff : 0;
	s.n_expert = hp.n_expert;
	s.n_expert_used = hp.n_expert_used;
	s.n_ff_expert = hp.n_ff_expert;
	r = plan_make(p, &s, n_node, e);
	for (uint32_t i = 0; i < hp.n_layer; i++)
		p->second[i / 64] |= (uint64_t)(hparams_shape(&hp, i) == HEADS_WINDOW_LAYERS) << i % 64;
	p->axis = tensors_axis;
	p->axis_of = arch;
	return r;
}
