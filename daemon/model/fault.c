#include "daemon/model/fault.h"

#include <math.h>

static bool is_finite_f32(uint32_t bits)
{
	return (bits & 0x7f800000) != 0x7f800000;
}

static bool is_finite_f16(uint16_t h)
{
	return (h & 0x7c00) != 0x7c00;
}

/* A part's piece at a slot; of a q8_0 KV the scales are looked at (kernels.h says how both lie). */
static bool is_piece_finite(enum kvq_type type, const struct kv_part *part, const void *p, uint32_t slot)
{
	uint32_t dim = part->dim;

	if (type == KVQ_Q8_0) {
		for (uint32_t b = 0; b * 32 < dim; b++)
			if (!is_finite_f16(((const uint16_t *)p)[b * (kvq_bytes(KVQ_Q8_0, 32) / 2) + slot]))
				return false;
		return true;
	}
	for (uint32_t d = 0; d < dim; d++) {
		size_t at = part->kind == KV_VALUES ? slot * dim + d : (slot / 16 * dim + d) * 16 + slot % 16;

		if (!(type == KVQ_F32 ? is_finite_f32(((const uint32_t *)p)[at])
				      : is_finite_f16(((const uint16_t *)p)[at])))
			return false;
	}
	return true;
}

static bool is_layer_finite(const struct model *m, uint32_t layer, uint32_t block, uint32_t slot)
{
	for (uint32_t i = 0; i < m->plan->n_node; i++) {
		struct kv_mem mem = memory_of(&m->node[i]);

		for (const struct kv_part *p = mem.part; p < mem.part + mem.n_part; p++)
			if (p->layer == layer && kv_is_paged(p) &&
			    !is_piece_finite(m->kv_type, p, (const void *)kv_piece(&mem, p, m->n_kv_block, block),
					     slot))
				return false;
	}
	return true;
}

/* Without anything that is kept by position, none: a state holds what may be anything (mix.c). */
static uint32_t first_layer(const struct model *m, const struct batch *b, uint32_t row)
{
	uint32_t pos = (uint32_t)b->pos[row], block, layer = 0;

	if (!model_kv_bytes(m))
		return m->hp.n_layer;
	block = b->seq[b->row_seq[row]].block[pos / KV_BLOCK];
	while (layer < m->hp.n_layer && is_layer_finite(m, layer, block, pos % KV_BLOCK))
		layer++;
	return layer;
}

static bool is_vector_finite(const struct model *m, const float *x)
{
	bool is = true;

	for (uint32_t i = 0; i < m->hp.n_embd; i++)
		is &= isfinite(x[i]) != 0;
	return is;
}

void fault_find(const struct model *m, struct batch *b)
{
	b->fault_layer = -1;
	for (uint32_t i = 0; i < b->n_logit; i++)
		if (!isfinite(b->range[(size_t)i * b->n_range].max)) {
			b->fault_layer = (int32_t)first_layer(m, b, b->logit_row[i]);
			return;
		}
	for (uint32_t i = 0; i < b->n_hidden; i++)
		if (!is_vector_finite(m, b->hidden + (size_t)i * b->hidden_stride)) {
			b->fault_layer = (int32_t)first_layer(m, b, b->hidden_row[i]);
			return;
		}
}
