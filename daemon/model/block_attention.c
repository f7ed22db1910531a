/*
 * Attention over the KV pool. A node's work is cut into pairs: a group of rows of one sequence, and query heads that share a KV
 * head, at most ATTN_TILE queries together, so that K and V are read once for all of them. A pair walks its chunks of
 * ATTN_CHUNK positions; with few pairs the chunks are spread over the workers too. Either way a chunk's partial result is
 * the same and they are merged in order of position, so the cut never shows in the bits. A chunk knows which one its worker takes
 * after it, for that one's K is fetched meanwhile.
 */
#include "daemon/model/arch.h"
#include "daemon/model/attention.h"
#include "daemon/model/block.h"
#include "daemon/util/minmax.h"

#include <math.h>

struct pair {
	const struct node *node;
	const struct attn_group *group;
	const struct head_set *set;
};

static struct pair pair_at(const struct model *m, const struct node *n, uint32_t i)
{
	return (struct pair){ n, &m->group[i / n->n_set], &n->set[i % n->n_set] };
}

/* One chunk of a pair, and where its partial result goes. */
struct item {
	struct pair pair;
	uint32_t chunk;
	const struct partial *to;
};

static struct attn_kv item_kv(const struct model *m, const struct item *it, uint32_t layer)
{
	const struct pair *pr = &it->pair;
	const struct kv_part *k = memory_part(pr->node, layer, pr->set->head_kv, false);
	const struct kv_part *v = memory_part(pr->node, layer, pr->set->head_kv, true);

	return (struct attn_kv){ .k = attention_base(m, pr->node, k),
				 .v = attention_base(m, pr->node, v),
				 .k_stride = k->bytes,
				 .v_stride = v->bytes,
				 .blocks = m->batch->seq[pr->group->seq].block,
				 .dim_k = (int)k->dim,
				 .dim_v = (int)v->dim };
}

/* The first chunk that any row of the pair sees. */
static uint32_t first_chunk(const struct model *m, const struct pair *pr, uint32_t layer)
{
	uint32_t window = memory_part(pr->node, layer, pr->set->head_kv, false)->window;
	uint32_t n = (uint32_t)m->batch->pos[pr->group->row0] + 1;

	return window && window < n ? (n - window) / ATTN_CHUNK : 0;
}

/* The end of an item's positions: of its chunk, or of what its last row sees. */
static int32_t item_end(const struct model *m, const struct item *it)
{
	const struct attn_group *g = it->pair.group;
	int32_t end = m->batch->pos[g->row0 + g->n_row - 1] + 1, chunk_end = (int32_t)(it->chunk + 1) * ATTN_CHUNK;

	return end < chunk_end ? end : chunk_end;
}

/* Its partial result, while what this worker does next is fetched (NULL: nothing). */
static void item_run(const struct seat *s, uint32_t layer, const struct item *it, const struct item *next)
{
	const struct model *m = s->m;
	const struct batch *b = m->batch;
	const struct pair *pr = &it->pair;
	size_t dim = m->hp.head_dim, c = it->chunk;
	struct attn_kv kv = item_kv(m, it, layer);
	int32_t first[ATTN_TILE], end[ATTN_TILE];
	int32_t window = (int32_t)memory_part(pr->node, layer, pr->set->head_kv, false)->window;
	const float *q[ATTN_TILE];
	struct attn_tile tile = { q, first, end, .scale = m->hp.attn_scale, .cap = m->hp.attn_cap };
	struct attn_partial to = { it->to->o + c * ATTN_TILE * dim, it->to->m + c * ATTN_TILE,
				   it->to->l + c * ATTN_TILE };

	if (next) {
		struct attn_kv then = item_kv(m, next, layer);
		int32_t from = (int32_t)next->chunk * ATTN_CHUNK;

		kv.next_k = then.k;
		kv.next_v = then.v;
		kv.next_blocks = then.blocks + from / KV_BLOCK;
		kv.n_next = (item_end(m, next) - from + KV_BLOCK - 1) / KV_BLOCK;
	}
	for (uint32_t r = 0; r < pr->group->n_row; r++) {
		uint32_t row = pr->group->row0 + r;

		for (uint32_t h = 0; h < pr->set->n_head; h++, tile.n++) {
			q[tile.n] = m->qkv + (size_t)row * m->qkv_stride + pr->node->qkv0 + (pr->set->head0 + h) * dim;
			end[tile.n] = b->pos[row] + 1;
			first[tile.n] = window ? end[tile.n] - window : 0;
		}
	}
	m->k->attn_chunk[m->kv_type](&to, &tile, &kv, (int32_t)(c * ATTN_CHUNK), s->own->attn);
}

