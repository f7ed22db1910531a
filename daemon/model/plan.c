/* How a model's file is divided between nodes: its shape, its blocks, and what its architecture divides along what. */
#include "daemon/model/arch.h"
#include "daemon/model/hparams.h"
#include "daemon/util/minmax.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A router, or experts as one tensor or each as its own: "blk.0.ffn_gate_inp.weight", "..ffn_up_exps..", "..ffn_up.3.weight". */
static bool is_of_experts(const struct gguf_tensor *t)
{
	char name[GGUF_NAME_MAX + 1];
	unsigned layer, expert;

	snprintf(name, sizeof(name), "%.*s", (int)t->name.n, t->name.p);
	return strstr(name, ".ffn_gate_inp.") || strstr(name, "_exps.") ||
	       sscanf(name, "blk.%u.ffn_%*[a-z].%u.", &layer, &expert) == 2;
}

static int refuse_experts(const struct gguf *g, struct error *e)
{
	for (size_t i = 0; i < gguf_n_tensor(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);

		if (is_of_experts(t))
			return error_set(e, -ENOTSUP,
					 "tensor %.*s: a mixture of experts, which is not supported yet; use a dense "
					 "model",
					 (int)t->name.n, t->name.p);
	}
	return 0;
}

/* What the tensors add to the shape: the largest blocks of those that are divided by columns, and the vocabulary. */
static void note_tensor(struct plan_shape *s, const struct gguf_tensor *t, enum plan_axis axis)
{
	const struct quant_info *q = quant_info(t->type);
	uint32_t block = q ? q->block_len : 1;

	if (axis == PLAN_HEAD_K)
		s->head_block = max_u32(s->head_block, block);
	if (axis == PLAN_FF_K)
		s->ff_block = max_u32(s->ff_block, block);
	if (axis == PLAN_EXPERT_K)
		s->expert_block = max_u32(s->expert_block, block);
	if (axis == PLAN_VOCAB && t->ne[1] <= INT32_MAX)
		s->n_vocab = (uint32_t)t->ne[1];
}

int model_divide(struct plan *p, struct gguf *g, uint32_t n_node, struct error *e)
{
	struct plan_shape s = { .head_block = 1, .ff_block = 1, .expert_block = 1, .n_vocab = 1 };
	const struct arch *arch;
	struct hparams hp = { 0 };
	bool has_ff = false; /* beside experts */
	int r = arch_read_shape(&arch, &hp, g, e);

	if (r == 0)
		r = cut_tensors(g, arch, &hp, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < gguf_n_tensor(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);

		enum plan_axis axis = tensors_axis(arch, t->name.p, t->name.n);

		has_ff |= axis == PLAN_FF_K;
		note_tensor(&s, t, axis);
	}
	s.n_embd = hp.n_embd;
	s.n_head = hp.n_head;
	s.n_head_kv = hp.n_head_kv;
	s.head_dim = hp.head_dim;
	s.n_ff = has_ff || !hp.n_expert ? hp.n_ff : 0;
	s.n_expert = hp.n_expert;
	s.n_expert_used = hp.n_expert_used;
	s.n_ff_expert = hp.n_ff_expert;
	r = plan_make(p, &s, n_node, e);
	p->axis = tensors_axis;
	p->axis_of = arch;
	return r;
}

int model_plan(struct plan *p, struct gguf *g, uint32_t n_node, struct error *e)
{
	const struct arch *arch;
	struct hparams hp = { 0 };
	int r = arch_read(&arch, &hp, g, e);

	if (r == 0)
		r = refuse_experts(g, e);
	return r == 0 ? model_divide(p, g, n_node, e) : r;
}
