/*
 * The unit of work is a head: one of q, or k and v of a KV head together, for the worker that computes them stores them, too.
 * Work is shared out in projections (a KV head counts two); a cut is rounded to whole units. A norm over all heads takes their squares' sums,
 * which are added in order of heads: chunks, teams and nodes do not enter it.
 */
#include "daemon/model/attention.h"
#include "daemon/model/block.h"
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
	const struct rope *rope;       /* NULL: they stay where they are */
	const struct norm *norm_late;  /* after they turned; NULL: none */
	const float *temperature;      /* [n_ctx]; NULL: none */
	float *y;                      /* the first one, in m->qkv */
	float *square;                 /* [n_all][n_row_max], of all nodes, where a norm is wide */
	uint32_t n_all;
};

/* What is done of a unit: all at once, but where a norm goes over all heads, which must be there first. */
enum step { STEP_PROJECT = 1, STEP_FINISH = 2 };

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

/* A KV head of which two nodes have a part is summed up by the former. */
static bool is_first(const struct seat *s, const struct projection *p, size_t head)
{
	uint32_t row = p->w->part[s->team->index].row0 + (uint32_t)head * s->m->hp.head_dim;

	for (int i = 0; i < s->team->index; i++)
		if (row < p->w->part[i].row0 + p->w->part[i].n_row)
			return false;
	return true;
}

/* The squares of heads [begin, end) of all rows, a sum each. */
static void sum_squares(const struct seat *s, const struct projection *p, size_t begin, size_t end)
{
	const struct model *m = s->m;
	size_t dim = m->hp.head_dim, head0 = p->w->part[s->team->index].row0 / dim;

	for (size_t h = begin; h < end; h++)
		for (size_t r = 0; r < m->batch->n_row && is_first(s, p, h); r++)
			p->square[(head0 + h) * m->n_row_max + r] =
				m->k->sum_squares(p->y + r * m->qkv_stride + h * dim, dim);
}

static void project(const struct seat *s, const struct projection *p, size_t begin, size_t end)
{
	struct product product = { &s->own->act, p->w, &p->w->part[s->team->index], p->y, s->m->qkv_stride };
	size_t panels = s->m->hp.head_dim / PANEL_ROWS;

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
		by[r] = 1.0f / sqrtf(by[r] / (float)(p->n_all * m->hp.head_dim) + m->hp.norm_eps);
	return by;
}

/* A head of all rows; `by`: by what its rows are multiplied, NULL: no norm is wide. */
static void finish_head(const struct seat *s, const struct projection *p, size_t head, const float *by)
{
	const struct model *m = s->m;
	const struct tensor_part *part = &p->w->part[s->team->index];
	size_t dim = m->hp.head_dim;
	const float *wide = by ? (const float *)p->wide->part[s->team->index].data + part->row0 + head * dim : NULL;
	float *x = p->y + head * dim;

	for (size_t r = 0; r < m->batch->n_row; r++, x += m->qkv_stride) {
		if (by)
			m->k->mul_scaled(x, x, wide, dim, by[r]);
		if (p->norm)
			norm_row(m, p->norm, s->team->index, x, x, dim);
		if (p->rope)
			turn(m, p->rope, x, m->batch->pos[r]);
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
	if (!(steps & STEP_FINISH) || !(p->norm || p->wide || p->rope || p->norm_late || p->temperature))
		return;
	by = p->wide ? wide_scales(s, p) : NULL;
	for (size_t h = begin; h < end; h++)
		finish_head(s, p, h, by);
}

static const struct norm *norm_or_none(const struct norm *n)
{
	return n->w ? n : NULL;
}

/* Units [begin, end) of the node's q, then of its k and v. */
static void run_units(const struct seat *s, const struct heads_in *in, uint32_t layer, size_t begin, size_t end,
		      int steps)
{
	const struct model *m = s->m;
	const struct node *n = s->node;
	size_t dim = m->hp.head_dim, n_head = n->n_head;
	float *y = m->qkv + n->qkv0, *square = m->square;
	struct projection q = { .w = in->q,
				.bias = in->q_bias,
				.norm = norm_or_none(&in->q_norm),
				.wide = in->q_wide,
				.rope = in->rope,
				.norm_late = norm_or_none(&in->q_norm_late),
				.temperature = in->temperature,
				.y = y,
				.square = square,
				.n_all = m->hp.n_head };
	struct projection k = { .w = in->k,
				.bias = in->k_bias,
				.norm = norm_or_none(&in->k_norm),
				.wide = in->k_wide,
				.rope = in->rope,
				.norm_late = norm_or_none(&in->k_norm_late),
				.y = y + n_head * dim,
				.square = square + (size_t)m->hp.n_head * m->n_row_max,
				.n_all = m->hp.n_head_kv };
	struct projection v = { .w = in->v, .bias = in->v_bias, .y = k.y + n->n_head_kv * dim };
	struct projection gate = { .w = in->q_gate, .y = m->qkv + n->gate0 };

	if (begin < n_head)
		run_heads(s, &q, begin, min_size(end, n_head), steps);
	if (begin < n_head && in->q_gate)
		run_heads(s, &gate, begin, min_size(end, n_head), steps);
	if (end <= n_head)
		return;
	begin = begin > n_head ? begin - n_head : 0;
	end -= n_head;
	run_heads(s, &k, begin, end, steps);
	run_heads(s, &v, begin, end, steps);
	for (size_t h = begin; h < end && steps & STEP_FINISH; h++)
		attention_store(m, n, layer, (uint32_t)h, k.y + h * dim, v.y + h * dim);
}

static size_t unit_at(const struct node *n, size_t n_projection)
{
	return n_projection <= n->n_head ? n_projection : n->n_head + (n_projection - n->n_head + 1) / 2;
}

static void share_units(const struct seat *s, const struct heads_in *in, uint32_t layer, int steps)
{
	const struct node *n = s->node;
	struct share share;
	size_t begin, end;

	linear_share(&share, s, in->q, s->m->hp.n_embd, n->n_head + 2 * (size_t)n->n_head_kv,
		     s->m->hp.head_dim / PANEL_ROWS);
	while (share_next(&share, &begin, &end))
		run_units(s, in, layer, unit_at(n, begin), unit_at(n, end), steps);
}

void block_heads(const struct seat *s, int lap, const struct heads_in *in, uint32_t layer)
{
	struct act_source src = linear_source(s, &in->norm, NULL, s->m->batch->n_row);
	bool is_wide = in->q_wide || in->k_wide;

	src.kinds = linear_kind(s->m, in->q) | linear_kind(s->m, in->k) | linear_kind(s->m, in->v);
	src.kinds |= in->q_gate ? linear_kind(s->m, in->q_gate) : 0;
	linear_pack(s, &src);
	share_units(s, in, layer, is_wide ? STEP_PROJECT : STEP_PROJECT | STEP_FINISH);
	if (is_wide) {
		seat_meet(s, lap);
		share_units(s, in, layer, STEP_FINISH);
	}
	seat_meet(s, lap);
}
