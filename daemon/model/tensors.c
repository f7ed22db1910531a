#include "daemon/model/tensors.h"

#include "daemon/model/arch.h"
#include "daemon/model/hparams.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 64

int tensors_init(struct tensors *t, struct model *m, const struct weights *w, struct error *e)
{
	*t = (struct tensors){ .m = m, .w = w, .is_used = calloc(gguf_n_tensor(w->gguf) + 1, sizeof(bool)) };
	return t->is_used ? 0 : error_set(e, -ENOMEM, "no memory for a list of tensors; free some memory");
}

void tensors_deinit(struct tensors *t)
{
	free(t->is_used);
}

const struct tensor *tensors_find(struct tensors *t, const char *name)
{
	const struct tensor *found = weights_find(t->w, name);

	if (found)
		t->is_used[found - t->w->tensor] = true;
	return found;
}

static const struct tensor *find(struct tensors *t, const char *name, struct error *e)
{
	const struct tensor *found = tensors_find(t, name);

	if (!found)
		error_set(e, -EINVAL, "the file has no tensor %s", name);
	return found;
}

/* Whether it has the shape, n_row 0: of a vector. */
static bool has_shape(const struct tensor *t, const char *name, uint32_t n_row, uint32_t n_col, struct error *e)
{
	const char *kind = t->is_vector ? "a vector, " : t->n_expert > 1 ? "experts, each " : "";
	bool is_vector = n_row == 0;

	if (t->is_vector == is_vector && t->n_expert == 1 && (is_vector || t->n_row == n_row) && t->n_col == n_col)
		return true;
	if (is_vector)
		error_set(e, -EINVAL, "tensor %s is %s[%u][%u]; the metadata ask for a vector of %u", name, kind,
			  t->n_row, t->n_col, n_col);
	else
		error_set(e, -EINVAL, "tensor %s is %s[%u][%u]; the metadata ask for [%u][%u]", name, kind, t->n_row,
			  t->n_col, n_row, n_col);
	return false;
}

static bool can_multiply(const struct tensors *t, const struct tensor *found, const char *name, struct error *e)
{
	if (found->type < QUANT_TYPE_MAX && quant_info(found->type) && t->m->k->matmul[found->type])
		return true;
	error_set(e, -ENOTSUP, "tensor %s has type %u, which gyre cannot multiply", name, found->type);
	return false;
}

const struct tensor *tensors_matrix(struct tensors *t, const char *name, enum plan_axis axis, struct error *e)
{
	const struct plan *plan = t->m->plan;
	const struct tensor *found = find(t, name, e);
	bool is_by_columns = plan_sum(plan, axis);
	uint32_t n_embd = t->m->hp.n_embd, n = plan_extent(plan, axis);

	if (!found || !has_shape(found, name, is_by_columns ? n_embd : n, is_by_columns ? n : n_embd, e))
		return NULL;
	if (!can_multiply(t, found, name, e))
		return NULL;
	/* Only columns that are not whole blocks of a chunk keep a matrix of the right shape whole. */
	if (found->axis != axis) {
		error_set(
			e, -ENOTSUP,
			"tensor %s has type %s, whose blocks do not divide as the model's other layers do; quantize it "
			"again with one type for all layers",
			name, quant_info(found->type)->name);
		return NULL;
	}
	return found;
}

const struct tensor *tensors_rows(struct tensors *t, const char *name, uint32_t n_row, uint32_t n_col, struct error *e)
{
	const struct tensor *found = find(t, name, e);

	return found && has_shape(found, name, n_row, n_col, e) && can_multiply(t, found, name, e) ? found : NULL;
}

const struct tensor *tensors_vector(struct tensors *t, const char *name, uint32_t n_col, struct error *e)
{
	const struct tensor *found = find(t, name, e);

	return found && has_shape(found, name, 0, n_col, e) ? found : NULL;
}

int tensors_open_ends(struct tensors *t, struct error *e)
{
	struct model *m = t->m;
	const struct tensor *embd = find(t, "token_embd.weight", e);
	bool is_tied = !tensors_find(t, "output.weight");

	if (!embd)
		return -EINVAL;
	m->hp.n_vocab = embd->n_row;
	m->token_embd = tensors_matrix(t, "token_embd.weight", PLAN_VOCAB, e);
	if (!m->token_embd)
		return -EINVAL;
	m->output_norm.w =
		tensors_vector(t, m->arch->output_norm ? m->arch->output_norm : "output_norm.weight", m->hp.n_embd, e);
	if (!m->output_norm.w)
		return -EINVAL;
	if (m->arch->norm == NORM_LAYER_BIAS) {
		m->output_norm.bias = tensors_vector(t, "output_norm.bias", m->hp.n_embd, e);
		if (!m->output_norm.bias)
			return -EINVAL;
	}
	if (m->arch->has_embd_norm) {
		m->embd_norm.w = tensors_vector(t, "token_embd_norm.weight", m->hp.n_embd, e);
		if (m->embd_norm.w)
			m->embd_norm.bias = tensors_vector(t, "token_embd_norm.bias", m->hp.n_embd, e);
		if (!m->embd_norm.bias)
			return -EINVAL;
	}
	m->output = is_tied ? m->token_embd : tensors_matrix(t, "output.weight", PLAN_VOCAB, e);
	return m->output ? 0 : -EINVAL;
}

