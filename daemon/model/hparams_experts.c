/*
 * Experts of a file: how many, how a token's are chosen and weighed, and which layers have them. Counts that contradict each other are
 * refused here, before any memory is taken; plan.c holds them against the tensors.
 */
#include "daemon/model/hparams.h"

#include "daemon/model/arch.h"

#include <errno.h>

/* Of a token; in use: up to 22. Work space is taken for as many of each row. */
#define USED_MAX 64u
/* How many experts are added up as one that all tokens take; in use: up to 4. */
#define SHARED_MAX 256u

static int read_counts(struct hparams *hp, const struct gguf *g, const struct arch *arch, struct error *e)
{
	uint32_t n_shared;
	int r = hparams_get_u32(g, arch->name, "expert_used_count", &hp->n_expert_used, 0,
				hp->n_expert < USED_MAX ? hp->n_expert : USED_MAX, e);

	if (r == 0)
		r = hparams_get_u32(g, arch->name, "expert_feed_forward_length", &hp->n_ff_expert, hp->n_ff,
				    HPARAMS_DIM_MAX, e);
	if (r == 0)
		r = hparams_get_count(g, arch->name, "expert_shared_count", &n_shared, 0, SHARED_MAX, e);
	if (r == 0)
		r = hparams_get_count(g, arch->name, "expert_shared_feed_forward_length", &hp->n_ff_shared,
				      n_shared * hp->n_ff_expert, HPARAMS_DIM_MAX, e);
	if (r == 0 && hp->n_ff_shared > HPARAMS_DIM_MAX)
		r = error_set(e, -EINVAL, "%s.expert_shared_count is %u, of %u columns each: up to %u are possible",
			      arch->name, n_shared, hp->n_ff_expert, HPARAMS_DIM_MAX);
	return r;
}

static int read_groups(struct hparams *hp, const struct gguf *g, const struct arch *arch, struct error *e)
{
	int r = hparams_get_count(g, arch->name, "expert_group_count", &hp->n_group, 1, hp->n_expert, e);

	if (r == 0)
		r = hparams_get_count(g, arch->name, "expert_group_used_count", &hp->n_group_used, hp->n_group,
				      hp->n_expert, e);
	if (r < 0)
		return r;
	if (hp->n_group == 0)
		hp->n_group = 1;
	if (hp->n_group_used == 0)
		hp->n_group_used = hp->n_group;
	if (hp->n_expert % hp->n_group)
		return error_set(e, -EINVAL, "%s.expert_group_count is %u, which does not divide the %u experts evenly",
				 arch->name, hp->n_group, hp->n_expert);
	if (hp->n_group_used > hp->n_group)
		return error_set(e, -EINVAL, "%s.expert_group_used_count is %u, of %u groups", arch->name,
				 hp->n_group_used, hp->n_group);
	if (hp->n_expert_used > hp->n_expert / hp->n_group * hp->n_group_used)
		return error_set(
			e, -EINVAL,
			"%s.expert_used_count is %u, but the %u groups that are chosen have fewer experts together",
			arch->name, hp->n_expert_used, hp->n_group_used);
	return 0;
}

static int read_weighing(struct hparams *hp, const struct gguf *g, const struct arch *arch, struct error *e)
{
	uint32_t gating;
	int r = hparams_get_count(g, arch->name, "expert_gating_func", &gating, 0, UINT32_MAX, e);

	if (r < 0)
		return r;
	if (gating > GATING_SOFTMAX_CHOSEN)
		return error_set(e, -ENOTSUP,
				 "%s.expert_gating_func is %u; gyre computes 1..%u (softmax, sigmoid, softmax of the "
				 "chosen); use another model",
				 arch->name, gating, GATING_SOFTMAX_CHOSEN);
	hp->gating = gating ? (enum gating)gating : arch->experts.gating ? arch->experts.gating : GATING_SOFTMAX;
	hp->is_expert_normed = !arch->experts.is_unnormed;
	r = hparams_get_bool(g, arch->name, "norm_top_k_prob", &hp->is_expert_normed, e); /* ollama's name of it */
	if (r == 0)
		r = hparams_get_bool(g, arch->name, "expert_weights_norm", &hp->is_expert_normed, e);
	if (r == 0)
		r = hparams_get_factor(g, arch->name, "expert_weights_scale", &hp->expert_scale, e);
	if (r < 0)
		return r;
	if (hp->expert_scale == 0)
		hp->expert_scale = 1;
	return 0;
}

/* Which layers have experts: not the leading ones; of the rest all, the last of each interval, or the second of each period. */
static int set_layers(struct hparams *hp, const struct gguf *g, const struct arch *arch, struct error *e)
{
	uint32_t n_dense, step, every;
	int r = hparams_get_count(g, arch->name, "leading_dense_block_count", &n_dense, 0, LAYER_MAX, e);

	if (r == 0)
		r = hparams_get_count(g, arch->name, "interleave_moe_layer_step", &step, 1, LAYER_MAX, e);
	if (r == 0)
		r = hparams_get_count(g, arch->name, "moe_every_n_layers", &every, 0, LAYER_MAX, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < hp->n_layer; i++) {
		bool has_experts = i >= n_dense && step && (i + 1) % step == 0 && (!every || i % every == 1 % every);

		hp->kind[i] |= has_experts ? LAYER_EXPERTS | (hp->n_ff_shared ? LAYER_SHARED : 0) : LAYER_FF;
	}
	return 0;
}

int hparams_read_experts(struct hparams *hp, const struct gguf *g, const struct arch *arch, struct error *e)
{
	int r = hparams_get_count(g, arch->name, "expert_count", &hp->n_expert, 0, WEIGHTS_EXPERT_MAX, e);

	if (r == 0 && !hp->n_expert && arch->experts.are == EXPERTS_ALWAYS)
		return error_set(e, -EINVAL, "the file has no %s.expert_count: not a complete %s model", arch->name,
				 arch->name);
	if (r < 0)
		return r;
	if (!hp->n_expert) {
		for (uint32_t i = 0; i < hp->n_layer; i++)
			hp->kind[i] |= LAYER_FF;
		return 0;
	}
	r = read_counts(hp, g, arch, e);
	if (r == 0)
		r = read_groups(hp, g, arch, e);
	if (r == 0)
		r = read_weighing(hp, g, arch, e);
	return r == 0 ? set_layers(hp, g, arch, e) : r;
}