/* Of a row's head of the pair. */
static const float *gate_of(const struct model *m, const struct pair *pr, uint32_t r, uint32_t h)
{
	return m->qkv + (size_t)(pr->group->row0 + r) * m->qkv_stride + pr->node->gate0 +
	       (size_t)(pr->set->head0 + h) * m->hp.head_dim;
}

static void pair_merge(const struct seat *s, uint32_t layer, const struct pair *pr, const struct partial *p)
{
	const struct model *m = s->m;
	size_t dim = m->hp.head_dim;
	uint32_t c0 = first_chunk(m, pr, layer), n_chunk = pr->group->n_chunk - c0;
	float *max = s->own->merge, *sum = s->own->merge + m->n_chunk_max;

	for (uint32_t r = 0; r < pr->group->n_row; r++)
		for (uint32_t h = 0; h < pr->set->n_head; h++) {
			uint32_t q = r * pr->set->n_head + h;
			float *y = m->att + (size_t)(pr->group->row0 + r) * m->hp.n_head * dim + pr->node->att0 +
				   (pr->set->head0 + h) * dim;

			for (uint32_t c = 0; c < n_chunk; c++) {
				max[c] = p->m[(size_t)(c0 + c) * ATTN_TILE + q];
				sum[c] = p->l[(size_t)(c0 + c) * ATTN_TILE + q];
			}
			m->k->attn_merge(y, p->o + (c0 * ATTN_TILE + q) * dim, ATTN_TILE * dim, max, sum, (int)n_chunk,
					 (int)dim, -INFINITY);
			if (m->arch->has_q_gate)
				m->k->sigmoid_mul(y, gate_of(m, pr, r, h), dim);
		}
}

static void run_whole(const struct seat *s, uint32_t layer)
{
	const struct node *n = s->node;
	struct partial *to = &s->own->partial;
	uint32_t n_worker = (uint32_t)s->team->n;

	for (uint32_t i = (uint32_t)seat_in_node(s); i < n->n_pair; i += n_worker) {
		struct item it = { pair_at(s->m, n, i), 0, to }, next;

		it.chunk = first_chunk(s->m, &it.pair, layer);
		for (next = it; it.chunk < it.pair.group->n_chunk; it.chunk++) {
			bool is_last = ++next.chunk == it.pair.group->n_chunk;

			if (is_last && i + n_worker < n->n_pair) {
				next.pair = pair_at(s->m, n, i + n_worker);
				next.chunk = first_chunk(s->m, &next.pair, layer);
				is_last = false;
			}
			item_run(s, layer, &it, is_last ? NULL : &next);
		}
		pair_merge(s, layer, &it.pair, to);
	}
}

/* The partial results of a node's pairs lie behind those of the nodes before it. */
static struct partial *partial_at(const struct seat *s, uint32_t pair)
{
	return &s->m->partial[SPLIT_ITEMS * (uint32_t)s->team->first + pair];
}

static void split_chunks(const struct seat *s, uint32_t layer)
{
	const struct node *n = s->node;
	struct item last = { .to = NULL }; /* not yet run, for want of the next */
	int n_item = 0;

	for (uint32_t i = 0; i < n->n_pair; i++) {
		struct item it = { pair_at(s->m, n, i), 0, partial_at(s, i) };

		for (it.chunk = first_chunk(s->m, &it.pair, layer); it.chunk < it.pair.group->n_chunk; it.chunk++) {
			if (n_item++ % s->team->n != seat_in_node(s))
				continue;
			if (last.to)
				item_run(s, layer, &last, &it);
			last = it;
		}
	}
	if (last.to)
		item_run(s, layer, &last, NULL);
}

static void split_merge(const struct seat *s, uint32_t layer)
{
	const struct node *n = s->node;

	for (uint32_t i = (uint32_t)seat_in_node(s); i < n->n_pair; i += (uint32_t)s->team->n) {
		struct pair pr = pair_at(s->m, n, i);

		pair_merge(s, layer, &pr, partial_at(s, i));
	}
}

void block_attention(const struct seat *s, int lap, uint32_t layer)
{
	if (s->node->is_split)
		split_chunks(s, layer);
	else
		run_whole(s, layer);
	if (s->m->is_split)
		seat_meet(s, lap);
	if (s->node->is_split)
		split_merge(s, layer);
	seat_meet(s, lap);
}
