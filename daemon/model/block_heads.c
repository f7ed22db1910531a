/*
 * The unit of work is a head: one of q, or k and v of a KV head together, for the worker that computes them stores them, too.
 * Work is shared out in projections (a KV head counts two); a cut is rounded to whole units. A norm over all heads takes their squares' sums,
 * which are added in order of heads: chunks, teams and nodes do not enter it.
 */
#include "daemon/model/attention.h"
#include "daemon/model/block.h"
#include "daemon/model/hparams.h"
#include "daemon/model/linear.h"
#include "daemon/model/norm.h"
#include "daemon/util/minmax.h"

#include <math.h>
#include <string.h>

/* The node's heads of q, of k or of v. */
struct projection {
	const struct tensor *w, *bias; /* bias NULL: none */
	const struct norm *norm;       /* NULL: none */
	const struct tensor *wide;     /* NULL: no norm goes over all heads */
	bool is_bare_normed;           /* each head by a norm without weights, after it turned */
	const struct rope *rope;       /* NULL: they stay where they are */
	const struct norm *norm_late;  /* after they turned; NULL: none */
	const float *temperature;      /* [n_ctx]; NULL: none */
	float *y;                      /* the first one, in m->qkv */
	float *square;                 /* [n_all][n_row_max], of all nodes, where a norm is wide */
	uint32_t n_all, dim;
};

/* A layer's heads on one node: units of q and, if the layer has K and V of its own, of both. */
struct units {
	const struct seat *s;
	const struct heads_in *in;
	uint32_t layer, dim;
	const struct node_heads *heads;
	struct projection q, gate, k, v;
};

/* What is done of a unit: all at once, but where a norm goes over all heads, which must be there first. */
enum step { STEP_PROJECT = 1, STEP_FINISH = 2 };

/* y += bias, in heads [begin, end) of all rows. */
static void add_bias(const struct seat *s, const struct projection *p, size_t begin, size_t end)
{
	const struct model *m = s->m;
	const float *bias = p->bias->part[s->team->index].data;
	size_t dim = p->dim, row0 = p->w->part[s->team->index].row0;

	for (size_t r = 0; r < m->batch->n_row; r++)
		m->k->add(p->y + r * m->qkv_stride + begin * dim, bias + row0 + begin * dim, (end - begin) * dim);
}

static void turn(const struct model *m, const struct rope *rope, uint32_t dim, float *x, int32_t pos)
{
	size_t at = (size_t)pos * (rope->n_rot / 2);

	m->k->rope(x, rope->cos + at, rope->sin + at, 1, (int)dim, (int)rope->n_rot, rope->pairs == ROPE_HALVES);
}

/* A KV head of which two nodes have a part is summed up by the former. */
static bool is_first(const struct seat *s, const struct projection *p, size_t head)
{
	uint32_t row = p->w->part[s->team->index].row0 + (uint32_t)head * p->dim;

	for (int i = 0; i < s->team->index; i++)
		if (row < p->w->part[i].row0 + p->w->part[i].n_row)
			return false;
	return true;
}

/* The squares of heads [begin, end) of all rows, a sum each. */
static void sum_squares(const struct seat *s, const struct projection *p, size_t begin, size_t end)
{
	const struct model *m = s->m;
	size_t dim = p->dim, head0 = p->w->part[s->team->index].row0 / dim;

	for (size_t h = begin; h < end; h++)
		for (size_t r = 0; r < m->batch->n_row && is_first(s, p, h); r++)
			p->square[(head0 + h) * m->n_row_max + r] =
				m->k->sum_squares(p->y + r * m->qkv_stride + h * dim, dim);
}

static void project(const struct seat *s, const struct projection *p, size_t begin, size_t end)
{
	struct product product = { &s->own->act, p->w, &p->w->part[s->team->index], p->y, s->m->qkv_stride };
	size_t panels = p->dim / PANEL_ROWS;

	linear_mul(s, &product, begin * panels, end * panels);
	if (p->bias)
		add_bias(s, p, begin, end);
	if (p->wide)
		sum_squares(s, p, begin, end);
}

