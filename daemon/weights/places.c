/*
 * See places.h. A part is a packed matrix, or one of each expert, a stride apart.
 */
#include "daemon/weights/places.h"

#include "kernels/quant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TENSOR_ALIGN 64u /* a cache line: what kernels ask for */

static bool is_vector(const struct gguf_tensor *t)
{
	return t->ne[1] == 1 && t->n_dim < 2;
}

static int refuse_type(const struct gguf_tensor *t, struct error *e)
{
	char names[256] = "";
	size_t n = 0;

	for (uint32_t type = 0; type < QUANT_TYPE_MAX && n < sizeof(names); type++)
		if (quant_info(type))
			n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", n ? " " : "",
					      quant_info(type)->name);
	return error_set(e, -EINVAL,
			 "tensor '%.*s' has ggml type %u, which gyre does not read; quantize the model to one of %s",
			 (int)t->name.n, t->name.p, t->type, names);
}

/* Whether a job can hold what a panel's rows lie among. A vector is read at once. */
static bool is_near(const struct gguf_tensor *t)
{
	uint64_t n = is_vector(t) ? t->ne[0] : PANEL_ROWS, n_file, bytes;

	if (!t->run || (!is_vector(t) && weights_keeps_to_runs(t)))
		return true;
	return !__builtin_mul_overflow(n / t->run + 1, t->gap, &n_file) &&
	       !__builtin_add_overflow(n_file, n, &n_file) &&
	       !__builtin_mul_overflow(n_file, t->bytes / (is_vector(t) ? t->ne[0] : t->ne[1] * t->ne[2]), &bytes) &&
	       bytes <= LOADER_JOB_MAX - LOADER_JOB_BYTES;
}

/* Whether gyre can hold t. */
static int check_tensor(const struct gguf_tensor *t, struct error *e)
{
	const struct quant_info *q = quant_info(t->type);
	int len = (int)t->name.n;
	uint64_t panel;

	if (!q)
		return refuse_type(t, e);
	if (t->ne[3] != 1 || t->ne[2] > WEIGHTS_EXPERT_MAX)
		return error_set(
			e, -EINVAL,
			"tensor '%.*s' of %llu x %llu matrices: gyre reads vectors, matrices, and up to %u matrices "
			"of experts in one tensor; the file is damaged or of a model that gyre does not read",
			len, t->name.p, (unsigned long long)t->ne[3], (unsigned long long)t->ne[2], WEIGHTS_EXPERT_MAX);
	panel = t->ne[0] / q->block_len * q->block_bytes;
	if (t->ne[0] > LOADER_JOB_MAX || panel > LOADER_JOB_MAX / PANEL_ROWS || t->ne[1] > INT32_MAX)
		return error_set(e, -EINVAL,
				 "tensor '%.*s' of %llu x %llu is too large (rows of at most %u KiB); the file is "
				 "damaged or of a model that gyre does not read",
				 len, t->name.p, (unsigned long long)t->ne[1], (unsigned long long)t->ne[0],
				 LOADER_JOB_MAX / PANEL_ROWS >> 10);
	if (!is_near(t))
		return error_set(e, -EINVAL,
				 "tensor '%.*s' is %llu rows of every %llu of another: too far apart to be read; the "
				 "file is damaged or of a model that gyre does not read",
				 len, t->name.p, (unsigned long long)t->run, (unsigned long long)(t->run + t->gap));
	return 0;
}

/* A tensor as it is held: what its architecture takes for a vector may have more axes in the file, even four. */
static struct gguf_tensor flattened(const struct weights *w, const struct gguf_tensor *t)
{
	struct gguf_tensor flat = *t;

	if (!w->plan.axis || w->plan.axis(&w->plan, t->name.p, t->name.n) != PLAN_VECTOR)
		return flat;
	flat.n_dim = 1;
	for (int i = 1; i < GGUF_DIM_MAX; i++) {
		flat.ne[0] *= t->ne[i];
		flat.ne[i] = 1;
	}
	return flat;
}

/* What a tensor is divided along. One whose shape is not the plan's stays whole, for the model to refuse by its name. */
static enum plan_axis tensor_axis(const struct weights *w, const struct gguf_tensor *t)
{
	enum plan_axis axis = w->plan.axis ? w->plan.axis(&w->plan, t->name.p, t->name.n) : PLAN_COPY;
	const struct plan_sum *sum = plan_sum(&w->plan, axis);
	uint32_t block = quant_info(t->type)->block_len;

	if (axis == PLAN_ROW)
		return is_vector(t) ? PLAN_COPY : PLAN_ROW;
	if (is_vector(t) || plan_extent(&w->plan, axis) != (sum ? t->ne[0] : t->ne[1]) || t->ne[2] != 1)
		return PLAN_COPY;
	for (uint32_t i = 0; sum && i < sum->n_chunk; i++)
		if (sum->cut[i] % block)
			return PLAN_COPY;
	return axis;
}

