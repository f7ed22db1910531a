/*
 * The unit of work is a head: one of q, or k and v of a KV head together, for the worker that computes them stores them, too.
 * Work is shared out in projections (a KV head counts two); a cut is rounded to whole units.
 */
#include "daemon/model/attention.h"
#include "daemon/model/block.h"
#include "daemon/model/linear.h"
#include "daemon/model/norm.h"
#include "daemon/util/minmax.h"

/* The node's heads of q, of k or of v. */
struct projection {
	const struct tensor *w, *bias; /* bias NULL: none */
	const struct norm *norm;       /* NULL: none */
	const struct rope *rope;       /* NULL: they stay where they are */
	float *y;                      /* the first one, in m->qkv */
};

/* y += bias, in heads [begin, end) of all rows. */
static void add_bias(const struct seat *s, const struct projection *p, size_t begin, size_t end)
{
	const struct model *m = s->m;
	const float *bias = p->bias->part[s->team->index].data;
	size_t dim = m->hp.head_dim, row0 = p->w->part[s->team->index].row0;

	for (size_t r = 0; r < m->batch->n_row; r++)
		m->k->add(p->y + r * m->qkv_stride + begin * dim, bias + row0 + begin * dim, (end - begin) * dim);
}

static void turn(const struct model *m, const struct rope *rope, float *x, int32_t pos)
{
	size_t at = (size_t)pos * (rope->n_rot / 2);

	m->k->rope(x, rope->cos + at, rope->sin + at, 1, (int)m->hp.head_dim, (int)rope->n_rot,
		   rope->pairs == ROPE_HALVES);
}

/* A head of all rows, normed before it turns. */
static void finish_head(const struct seat *s, const struct projection *p, float *x)
{
	const struct model *m = s->m;

	for (size_t r = 0; r < m->batch->n_row; r++, x += m->qkv_stride) {
		if (p->norm)
			norm_row(m, p->norm, s->team->index, x, x, m->hp.head_dim);
		if (p->rope)
			turn(m, p->rope, x, m->batch->pos[r]);
	}
}

static void project(const struct seat *s, const struct projection *p, size_t begin, size_t end)
{
	struct product product = { &s->own->act, p->w, &p->w->part[s->team->index], p->y, s->m->qkv_stride };
	size_t dim = s->m->hp.head_dim, panels = dim / PANEL_ROWS;

	linear_mul(s, &product, begin * panels, end * panels);
	if (p->bias)
		add_bias(s, p, begin, end);
	for (size_t h = begin; h < end && (p->norm || p->rope); h++)
		finish_head(s, p, p->y + h * dim);
}

/* Units [begin, end) of the node's q, then of its k and v. */
static void run_units(const struct seat *s, const struct heads_in *in, uint32_t layer, size_t begin, size_t end)
{
	const struct node *n = s->node;
	size_t dim = s->m->hp.head_dim, n_head = n->n_head;
	float *y = s->m->qkv + n->qkv0;
	struct projection q = { in->q, in->q_bias, in->q_norm.w ? &in->q_norm : NULL, in->rope, y };
	struct projection k = { in->k, in->k_bias, in->k_norm.w ? &in->k_norm : NULL, in->rope, y + n_head * dim };
	struct projection v = { in->v, in->v_bias, NULL, NULL, k.y + n->n_head_kv * dim };

	struct projection gate = { in->q_gate, NULL, NULL, NULL, s->m->qkv + n->gate0 };

	if (begin < n_head)
		project(s, &q, begin, min_size(end, n_head));
	if (begin < n_head && in->q_gate)
		project(s, &gate, begin, min_size(end, n_head));
	if (end <= n_head)
		return;
	begin = begin > n_head ? begin - n_head : 0;
	end -= n_head;
	project(s, &k, begin, end);
	project(s, &v, begin, end);
	for (size_t h = begin; h < end; h++)
		attention_store(s->m, n, layer, (uint32_t)h, k.y + h * dim, v.y + h * dim);
}

static size_t unit_at(const struct node *n, size_t n_projection)
{
	return n_projection <= n->n_head ? n_projection : n->n_head + (n_projection - n->n_head + 1) / 2;
}

void block_heads(const struct seat *s, int lap, const struct heads_in *in, uint32_t layer)
{
	struct act_source src = linear_source(s, &in->norm, NULL, s->m->batch->n_row);
	const struct node *n = s->node;
	struct share share;
	size_t begin, end;

	src.kinds = linear_kind(s->m, in->q) | linear_kind(s->m, in->k) | linear_kind(s->m, in->v);
	src.kinds |= in->q_gate ? linear_kind(s->m, in->q_gate) : 0;
	linear_pack(s, &src);
	linear_share(&share, s, in->q, s->m->hp.n_embd, n->n_head + 2 * (size_t)n->n_head_kv,
		     s->m->hp.head_dim / PANEL_ROWS);
	while (share_next(&share, &begin, &end))
		run_units(s, in, layer, unit_at(n, begin), unit_at(n, end));
	seat_meet(s, lap);
}