uint32_t tensors_width(const struct hparams *hp, enum vector_width width)
{
	switch (width) {
	case VECTOR_EMBD:
		return hp->n_embd;
	case VECTOR_ONE:
		return 1;
	case VECTOR_PER_LAYER:
		return hp->n_per_layer;
	case VECTOR_HEAD_DIM:
		return hp->head_dim;
	case VECTOR_N_HEAD:
		return hp->n_head;
	case VECTOR_HEADS:
		return hp->n_head * hp->head_dim;
	case VECTOR_FF:
		return hp->n_ff;
	case VECTOR_FF_EXPERT:
		return hp->n_ff_expert;
	case VECTOR_EMBD_THRICE:
		return 3 * hp->n_embd;
	case VECTOR_SSM_TAPS:
		return hp->ssm.conv_kernel;
	case VECTOR_SSM_CHANNELS:
		return 2 * hp->ssm.group_count * hp->ssm.state_size + hp->ssm.inner_size;
	case VECTOR_SSM_INNER:
		return hp->ssm.inner_size;
	case VECTOR_SSM_RANK:
		return hp->ssm.time_step_rank;
	case VECTOR_SSM_RANKS:
		return 2 * hp->ssm.time_step_rank;
	case VECTOR_SSM_HEAD:
		return hp->ssm.inner_size / hp->ssm.time_step_rank;
	case VECTOR_FF_SHARED:
		return hp->n_ff_shared;
	case VECTOR_EXPERTS:
		return hp->n_expert;
	case VECTOR_EXPERTS_FF:
		return hp->n_expert * hp->n_ff_expert;
	case VECTOR_EXPERTS_EMBD:
		return hp->n_expert * hp->n_embd;
	case VECTOR_SSM_KEYS:
		return hp->ssm.state_size;
	case VECTOR_MAMBA_IN:
		return 2 * hp->ssm.inner_size;
	case VECTOR_MAMBA_X:
		return hp->ssm.time_step_rank + 2 * hp->ssm.state_size;
	case VECTOR_MAMBA2_IN:
		return 2 * (hp->ssm.inner_size + hp->ssm.group_count * hp->ssm.state_size) + hp->ssm.time_step_rank;
	case VECTOR_EMBD5:
		return 5 * hp->n_embd;
	case VECTOR_EMBD6:
		return 6 * hp->n_embd;
	case VECTOR_WKV_RANK0:
	case VECTOR_WKV_RANK1:
	case VECTOR_WKV_RANK2:
	case VECTOR_WKV_RANK3:
		return hp->wkv.rank[width - VECTOR_WKV_RANK0];
	case VECTOR_WKV_RANKS:
		return 5 * hp->wkv.rank[1];
	default:
		return hp->n_head_kv * hp->head_dim;
	}
}

/* tensors_check_experts has seen their shape. */
static const struct tensor *open_experts(struct tensors *t, const char *name, struct error *e)
{
	const struct tensor *found = find(t, name, e);

	return found && can_multiply(t, found, name, e) ? found : NULL;
}

static const struct tensor *open_matrices(struct tensors *t, const struct layer_tensor *row, const char *name,
					  struct error *e)
{
	const struct hparams *hp = &t->m->hp;
	uint32_t n_row = tensors_width(hp, row->n_row), n_col = tensors_width(hp, row->width);
	const struct tensor *found = find(t, name, e);

	if (!found || !can_multiply(t, found, name, e))
		return NULL;
	if (found->n_expert == row->n_matrix && found->n_row == n_row && found->n_col == n_col)
		return found;
	error_set(e, -EINVAL, "tensor %s is [%u][%u][%u]; the metadata ask for [%u][%u][%u]", name, found->n_expert,
		  found->n_row, found->n_col, row->n_matrix, n_row, n_col);
	return NULL;
}

static const struct tensor *open_row(struct tensors *t, const struct layer_tensor *row, uint32_t layer,
				     const char *name, struct error *e)
{
	const struct hparams own = hparams_of_layer(&t->m->hp, layer), *hp = &own;

	if (row->is_of_experts)
		return open_experts(t, name, e);
	if (row->n_matrix)
		return open_matrices(t, row, name, e);
	if (row->n_row)
		return tensors_rows(t, name, tensors_width(hp, row->n_row), tensors_width(hp, row->width), e);
	return row->width ? tensors_vector(t, name, tensors_width(hp, row->width), e)
			  : tensors_matrix(t, name, plan_axis_of(t->m->plan, layer, row->axis), e);
}

