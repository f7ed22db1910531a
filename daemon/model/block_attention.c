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
#include "daemon/model/hparams.h"
#include "daemon/util/minmax.h"

#include <math.h>

struct pair {
	const struct node *node;
	const struct node_heads *heads; /* of it, as the layer has them */
	const struct attn_group *group;
	const struct head_set *set;
	uint32_t dim;
};

/* A layer's attention, as one worker goes through it. */
struct walk {
	const struct seat *s;
	const struct attention_in *in;
	uint32_t layer;
	const struct node_heads *heads;
	const struct attn_rows *rows;
	uint32_t dim;
};

static struct pair pair_at(const struct walk *w, uint32_t i)
{
	const struct node_heads *h = w->heads;

	return (struct pair){ w->s->node, h, &w->rows->group[i / h->n_set], &h->set[i % h->n_set], w->dim };
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

/* The first position that a row of the pair sees. */
static int32_t first_seen(const struct model *m, const struct pair *pr, uint32_t layer, uint32_t row)
{
	int32_t window = (int32_t)memory_part(pr->node, layer, pr->set->head_kv, false)->window;
	int32_t pos = m->batch->pos[row], first;

	if (!window)
		return 0;
	first = m->hp.has_window_grid ? pos - pos % window : pos + 1 - window;
	return first > 0 ? first : 0;
}

/* The first chunk that any row of the pair sees. */
static uint32_t first_chunk(const struct model *m, const struct pair *pr, uint32_t layer)
{
	return (uint32_t)first_seen(m, pr, layer, pr->group->row0) / ATTN_CHUNK;
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
	size_t dim = pr->dim, c = it->chunk;
	struct attn_kv kv = item_kv(m, it, layer);
	int32_t first[ATTN_TILE], end[ATTN_TILE];
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
		int32_t from = first_seen(m, pr, layer, row);

		for (uint32_t h = 0; h < pr->set->n_head; h++, tile.n++) {
			q[tile.n] = m->qkv + (size_t)row * m->qkv_stride + pr->heads->qkv0 + (pr->set->head0 + h) * dim;
			end[tile.n] = b->pos[row] + 1;
			first[tile.n] = from;
		}
	}
	m->k->attn_chunk[m->kv_type](&to, &tile, &kv, (int32_t)(c * ATTN_CHUNK), s->own->attn);
}

/* Of a row's head of the pair. */
static const float *gate_of(const struct model *m, const struct pair *pr, uint32_t r, uint32_t h)
{
	return m->qkv + (size_t)(pr->group->row0 + r) * m->qkv_stride + pr->heads->gate0 +
	       (size_t)(pr->set->head0 + h) * pr->dim;
}

static void pair_merge(const struct walk *w, const struct pair *pr, const struct partial *p)
{
	const struct seat *s = w->s;
	const struct model *m = s->m;
	const struct tensor *sinks = w->in->sink;
	uint32_t layer = w->layer;
	size_t dim = w->dim;
	uint32_t c0 = first_chunk(m, pr, layer), n_chunk = pr->group->n_chunk - c0;
	const float *sink = sinks ? (const float *)sinks->part[s->team->index].data + w->heads->head0 : NULL;
	float *max = s->own->merge, *sum = s->own->merge + m->n_chunk_max;

	for (uint32_t r = 0; r < pr->group->n_row; r++)
		for (uint32_t h = 0; h < pr->set->n_head; h++) {
			uint32_t q = r * pr->set->n_head + h;
			float *y = m->att + (size_t)(pr->group->row0 + r) * m->att_stride + pr->heads->att0 +
				   (pr->set->head0 + h) * dim;

			for (uint32_t c = 0; c < n_chunk; c++) {
				max[c] = p->m[(size_t)(c0 + c) * ATTN_TILE + q];
				sum[c] = p->l[(size_t)(c0 + c) * ATTN_TILE + q];
			}
			m->k->attn_merge(y, p->o + (c0 * ATTN_TILE + q) * dim, ATTN_TILE * dim, max, sum, (int)n_chunk,
					 (int)dim, sink ? sink[pr->set->head0 + h] : -INFINITY);
			if (m->arch->has_q_gate)
				m->k->sigmoid_mul(y, gate_of(m, pr, r, h), dim);
		}
}

static void run_whole(const struct walk *w)
{
	const struct seat *s = w->s;
	struct partial *to = &s->own->partial;
	uint32_t n_worker = (uint32_t)s->team->n;

	for (uint32_t i = (uint32_t)seat_in_node(s); i < w->heads->n_pair; i += n_worker) {
		struct item it = { pair_at(w, i), 0, to }, next;

		it.chunk = first_chunk(s->m, &it.pair, w->layer);
		for (next = it; it.chunk < it.pair.group->n_chunk; it.chunk++) {
			bool is_last = ++next.chunk == it.pair.group->n_chunk;

			if (is_last && i + n_worker < w->heads->n_pair) {
				next.pair = pair_at(w, i + n_worker);
				next.chunk = first_chunk(s->m, &next.pair, w->layer);
				is_last = false;
			}
			item_run(s, w->layer, &it, is_last ? NULL : &next);
		}
		pair_merge(w, &it.pair, to);
	}
}

/* The partial results of a node's pairs lie behind those of the nodes before it. */
static struct partial *partial_at(const struct seat *s, uint32_t pair)
{
	return &s->m->partial[SPLIT_ITEMS * (uint32_t)s->team->first + pair];
}

static void split_chunks(const struct walk *w)
{
	const struct seat *s = w->s;
	struct item last = { .to = NULL }; /* not yet run, for want of the next */
	int n_item = 0;

	for (uint32_t i = 0; i < w->heads->n_pair; i++) {
		struct item it = { pair_at(w, i), 0, partial_at(s, i) };

		for (it.chunk = first_chunk(s->m, &it.pair, w->layer); it.chunk < it.pair.group->n_chunk; it.chunk++) {
			if (n_item++ % s->team->n != seat_in_node(s))
				continue;
			if (last.to)
				item_run(s, w->layer, &last, &it);
			last = it;
		}
	}
	if (last.to)
		item_run(s, w->layer, &last, NULL);
}

static void split_merge(const struct walk *w)
{
	const struct seat *s = w->s;

	for (uint32_t i = (uint32_t)seat_in_node(s); i < w->heads->n_pair; i += (uint32_t)s->team->n) {
		struct pair pr = pair_at(w, i);

		pair_merge(w, &pr, partial_at(s, i));
	}
}

void block_attention(const struct seat *s, int lap, const struct attention_in *in, uint32_t layer)
{
	const struct model *m = s->m;
	enum head_shapes shape = hparams_shape(&m->hp, layer);
	const struct walk w = {
		s, in, layer, &s->node->heads[shape], &m->rows[shape], hparams_heads(&m->hp, shape).head_dim
	};

	if (w.heads->is_split)
		split_chunks(&w);
	else
		run_whole(&w);
	if (w.rows->is_split)
		seat_meet(s, lap);
	if (w.heads->is_split)
		split_merge(&w);
	seat_meet(s, lap);
}
