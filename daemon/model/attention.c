/*
 * Attention over the KV pool. The work is cut into pairs: a group of rows of one sequence, and query heads that share a KV
 * head, at most ATTN_TILE queries together, so that K and V are read once for all of them. A pair walks its chunks of
 * ATTN_CHUNK positions; with few pairs the chunks are spread over the workers too. Either way a chunk's partial result is
 * the same and they are merged in order of position, so the cut never shows in the bits.
 */
#include "daemon/model/arch.h"
#include "daemon/util/profile.h"

#include <math.h>

/* Query heads of one KV head that go into one call. */
static uint32_t heads_per_pair(const struct hparams *hp)
{
	uint32_t n_rep = hp->n_head / hp->n_head_kv;

	return n_rep < ATTN_TILE ? n_rep : ATTN_TILE;
}

static uint32_t parts_per_head(const struct hparams *hp)
{
	uint32_t per = heads_per_pair(hp);

	return (hp->n_head / hp->n_head_kv + per - 1) / per;
}

void attention_plan(struct model *m, int n_worker)
{
	uint32_t rows = ATTN_TILE / heads_per_pair(&m->hp), n_chunk_max = 0;
	const struct batch *b = m->batch;

	m->n_group = 0;
	for (uint32_t i = 0; i < b->n_seq; i++) {
		const struct batch_seq *s = &b->seq[i];

		for (uint32_t r = 0; r < s->n_row; r += rows) {
			struct attn_group *g = &m->group[m->n_group++];
			uint32_t n = s->n_row - r < rows ? s->n_row - r : rows;
			uint32_t n_pos = s->n_past + r + n;

			*g = (struct attn_group){ i, s->row0 + r, n, (n_pos + ATTN_CHUNK - 1) / ATTN_CHUNK };
			n_chunk_max = g->n_chunk > n_chunk_max ? g->n_chunk : n_chunk_max;
		}
	}
	m->n_pair = m->n_group * m->hp.n_head_kv * parts_per_head(&m->hp);
	m->is_split = n_worker > 1 && n_chunk_max > 1 && m->n_pair <= SPLIT_ITEMS * (uint32_t)n_worker;
}

size_t attention_head_bytes(const struct model *m)
{
	int dim = (int)m->hp.head_dim;

	return kv_k_bytes(m->kv_type, dim) + kv_v_bytes(m->kv_type, dim);
}

/* Where a KV head's K and V of each block lie. */
static struct attn_kv kv_at(const struct model *m, uint32_t layer, uint32_t head_kv, const uint32_t *blocks)
{
	int dim = (int)m->hp.head_dim;
	const uint8_t *k = m->kv + attention_head_bytes(m) * ((size_t)layer * m->hp.n_head_kv + head_kv);

	return (struct attn_kv){ k, k + kv_k_bytes(m->kv_type, dim), model_kv_block_bytes(m), blocks, dim };
}

void attention_store(struct model *m, uint32_t layer, uint32_t head_kv, const float *k, const float *v)
{
	const struct batch *b = m->batch;
	const struct hparams *hp = &m->hp;
	size_t block_bytes = model_kv_block_bytes(m), v_at = kv_k_bytes(m->kv_type, (int)hp->head_dim);
	uint8_t *base = m->kv + attention_head_bytes(m) * ((size_t)layer * hp->n_head_kv + head_kv);

	for (uint32_t r = 0; r < b->n_row; r++) {
		const struct batch_seq *s = &b->seq[b->row_seq[r]];
		uint32_t pos = (uint32_t)b->pos[r];
		uint8_t *kb = base + s->block[pos / KV_BLOCK] * block_bytes;

		m->k->kv_store[m->kv_type](kb, kb + v_at, k + (size_t)r * m->qkv_stride, v + (size_t)r * m->qkv_stride,
					   (int)(pos % KV_BLOCK), (int)hp->head_dim);
	}
}

struct pair {
	const struct attn_group *group;
	uint32_t head_kv, head0, n_head; /* query heads */
};

static struct pair pair_at(const struct model *m, uint32_t i)
{
	const struct hparams *hp = &m->hp;
	uint32_t n_part = parts_per_head(hp), per = heads_per_pair(hp), n_rep = hp->n_head / hp->n_head_kv;
	uint32_t part = i % n_part, head_kv = i / n_part % hp->n_head_kv;
	uint32_t first = part * per, n = n_rep - first < per ? n_rep - first : per;