/* What each row of all heads is multiplied by: their sums, added up by ascending head. */
static const float *wide_scales(const struct seat *s, const struct projection *p)
{
	const struct model *m = s->m;
	float *by = s->own->wide;
	uint32_t n_row = m->batch->n_row;

	memcpy(by, p->square, n_row * sizeof(*by));
	for (size_t h = 1; h < p->n_all; h++)
		m->k->add(by, p->square + h * m->n_row_max, n_row);
	for (uint32_t r = 0; r < n_row; r++)
		by[r] = 1.0f / sqrtf(by[r] / (float)(p->n_all * p->dim) + m->hp.norm_eps);
	return by;
}

/* What a norm over all heads multiplies with, from the node's first head on. */
static const float *wide_of(const struct seat *s, const struct projection *p)
{
	return (const float *)p->wide->part[s->team->index].data + p->w->part[s->team->index].row0;
}

/* A head of all rows; `by`: by what its rows are multiplied, NULL: no norm is wide. */
static void finish_head(const struct seat *s, const struct projection *p, size_t head, const float *by)
{
	const struct model *m = s->m;
	size_t dim = p->dim;
	const float *wide = by ? wide_of(s, p) + head * dim : NULL;
	float *x = p->y + head * dim;

	for (size_t r = 0; r < m->batch->n_row; r++, x += m->qkv_stride) {
		if (by)
			m->k->mul_scaled(x, x, wide, dim, by[r]);
		if (p->norm)
			norm_row(m, p->norm, s->team->index, x, x, dim);
		if (p->rope)
			turn(m, p->rope, p->dim, x, m->batch->pos[r]);
		if (p->is_bare_normed)
			norm_bare(m, x, dim);
		if (p->norm_late)
			norm_row(m, p->norm_late, s->team->index, x, x, dim);
		if (p->temperature)
			m->k->scale(x, dim, p->temperature[m->batch->pos[r]]);
	}
}

static void run_heads(const struct seat *s, const struct projection *p, size_t begin, size_t end, int steps)
{
	const float *by;

	if (steps & STEP_PROJECT)
		project(s, p, begin, end);
	if (!(steps & STEP_FINISH) ||
	    !(p->norm || p->wide || p->is_bare_normed || p->rope || p->norm_late || p->temperature))
		return;
	by = p->wide ? wide_scales(s, p) : NULL;
	for (size_t h = begin; h < end; h++)
		finish_head(s, p, h, by);
}

static const struct norm *norm_or_none(const struct norm *n)
{
	return n->w ? n : NULL;
}

/* What values are that have no matrix of their own: the keys before these are normed. */
static void copy_heads(const struct seat *s, const struct projection *k, const struct projection *v, size_t begin,
		       size_t end)
{
	size_t at = begin * k->dim, n = (end - begin) * k->dim;

	for (size_t r = 0; r < s->m->batch->n_row; r++, at += s->m->qkv_stride)
		memcpy(v->y + at, k->y + at, n * sizeof(float));
}

static void run_kv(const struct units *u, size_t begin, size_t end, int steps)
{
	const struct seat *s = u->s;
	bool is_copied = !u->in->v && steps & STEP_PROJECT;

	if (is_copied) {
		project(s, &u->k, begin, end);
		copy_heads(s, &u->k, &u->v, begin, end);
	}
	run_heads(s, &u->k, begin, end, is_copied ? steps & ~STEP_PROJECT : steps);
	run_heads(s, &u->v, begin, end, is_copied ? steps & ~STEP_PROJECT : steps);
	for (size_t h = begin; h < end && steps & STEP_FINISH; h++)
		attention_store(s->m, s->node, u->layer, (uint32_t)h, u->k.y + h * u->dim, u->v.y + h * u->dim);
}

