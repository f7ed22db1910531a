#include "daemon/model/fault.h"

#include "daemon/model/attention.h"

#include <math.h>

static bool is_finite_f16(uint16_t h)
{
	return (h & 0x7c00) != 0x7c00;
}

/* K or V of a head at a slot; of a q8_0 KV the scales are looked at (kernels.h says how both lie). */
static bool is_part_finite(const struct model *m, const uint16_t *p, uint32_t slot, bool is_v)
{
	uint32_t dim = m->hp.head_dim;

	if (m->kv_type == KV_Q8_0) {
		for (uint32_t b = 0; b * 32 < dim; b++)
			if (!is_finite_f16(p[b * (kv_part_bytes(KV_Q8_0, 32) / 2) + slot]))
				return false;
		return true;
	}
	for (uint32_t d = 0; d < dim; d++)
		if (!is_finite_f16(is_v ? p[slot * dim + d] : p[(slot / 16 * dim + d) * 16 + slot % 16]))
			return false;
	return true;
}

static bool is_layer_finite(const struct model *m, uint32_t layer, uint32_t block, uint32_t slot)
{
	for (uint32_t i = 0; i < m->plan->n_node; i++) {
		struct kv_mem kv = attention_kv(m, &m->node[i]);
		uint32_t n_part = 2 * m->node[i].n_head_kv;

		for (uint32_t k = 0; k < n_part; k++) {
			size_t part = (size_t)layer * n_part + k;

			if (!is_part_finite(m, (const void *)(kv.base + (part * m->n_kv_block + block) * kv.part_bytes),
					    slot, k % 2))
				return false;
		}
	}
	return true;
}

static uint32_t first_layer(const struct model *m, const struct batch *b, uint32_t row)
{
	uint32_t pos = (uint32_t)b->pos[row], block = b->seq[b->row_seq[row]].block[pos / KV_BLOCK], layer = 0;

	while (layer < m->hp.n_layer && is_layer_finite(m, layer, block, pos % KV_BLOCK))
		layer++;
	return layer;
}

void fault_find(const struct model *m, struct batch *b)
{
	b->fault_layer = -1;
	for (uint32_t i = 0; i < b->n_logit; i++)
		if (!isfinite(b->range[(size_t)i * b->n_range].max)) {
			b->fault_layer = (int32_t)first_layer(m, b, b->logit_row[i]);
			return;
		}
}
