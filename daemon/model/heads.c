/*
 * The unit of work is a head: one of q, or k and v of a KV head together, for the worker that computes them stores them, too.
 * Work is shared out in projections (a KV head counts two); a cut is rounded to whole units.
 */
#include "daemon/model/attention.h"
#include "daemon/model/block.h"
#include "daemon/model/linear.h"
#include "daemon/util/minmax.h"

/* Heads of one projection: where the node's first lies in m->qkv, and what makes them. */
struct projection {
	const struct tensor *w;
	float *y;
};

static void multiply(const struct seat *s, const struct projection *p, size_t begin, size_t end)
{
	struct product product = {
		&s->own->act, p->w, &p->w->part[s->team->index], p->y, s->m->qkv_stride,
	};
	size_t panels = s->m->hp.head_dim / PANEL_ROWS;

	if (begin < end)
		linear_mul(s, &product, begin * panels, end * panels);
}

/* A head of all rows. */
static void rotate(const struct model *m, const struct rope *rope, float *x)
{
	for (uint32_t r = 0; r < m->batch->n_row; r++) {
		size_t at = (size_t)m->batch->pos[r] * (rope->n_rot / 2);

		m->k->rope(x + (size_t)r * m->qkv_stride, rope->cos + at, rope->sin + at, 1, (int)m->hp.head_dim,
			   (int)rope->n_rot, rope->pairs == ROPE_HALVES);
	}
}

static size_t unit_at(const struct node *n, size_t n_projection)
{
	return n_projection <= n->n_head ? n_projection : n->n_head + (n_projection - n->n_head + 1) / 2;
}

static void run_queries(const struct seat *s, const struct heads_in *in, size_t begin, size_t end)
{
	struct projection q = { in->q, s->m->qkv + s->node->qkv0 };

	multiply(s, &q, begin, end);
	for (size_t h = begin; h < end; h++)
		rotate(s->m, in->rope, q.y + h * s->m->hp.head_dim);
}

static void run_keys_and_values(const struct seat *s, const struct heads_in *in, uint32_t layer, size_t begin,
				size_t end)
{
	const struct node *n = s->node;
	size_t dim = s->m->hp.head_dim;
	struct projection k = { in->k, s->m->qkv + n->qkv0 + n->n_head * dim }, v = { in->v, k.y + n->n_head_kv * dim };

	multiply(s, &k, begin, end);
	multiply(s, &v, begin, end);
	for (size_t h = begin; h < end; h++) {
		rotate(s->m, in->rope, k.y + h * dim);
		attention_store(s->m, n, layer, (uint32_t)h, k.y + h * dim, v.y + h * dim);
	}
}

/* Units [begin, end) of the node's q, then of its k and v. */
static void run_units(const struct seat *s, const struct heads_in *in, uint32_t layer, size_t begin, size_t end)
{
	size_t n_head = s->node->n_head;

	if (begin < n_head)
		run_queries(s, in, begin, min_size(end, n_head));
	if (end > n_head)
		run_keys_and_values(s, in, layer, begin > n_head ? begin - n_head : 0, end - n_head);
}

void block_heads(const struct seat *s, enum profile_part lap, const struct heads_in *in, uint32_t layer)
{
	struct act_source src = linear_source(s, in->norm, NULL, s->m->batch->n_row);
	const struct node *n = s->node;
	struct share share;
	size_t begin, end;

	src.kinds = linear_kind(in->q) | linear_kind(in->k) | linear_kind(in->v);
	linear_pack(s, &src);
	linear_share(&share, s, in->q, s->m->hp.n_embd, n->n_head + 2 * (size_t)n->n_head_kv,
		     s->m->hp.head_dim / PANEL_ROWS);
	while (share_next(&share, &begin, &end))
		run_units(s, in, layer, unit_at(n, begin), unit_at(n, end));
	seat_meet(s, lap);
}