	return (struct pair){ &m->group[i / n_part / hp->n_head_kv], head_kv, head_kv * n_rep + first, n };
}

/* One chunk of a pair into its place in p. */
static void pair_chunk(const struct model *m, struct scratch *s, const struct pair *pr, uint32_t layer, uint32_t c,
		       const struct partial *p)
{
	const struct batch *b = m->batch;
	size_t dim = m->hp.head_dim;
	struct attn_kv kv = kv_at(m, layer, pr->head_kv, b->seq[pr->group->seq].block);
	int32_t pos[ATTN_TILE], p0 = (int32_t)(c * ATTN_CHUNK), end = 0;
	const float *q[ATTN_TILE];
	int n_q = 0;

	for (uint32_t r = 0; r < pr->group->n_row; r++) {
		uint32_t row = pr->group->row0 + r;

		for (uint32_t h = 0; h < pr->n_head; h++, n_q++) {
			q[n_q] = m->qkv + (size_t)row * m->qkv_stride + (pr->head0 + h) * dim;
			pos[n_q] = b->pos[row];
		}
		end = b->pos[row] + 1;
	}
	end = end < p0 + ATTN_CHUNK ? end : p0 + ATTN_CHUNK;
	m->k->attn_chunk[m->kv_type](p->o + (size_t)c * ATTN_TILE * dim, p->m + (size_t)c * ATTN_TILE,
				     p->l + (size_t)c * ATTN_TILE, q, 1.0f / sqrtf((float)dim), pos, n_q, &kv, p0, end,
				     s->attn);
}

static void pair_merge(struct model *m, struct scratch *s, const struct pair *pr, const struct partial *p)
{
	size_t dim = m->hp.head_dim;
	uint32_t n_chunk = pr->group->n_chunk;
	float *max = s->merge, *sum = s->merge + m->n_chunk_max;

	for (uint32_t r = 0; r < pr->group->n_row; r++)
		for (uint32_t h = 0; h < pr->n_head; h++) {
			uint32_t q = r * pr->n_head + h;
			float *y = m->att + ((size_t)(pr->group->row0 + r) * m->hp.n_head + pr->head0 + h) * dim;

			for (uint32_t c = 0; c < n_chunk; c++) {
				max[c] = p->m[(size_t)c * ATTN_TILE + q];
				sum[c] = p->l[(size_t)c * ATTN_TILE + q];
			}
			m->k->attn_merge(y, p->o + q * dim, ATTN_TILE * dim, max, sum, (int)n_chunk, (int)dim);
		}
}

static void run_whole(struct model *m, uint32_t layer, int worker)
{
	struct scratch *s = &m->scratch[worker];

	for (uint32_t i = (uint32_t)worker; i < m->n_pair; i += (uint32_t)team_size(m->team)) {
		struct pair pr = pair_at(m, i);

		for (uint32_t c = 0; c < pr.group->n_chunk; c++)
			pair_chunk(m, s, &pr, layer, c, &s->partial);
		pair_merge(m, s, &pr, &s->partial);
	}
}

static void run_split(struct model *m, uint32_t layer, int worker)
{
	struct scratch *s = &m->scratch[worker];
	uint32_t item = 0, n_worker = (uint32_t)team_size(m->team);

	for (uint32_t i = 0; i < m->n_pair; i++) {
		struct pair pr = pair_at(m, i);

		for (uint32_t c = 0; c < pr.group->n_chunk; c++)
			if (item++ % n_worker == (uint32_t)worker)
				pair_chunk(m, s, &pr, layer, c, &m->partial[i]);
	}
	profile_lap(PROFILE_ATTENTION);
	team_barrier(m->team, worker);
	for (uint32_t i = (uint32_t)worker; i < m->n_pair; i += n_worker) {
		struct pair pr = pair_at(m, i);

		pair_merge(m, s, &pr, &m->partial[i]);
	}
}

void attention_run(struct model *m, uint32_t layer, int worker)
{
	if (m->is_split)
		run_split(m, layer, worker);
	else
		run_whole(m, layer, worker);
}
