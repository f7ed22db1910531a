#include "daemon/model/attention.h"

#include "daemon/util/memory.h"
#include "daemon/util/minmax.h"

/* Query heads of one KV head that go into one call. */
static uint32_t heads_per_set(const struct hparams *hp)
{
	uint32_t n_rep = hp->n_head_kv ? hp->n_head / hp->n_head_kv : 1;

	return n_rep < ATTN_TILE ? n_rep : ATTN_TILE;
}

bool attention_sets(struct model *m, struct node *n, const struct plan_node *p)
{
	uint32_t per = heads_per_set(&m->hp), n_rep = m->hp.n_head_kv ? m->hp.n_head / m->hp.n_head_kv : 1;

	n->set = memory_array(p->head.end - p->head.begin + 1, sizeof(*n->set));
	if (!n->set)
		return false;
	for (uint32_t h = p->head.begin, next; h < p->head.end; h = next) {
		next = min_u32((h / n_rep + 1) * n_rep, p->head.end); /* the end of its KV head, here */
		next = min_u32(next, h + per);
		n->set[n->n_set++] = (struct head_set){ h / n_rep - p->head_kv.begin, h - p->head.begin, next - h };
	}
	return true;
}

void attention_plan(struct model *m)
{
	uint32_t rows = ATTN_TILE / heads_per_set(&m->hp), n_chunk_max = 0;
	const struct batch *b = m->batch;

	m->n_group = 0;
	for (uint32_t i = 0; i < b->n_seq && m->hp.n_head; i++) {
		const struct batch_seq *s = &b->seq[i];

		for (uint32_t r = 0; r < s->n_row; r += rows) {
			struct attn_group *g = &m->group[m->n_group++];
			uint32_t n = s->n_row - r < rows ? s->n_row - r : rows;
			uint32_t n_pos = s->n_past + r + n;

			*g = (struct attn_group){ i, s->row0 + r, n, (n_pos + ATTN_CHUNK - 1) / ATTN_CHUNK };
			n_chunk_max = max_u32(n_chunk_max, g->n_chunk);
		}
	}
	m->is_split = false;
	for (int i = 0; i < team_n_node(m->team); i++) {
		uint32_t n_worker = (uint32_t)team_node_at(m->team, i)->n;
		struct node *n = &m->node[i];

		n->n_pair = m->n_group * n->n_set;
		n->is_split = n_worker > 1 && n_chunk_max > 1 && n->n_pair <= SPLIT_ITEMS * n_worker;
		m->is_split |= n->is_split;
	}
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
