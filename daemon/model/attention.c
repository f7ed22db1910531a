#include "daemon/model/attention.h"

#include "daemon/model/hparams.h"
#include "daemon/util/memory.h"
#include "daemon/util/minmax.h"

#include <stdlib.h>

/* Query heads that share a KV head. */
static uint32_t n_rep(const struct head_shape *h)
{
	return h->n_head_kv ? h->n_head / h->n_head_kv : 1;
}

/* And that go into one call. */
static uint32_t heads_per_set(const struct head_shape *h)
{
	return min_u32(n_rep(h), ATTN_TILE);
}

static bool sets_new(struct node_heads *n, const struct head_shape *h)
{
	uint32_t per = heads_per_set(h), rep = n_rep(h), end = n->head0 + n->n_head, kv0 = n->head0 / rep;

	n->set = memory_array(n->n_head + 1, sizeof(*n->set));
	if (!n->set)
		return false;
	for (uint32_t i = n->head0, next; i < end; i = next) {
		next = min_u32((i / rep + 1) * rep, end); /* the end of its KV head, here */
		next = min_u32(next, i + per);
		n->set[n->n_set++] = (struct head_set){ i / rep - kv0, i - n->head0, next - i };
	}
	return true;
}

bool attention_new(struct model *m)
{
	for (int shape = 0; shape < HEAD_SHAPES; shape++) {
		struct head_shape h = hparams_heads(&m->hp, shape);

		if (!h.head_dim)
			continue;
		m->rows[shape].group = memory_array(m->n_row_max, sizeof(*m->rows[shape].group));
		if (!m->rows[shape].group)
			return false;
		for (uint32_t i = 0; i < m->plan->n_node; i++)
			if (!sets_new(&m->node[i].heads[shape], &h))
				return false;
	}
	return true;
}

void attention_free(struct model *m)
{
	for (int shape = 0; shape < HEAD_SHAPES; shape++) {
		free(m->rows[shape].group);
		for (uint32_t i = 0; i < NODE_MAX; i++)
			free(m->node[i].heads[shape].set);
	}
}

/* Returns how many chunks the longest has. */
static uint32_t group_rows(struct attn_rows *to, const struct batch *b, uint32_t rows)
{
	uint32_t n_chunk_max = 0;

	to->n_group = 0;
	for (uint32_t i = 0; i < b->n_seq; i++) {
		const struct batch_seq *s = &b->seq[i];

		for (uint32_t r = 0; r < s->n_row; r += rows) {
			struct attn_group *g = &to->group[to->n_group++];
			uint32_t n = min_u32(s->n_row - r, rows);
			uint32_t n_pos = s->n_past + r + n;

			*g = (struct attn_group){ i, s->row0 + r, n, (n_pos + ATTN_CHUNK - 1) / ATTN_CHUNK };
			n_chunk_max = max_u32(n_chunk_max, g->n_chunk);
		}
	}
	return n_chunk_max;
}

static void plan_shape(struct model *m, enum head_shapes shape)
{
	struct head_shape h = hparams_heads(&m->hp, shape);
	struct attn_rows *rows = &m->rows[shape];
	uint32_t n_chunk_max = group_rows(rows, m->batch, ATTN_TILE / heads_per_set(&h));

	rows->is_split = false;
	for (int i = 0; i < team_n_node(m->team); i++) {
		uint32_t n_worker = (uint32_t)team_node_at(m->team, i)->n;
		struct node_heads *n = &m->node[i].heads[shape];

		n->n_pair = rows->n_group * n->n_set;
		n->is_split = n_worker > 1 && n_chunk_max > 1 && n->n_pair <= SPLIT_ITEMS * n_worker;
		rows->is_split |= n->is_split;
	}
}

void attention_plan(struct model *m)
{
	for (int shape = 0; shape < HEAD_SHAPES; shape++)
		if (m->rows[shape].group)
			plan_shape(m, shape);
}

uint8_t *attention_base(const struct model *m, const struct node *n, const struct kv_part *p)
{
	struct kv_mem mem = memory_of(n);

	return kv_piece(&mem, p, m->n_kv_block, 0);
}

void attention_store(const struct model *m, const struct node *n, uint32_t layer, uint32_t head_kv, const float *k,
		     const float *v)
{
	const struct batch *b = m->batch;
	const struct kv_part *kp = memory_part(n, layer, head_kv, false), *vp = memory_part(n, layer, head_kv, true);
	uint8_t *k0 = attention_base(m, n, kp), *v0 = attention_base(m, n, vp);

	for (uint32_t r = 0; r < b->n_row; r++) {
		const struct batch_seq *s = &b->seq[b->row_seq[r]];
		uint32_t pos = (uint32_t)b->pos[r];
		size_t block = s->block[pos / KV_BLOCK];

		m->k->kvq_store[m->kv_type](k0 + block * kp->bytes, v0 + block * vp->bytes,
					    k + (size_t)r * m->qkv_stride, v + (size_t)r * m->qkv_stride,
					    (int)(pos % KV_BLOCK), (int)kp->dim, (int)vp->dim);
	}
}