_Static_assert(PLAN_CHUNK_MAX == CHUNK_MAX, "the plan's chunks are the kernels'");

/* The columns of a partial sum, cut into its chunks. */
static struct tensor_part partial_at(const struct plan *p, const struct tensor *t, uint32_t i)
{
	const struct plan_sum *s = plan_sum(p, t->axis);
	struct plan_range r = s->partial[i];
	struct tensor_part part = { .node = plan_partial_node(s, i),
				    .n_row = t->n_row,
				    .col0 = s->cut[r.begin],
				    .n_col = s->cut[r.end] - s->cut[r.begin],
				    .chunks.n = r.end - r.begin };

	for (uint32_t c = 0; c <= part.chunks.n; c++)
		part.chunks.cut[c] = s->cut[r.begin + c] - part.col0;
	return part;
}

/* The rows of a node, or all. */
static struct tensor_part rows_at(const struct plan *p, const struct tensor *t, uint32_t node)
{
	struct plan_range rows = { 0, t->n_row };

	if (t->axis == PLAN_ROW)
		rows = plan_row_share(p, t->n_row, node);
	else if (t->axis != PLAN_COPY)
		rows = plan_rows(p, t->axis, node);
	return (struct tensor_part){ .node = node,
				     .row0 = rows.begin,
				     .n_row = rows.end - rows.begin,
				     .n_col = t->n_col,
				     .chunks = { 1, { 0, t->n_col } } };
}

/* Of one expert: its rows, from a cache line on. */
static size_t part_stride(const struct tensor *t, const struct tensor_part *part)
{
	size_t n = t->is_vector  ? t->n_col * sizeof(float)
		   : part->n_row ? quant_packed_bytes(t->type, part->n_row, part->n_col)
				 : 0;

	return (n + TENSOR_ALIGN - 1) / TENSOR_ALIGN * TENSOR_ALIGN;
}

/* Part i of a tensor, without its memory. */
static struct tensor_part part_at(const struct plan *p, const struct tensor *t, uint32_t i)
{
	struct tensor_part part = plan_sum(p, t->axis) ? partial_at(p, t, i) : rows_at(p, t, i);

	part.n_expert = t->n_expert;
	part.stride = part_stride(t, &part);
	return part;
}

static int describe(struct weights *w, size_t *n_part, struct error *e)
{
	int r;

	*n_part = 0;
	for (size_t i = 0; i < gguf_n_tensor(w->gguf); i++) {
		const struct gguf_tensor flat = flattened(w, gguf_tensor_at(w->gguf, i)), *g = &flat;
		struct tensor *t = &w->tensor[i];

		r = check_tensor(g, e);
		if (r < 0)
			return r;
		*t = (struct tensor){ .type = is_vector(g) ? QUANT_F32 : g->type,
				      .n_row = (uint32_t)g->ne[1],
				      .n_col = (uint32_t)g->ne[0],
				      .n_expert = (uint32_t)g->ne[2],
				      .is_vector = is_vector(g),
				      .axis = tensor_axis(w, g) };
		t->n_part = plan_sum(&w->plan, t->axis) ? plan_sum(&w->plan, t->axis)->n_partial : w->plan.n_node;
		*n_part += t->n_part;
		w->read_bytes += g->bytes;
	}
	return 0;
}

/* Where each part goes: fills w->part with offsets in place of pointers; counts each node's bytes. */
static int place(struct weights *w, uint64_t bytes[NODE_MAX], struct error *e)
{
	struct tensor_part *part = w->part;

	for (size_t i = 0; i < gguf_n_tensor(w->gguf); i++) {
		struct tensor *t = &w->tensor[i];

		t->part = part;
		for (uint32_t k = 0; k < t->n_part; k++, part++) {
			uint64_t *at, n;

			*part = part_at(&w->plan, t, k);
			at = &bytes[part->node];
			part->data = (void *)(uintptr_t)*at;
			if (__builtin_mul_overflow(part->stride, (uint64_t)part->n_expert, &n) ||
			    __builtin_add_overflow(*at, n, at))
				return error_set(e, -EOVERFLOW,
						 "the model is larger than the address space; the file is damaged");
		}
	}
	for (uint32_t i = 0; i < w->plan.n_node; i++)
		w->n_bytes += bytes[i];
	return 0;
}

int weights_lay_out(struct weights *w, uint64_t bytes[NODE_MAX], struct error *e)
{
	size_t n_part;
	int r;

	w->tensor = calloc(gguf_n_tensor(w->gguf) + 1, sizeof(*w->tensor));
	if (!w->tensor)
		return error_set(e, -ENOMEM, "out of memory for the tensor table; free some memory");
	r = describe(w, &n_part, e);
	if (r)
		return r;
	w->part = calloc(n_part + 1, sizeof(*w->part));
	if (!w->part)
		return error_set(e, -ENOMEM, "out of memory for the tensor table; free some memory");
	return place(w, bytes, e);
}
