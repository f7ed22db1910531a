#include "daemon/model/scratch.h"

#include "daemon/model/arch.h"
#include "daemon/model/attention.h"
#include "daemon/model/experts.h"
#include "daemon/model/linear.h"
#include "daemon/util/memory.h"
#include "daemon/util/minmax.h"

#include <stdlib.h>

static bool partial_new(const struct model *m, struct partial *p)
{
	size_t n = (size_t)m->n_chunk_max * ATTN_TILE;

	p->o = memory_array(n * max_u32(m->hp.head_dim, m->hp.window_heads.head_dim), sizeof(*p->o));
	p->m = memory_array(n, sizeof(*p->m));
	p->l = memory_array(n, sizeof(*p->l));
	return p->o && p->m && p->l;
}

static void partial_free(struct partial *p)
{
	free(p->o);
	free(p->m);
	free(p->l);
}

/* Kinds that some product of these kernels wants. */
static uint32_t kinds_wanted(const struct kernels *k)
{
	uint32_t kinds = 0;

	for (uint32_t type = 0; type < QUANT_TYPE_MAX; type++)
		if (quant_info(type))
			kinds |= 1u << k->act[type];
	return kinds;
}

/* Rows of each, of whole tiles. Block-quantized kinds never meet a width they do not divide. */
static bool tiles_new(uint8_t *tile[ACT_KIND_MAX], const struct model *m, uint32_t n_tile)
{
	uint32_t n_col = max_u32(max_u32(m->hp.n_embd, m->ff_stride), m->att_stride);

	n_col = max_u32(n_col, m->hp.ssm.inner_size);
	n_col = (n_col + 255) / 256 * 256;
	for (int kind = 0; kind < ACT_KIND_MAX; kind++) {
		if (!(kinds_wanted(m->k) & (1u << kind)))
			continue;
		tile[kind] = memory_array((size_t)n_tile * ACT_TILE, linear_row_bytes((enum act_kind)kind, n_col));
		if (!tile[kind])
			return false;
	}
	return true;
}

static bool worker_scratch_new(const struct model *m, struct scratch *s)
{
	s->norm = memory_array((size_t)ACT_TILE * m->x_stride, sizeof(float));
	s->wide = memory_array(m->n_row_max, sizeof(float));
	s->embd = memory_array(m->per_layer.stride, sizeof(float));
	s->residual.branch = memory_array((size_t)2 * m->x_stride, sizeof(float));
	s->attn = memory_array(ATTN_SCRATCH, sizeof(float));
	s->merge = memory_array((size_t)2 * m->n_chunk_max, sizeof(float));
	if (reduce_is_own(m->plan->n_node, 1))
		s->residual.own = memory_array((size_t)ACT_TILE * m->x_stride, sizeof(float));
	return (s->residual.own || !reduce_is_own(m->plan->n_node, 1)) && s->residual.branch && s->norm && s->wide &&
	       s->embd && s->attn && s->merge && partial_new(m, &s->partial) && tiles_new(s->tile_mem, m, 1);
}

bool scratch_new(struct model *m)
{
	size_t n_row = m->n_row_max;

	m->x = memory_array(n_row * m->x_stride, sizeof(float));
	m->qkv = memory_array(n_row * m->qkv_stride, sizeof(float));
	m->att = memory_array(n_row * m->att_stride, sizeof(float));
	m->gate = memory_array(n_row * m->ff_stride, sizeof(float));
	m->up = memory_array(n_row * m->ff_stride, sizeof(float));
	if (m->arch->has_aside)
		m->aside = memory_array(n_row * m->x_stride, sizeof(float));
	m->mix.row = memory_array(n_row * m->mix.stride, sizeof(float));
	m->per_layer.row = memory_array(n_row * m->per_layer.stride, sizeof(float));
	m->square = memory_array(n_row * (m->hp.n_head + max_u32(m->hp.n_head_kv, m->hp.window_heads.n_head_kv)),
				 sizeof(float));
	m->partial = memory_array((size_t)SPLIT_ITEMS * m->n_thread, sizeof(*m->partial));
	m->scratch = memory_array(m->n_thread, sizeof(*m->scratch));
	m->share = memory_array(m->n_thread, sizeof(*m->share));
	if ((m->arch->has_aside && !m->aside) || !m->x || !m->qkv || !m->att || !m->gate || !m->up || !m->mix.row ||
	    !m->square || !m->per_layer.row || !m->partial || !m->scratch || !m->share)
		return false;
	for (uint32_t i = 0; i < m->n_sum; i++) {
		m->reduce.sum[i] = memory_array(n_row * m->x_stride, sizeof(float));
		if (!m->reduce.sum[i])
			return false;
	}
	if (!attention_new(m))
		return false;
	for (uint32_t i = 0; i < m->plan->n_node; i++)
		if (!tiles_new(m->node[i].tile_mem, m, (m->n_row_max + ACT_TILE - 1) / ACT_TILE))
			return false;
	for (uint32_t i = 0; i < SPLIT_ITEMS * m->n_thread; i++)
		if (!partial_new(m, &m->partial[i]))
			return false;
	for (uint32_t i = 0; i < m->n_thread; i++)
		if (!worker_scratch_new(m, &m->scratch[i]))
			return false;
	return experts_new(m);
}

void scratch_free(struct model *m)
{
	experts_free(m);
	for (uint32_t i = 0; m->partial && i < SPLIT_ITEMS * m->n_thread; i++)
		partial_free(&m->partial[i]);
	for (uint32_t i = 0; m->scratch && i < m->n_thread; i++) {
		struct scratch *s = &m->scratch[i];

		partial_free(&s->partial);
		free(s->residual.own);
		free(s->residual.branch);
		free(s->norm);
		free(s->wide);
		free(s->embd);
		free(s->attn);
		free(s->merge);
		for (int kind = 0; kind < ACT_KIND_MAX; kind++)
			free(s->tile_mem[kind]);
	}
	for (uint32_t i = 0; i < NODE_MAX; i++) {
		for (int kind = 0; kind < ACT_KIND_MAX; kind++)
			free(m->node[i].tile_mem[kind]);
	}
	for (uint32_t i = 0; i < PLAN_CHUNK_MAX; i++)
		free(m->reduce.sum[i]);
	free(m->x);
	free(m->qkv);
	free(m->att);
	free(m->gate);
	free(m->up);
	free(m->aside);
	free(m->mix.row);
	free(m->square);
	free(m->per_layer.row);
	attention_free(m);
	free(m->partial);
	free(m->scratch);
	free(m->share);
}