static int open_layer(struct tensors *t, uint32_t layer, struct error *e)
{
	const struct arch *arch = t->m->arch;
	uint8_t *to = (uint8_t *)t->m->layer + layer * arch->pass->layer_bytes;

	for (size_t i = 0; i < arch->n_tensor; i++) {
		const struct layer_tensor *row = &arch->tensor[i];
		const struct tensor *found;
		char name[NAME_BYTES];

		snprintf(name, sizeof(name), "blk.%u.%s", layer, row->name);
		if ((row->in && !(row->in & t->m->hp.kind[layer])) || (row->is_optional && !weights_find(t->w, name)))
			continue;
		if (row->is_behind && !layer) {
			tensors_find(t, name);
			continue;
		}
		found = open_row(t, row, layer, name, e);
		if (!found)
			return -EINVAL;
		memcpy(to + row->at, &found, sizeof(found));
	}
	return 0;
}

int tensors_open_layers(struct tensors *t, struct error *e)
{
	int r = 0;

	for (uint32_t i = 0; i < t->m->hp.n_layer && r == 0; i++)
		r = open_layer(t, i, e);
	return r;
}

int tensors_check_unused(const struct tensors *t, struct error *e)
{
	for (size_t i = 0; i < gguf_n_tensor(t->w->gguf); i++) {
		struct gguf_str name = gguf_tensor_at(t->w->gguf, i)->name;

		if (!t->is_used[i])
			return error_set(e, -ENOTSUP,
					 "tensor %.*s is none that a %s of %u layers has: a variant that gyre does not "
					 "run; use another model",
					 (int)name.n, name.p, t->m->arch->name, t->m->hp.n_layer);
	}
	return 0;
}

static const struct layer_tensor *row_find(const struct layer_tensor *row, size_t n_row, struct gguf_str name)
{
	for (size_t i = 0; i < n_row; i++)
		if (gguf_str_eq(name, row[i].name))
			return &row[i];
	return NULL;
}

/* The row of a layer's tensor, by its whole name: "blk.7.attn_q.weight"; *layer becomes what the name says. */
static const struct layer_tensor *row_of(const struct arch *arch, struct gguf_str name, unsigned *layer)
{
	const char *end = name.p + name.n, *dot;

	*layer = 0;
	if (name.n <= 4 || memcmp(name.p, "blk.", 4))
		return NULL;
	for (dot = name.p + 4; dot < end && *dot >= '0' && *dot <= '9' && *layer < LAYER_MAX; dot++)
		*layer = *layer * 10 + (unsigned)(*dot - '0');
	if (dot == end || *dot != '.')
		return NULL;
	return row_find(arch->tensor, arch->n_tensor, (struct gguf_str){ dot + 1, (uint64_t)(end - dot - 1) });
}

/* Matrices that are not of a layer. */
static const struct {
	const char *name;
	enum plan_axis axis;
} ends[] = {
	{ "token_embd.weight", PLAN_VOCAB },
	{ "output.weight", PLAN_VOCAB },
	{ "per_layer_token_embd.weight", PLAN_VOCAB },
	{ "per_layer_model_proj.weight", PLAN_ROW },
};

enum plan_axis tensors_axis(const struct plan *p, const char *name, size_t n)
{
	const struct gguf_str whole = { name, n };
	unsigned layer;
	const struct layer_tensor *row = row_of(p->axis_of, whole, &layer);

	if (row)
		return plan_axis_of(p, layer, row->axis);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (gguf_str_eq(whole, ends[i].name))
			return ends[i].axis;
	return PLAN_COPY;
}

/* "blk.0.ffn_up.3.weight": files of 2023 have a tensor for each expert. */
static bool is_of_one_expert(struct gguf_str name)
{
	char text[GGUF_NAME_MAX + 1];
	unsigned layer, expert;

	snprintf(text, sizeof(text), "%.*s", (int)name.n, name.p);
	return sscanf(text, "blk.%u.ffn_%*[a-z].%u.", &layer, &expert) == 2;
}

static int check_experts(const struct layer_tensor *row, const struct hparams *hp, const struct gguf_tensor *t,
			 struct error *e)
{
	uint32_t n_row = tensors_width(hp, row->n_row), n_col = tensors_width(hp, row->width);

	if (t->ne[0] == n_col && t->ne[1] == n_row && t->ne[2] == hp->n_expert && t->ne[3] == 1)
		return 0;
	return error_set(
		e, -EINVAL,
		"tensor %.*s has %llu experts of [%llu][%llu]; the metadata ask for %u of [%u][%u]: the file is "
		"damaged or not complete",
		(int)t->name.n, t->name.p, (unsigned long long)t->ne[2], (unsigned long long)t->ne[1],
		(unsigned long long)t->ne[0], hp->n_expert, n_row, n_col);
}

int tensors_check_experts(const struct arch *arch, const struct hparams *hp, const struct gguf *g, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < gguf_n_tensor(g) && r == 0; i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		unsigned layer;
		const struct layer_tensor *row = row_of(arch, t->name, &layer);

		if (is_of_one_expert(t->name))
			return error_set(e, -ENOTSUP,
					 "tensor %.*s: a mixture of experts with a tensor for each expert, as files of "
					 "2023 have it; convert the model again, or use a newer file of it",
					 (int)t->name.n, t->name.p);
		if (row && row->is_of_experts)
			r = check_experts(row, hp, t, e);
	}
	return r;
}