/* Units [begin, end) of the node's q, then of its k and v. */
static void run_units(const struct units *u, size_t begin, size_t end, int steps)
{
	size_t n_head = u->heads->n_head;

	if (begin < n_head)
		run_heads(u->s, &u->q, begin, min_size(end, n_head), steps);
	if (begin < n_head && u->in->q_gate)
		run_heads(u->s, &u->gate, begin, min_size(end, n_head), steps);
	if (end > n_head)
		run_kv(u, begin > n_head ? begin - n_head : 0, end - n_head, steps);
}

static size_t unit_at(const struct node_heads *n, size_t n_projection)
{
	return n_projection <= n->n_head ? n_projection : n->n_head + (n_projection - n->n_head + 1) / 2;
}

static void share_units(const struct units *u, int steps)
{
	const struct node_heads *n = u->heads;
	size_t n_kv = u->in->k ? 2 * (size_t)n->n_head_kv : 0, begin, end;
	struct share share;

	linear_share(&share, u->s, u->in->q, u->s->m->hp.n_embd, n->n_head + n_kv, u->dim / PANEL_ROWS);
	while (share_next(&share, &begin, &end))
		run_units(u, unit_at(n, begin), unit_at(n, end), steps);
}

static struct units units_of(const struct seat *s, const struct heads_in *in, uint32_t layer)
{
	const struct model *m = s->m;
	enum head_shapes shape = hparams_shape(&m->hp, layer);
	const struct node_heads *n = &s->node->heads[shape];
	struct head_shape h = hparams_heads(&m->hp, shape);
	struct units u = { s, in, layer, h.head_dim, n, .q.rope = in->rope, .k.rope = in->rope };

	u.q.w = in->q, u.q.bias = in->q_bias, u.q.wide = in->q_wide, u.q.norm = norm_or_none(&in->q_norm);
	u.k.w = in->k, u.k.bias = in->k_bias, u.k.wide = in->k_wide, u.k.norm = norm_or_none(&in->k_norm);
	u.q.norm_late = norm_or_none(&in->q_norm_late), u.q.temperature = in->temperature;
	u.k.norm_late = norm_or_none(&in->k_norm_late);
	u.v.w = in->v, u.v.bias = in->v_bias, u.v.is_bare_normed = in->is_v_normed;
	u.q.is_bare_normed = u.k.is_bare_normed = in->is_qk_normed_late;
	u.gate.w = in->q_gate;
	u.q.y = m->qkv + n->qkv0;
	u.k.y = u.q.y + n->n_head * h.head_dim;
	u.v.y = u.k.y + n->n_head_kv * h.head_dim;
	u.gate.y = m->qkv + n->gate0;
	u.q.square = m->square;
	u.k.square = m->square + (size_t)h.n_head * m->n_row_max;
	u.q.n_all = h.n_head;
	u.k.n_all = h.n_head_kv;
	u.q.dim = u.gate.dim = u.k.dim = u.v.dim = h.head_dim;
	return u;
}

void block_heads(const struct seat *s, int lap, const struct heads_in *in, uint32_t layer)
{
	struct act_source src = linear_source(s, &in->norm, NULL, s->m->batch->n_row);
	const struct tensor *const w[] = { in->q, in->q_gate, in->k, in->v };
	const struct units u = units_of(s, in, layer);
	bool is_wide = in->q_wide || in->k_wide;

	for (size_t i = 0; i < sizeof(w) / sizeof(w[0]); i++)
		src.kinds |= w[i] ? linear_kind(s->m, w[i]) : 0;
	linear_pack(s, &src);
	share_units(&u, is_wide ? STEP_PROJECT : STEP_PROJECT | STEP_FINISH);
	if (is_wide) {
		seat_meet(s, lap);
		share_units(&u, STEP_FINISH);
	}
	seat_meet(s, lap);
}
