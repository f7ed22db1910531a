#include "daemon/model/block.h"

#include "daemon/model/experts.h"
#include "daemon/model/linear.h"
#include "daemon/model/residual.h"
#include "daemon/util/minmax.h"

#include <string.h>

static const float *vector(const struct seat *s, const struct tensor *t)
{
	return t ? t->part[s->team->index].data : NULL;
}

/* ---- which experts ---- */

/* Rows of one tile each worker has normed and routed for itself. */
static bool is_alone(const struct seat *s)
{
	return linear_n_tile(s->m->batch->n_row) == 1;
}

/* What a row's experts take, [n_row][x_stride]. */
static const float *rows(const struct seat *s)
{
	return is_alone(s) ? s->own->norm : s->m->experts->rows;
}

/* A single row is packed once for all its experts, if they take it as it is. */
static bool is_common(const struct seat *s, const struct experts_in *in)
{
	return s->m->batch->n_row == 1 && !in->is_on_input;
}

static uint32_t kinds_in(const struct seat *s, const struct experts_in *in)
{
	return linear_kind(s->m, in->gate) | linear_kind(s->m, in->up);
}

/* Norms what all rows' experts take, and packs what they take as it is. */
static void pack_rows(const struct seat *s, const struct experts_in *in, uint32_t kinds)
{
	struct act_source src = linear_source(s, &in->norm, NULL, s->m->batch->n_row);

	src.keep = s->m->experts->rows;
	src.kinds = kinds | (is_common(s, in) ? kinds_in(s, in) : 0);
	if (in->shared_gate)
		src.kinds |= linear_kind(s->m, in->shared_gate) | linear_kind(s->m, in->shared_up);
	linear_pack(s, &src);
}

/* m->experts->logits = Wrouter . n, n = norm(x), of the router's own norm where it has one. */
static void logits(const struct seat *s, int lap, const struct experts_in *in)
{
	const struct model *m = s->m;
	const struct tensor_part *part = &in->router->part[s->team->index];
	struct act_source src = linear_source(s, &in->router_norm, NULL, m->batch->n_row);
	struct product p = { &s->own->act, in->router, part, m->experts->logits + part->row0,
			     m->experts->logit_stride };
	struct share share;
	size_t begin, end;

	src.kinds = linear_kind(m, in->router);
	if (in->router_norm.w)
		linear_pack(s, &src);
	else
		pack_rows(s, in, src.kinds);
	linear_share(&share, s, in->router, m->hp.n_embd, (part->n_row + PANEL_ROWS - 1) / PANEL_ROWS, 1);
	while (share_next(&share, &begin, &end))
		linear_mul(s, &p, begin, end);
	seat_meet(s, lap);
	if (in->router_norm.w)
		pack_rows(s, in, 0);
}

static void route(const struct seat *s, const struct experts_in *in, uint32_t row, struct routed *to, float *shared)
{
	const struct model *m = s->m;
	const struct hparams *hp = &m->hp;
	const struct route_in by = { .bias = vector(s, in->router_bias),
				     .choose_bias = vector(s, in->choose_bias),
				     .times = vector(s, in->times),
				     .scale = in->router_scale };

	route_row(to, m->k, hp, &by, m->experts->logits + (size_t)row * m->experts->logit_stride,
		  s->own->experts->scratch);
	if (in->shared_inp)
		*shared = route_gate(m->k, rows(s) + (size_t)row * m->x_stride, vector(s, in->shared_inp), hp->n_embd);
}

/* The worker's list; rows of more than a tile are shared out, for a barrier. */
static void choose(const struct seat *s, const struct experts_in *in)
{
	const struct model *m = s->m;
	struct experts_own *own = s->own->experts;
	uint32_t n_row = m->batch->n_row, n_used = m->hp.n_expert_used;

	if (is_alone(s)) {
		for (uint32_t i = 0; i < n_row; i++)
			route(s, in, i, own->routed + (size_t)i * n_used, &own->shared[i]);
		experts_list(own, &m->hp, own->routed, n_row);
		return;
	}
	for (uint32_t i = (uint32_t)s->worker; i < n_row; i += (uint32_t)team_size(m->team))
		route(s, in, i, m->experts->routed + (size_t)i * n_used, &m->experts->shared[i]);
	team_barrier(m->team, s->worker);
	experts_list(own, &m->hp, m->experts->routed, n_row);
}

/* ---- packing ---- */

/* Rows of n_col at mem + offset, packed or to be. */
static struct act act_at(uint8_t *const mem[ACT_KIND_MAX], uint32_t kinds, size_t n_col, size_t row0, size_t row0_col)
{
	struct act a = { .n_row = 0 };

	for (int kind = 0; kind < ACT_KIND_MAX; kind++)
		if (kinds & (1u << kind)) {
			a.tile[kind] = mem[kind] + row0 * linear_row_bytes((enum act_kind)kind, row0_col);
			a.row_bytes[kind] = linear_row_bytes((enum act_kind)kind, n_col);
		}
	return a;
}

/* A tile of rows x[n][stride] becomes rows [row0, row0 + n) of a. */
static void pack_tile(const struct model *m, const struct act *a, uint32_t kinds, size_t row0, const float *x,
		      size_t stride, uint32_t n, size_t n_col)
{
	for (int kind = 0; kind < ACT_KIND_MAX; kind++)
		if (kinds & (1u << kind))
			m->k->act_pack[kind](a->tile[kind] + row0 * a->row_bytes[kind], x, stride, (int)n, n_col);
}

/* The rows of a tile of pairs side by side, weighed where an expert's input is. */
static const float *gather(const struct seat *s, const struct experts_in *in, const struct experts_tile *t)
{
	const struct model *m = s->m;
	const struct experts_own *own = s->own->experts;
	const struct experts_pair *pair = own->pair + t->pair0;

	if (t->n == 1 && !in->is_on_input)
		return rows(s) + (size_t)pair->row * m->x_stride;
	for (uint32_t i = 0; i < t->n; i++, pair++) {
		float *to = own->gather + (size_t)i * m->x_stride;

		memcpy(to, rows(s) + (size_t)pair->row * m->x_stride, m->hp.n_embd * sizeof(*to));
		if (in->is_on_input)
			m->k->scale(to, m->hp.n_embd, pair->weight);
	}
	return own->gather;
}

/* What pairs take: of a single row the same for all, else gathered by all workers, for a barrier. */
static struct act pack_in(const struct seat *s, const struct experts_in *in)
{
	const struct model *m = s->m;
	const struct experts_own *own = s->own->experts;
	uint32_t kinds = kinds_in(s, in);
	struct act a;

	if (is_common(s, in)) {
		a = s->own->act;
		memset(a.row_bytes, 0, sizeof(a.row_bytes));
		return a;
	}
	a = act_at(m->experts->mem, kinds, m->hp.n_embd, 0, 0);
	for (uint32_t i = (uint32_t)s->worker; i < own->n_tile; i += (uint32_t)team_size(m->team)) {
		const struct experts_tile *t = &own->tile[i];

		pack_tile(m, &a, kinds, t->pair0, gather(s, in, t), m->x_stride, t->n, m->hp.n_embd);
	}
	profile_lap(PROFILE_NORM);
	team_barrier(m->team, s->worker);
	return a;
}

/* What gate and up made, of pairs and of the shared expert's rows. */
struct packed_ff {
	struct act pairs, shared;
};

/* The i-th of n workers' tiles. */
static void pack_ff_share(const struct seat *s, const struct experts_in *in, const struct packed_ff *p, uint32_t i,
			  uint32_t n)
{
	const struct model *m = s->m;
	const struct experts_own *own = s->own->experts;
	uint32_t n_row = m->batch->n_row, n_shared = in->shared_down ? linear_n_tile(n_row) : 0;

	for (; i < n_shared; i += n) {
		size_t row0, n_tile_row;

		linear_tile_rows(n_row, i, &row0, &n_tile_row);
		pack_tile(m, &p->shared, linear_kind(m, in->shared_down), row0, m->gate + row0 * m->ff_stride,
			  m->ff_stride, (uint32_t)n_tile_row, m->hp.n_ff_shared);
	}
	for (i -= n_shared; i < own->n_tile; i += n) {
		const struct experts_tile *t = &own->tile[i];

		pack_tile(m, &p->pairs, linear_kind(m, in->down), t->pair0,
			  m->experts->gate + (size_t)t->pair0 * m->experts->ff_stride, m->experts->ff_stride, t->n,
			  m->hp.n_ff_expert);
	}
}

/* Of a single row each worker packs all for itself; else all workers do, for a barrier. */
static struct packed_ff pack_ff(const struct seat *s, const struct experts_in *in)
{
	const struct model *m = s->m;
	const struct experts_own *own = s->own->experts;
	bool is_one = m->batch->n_row == 1;
	uint8_t *const *mem = is_one ? own->mem : m->experts->mem;
	struct packed_ff p = { .pairs = act_at(mem, linear_kind(m, in->down), m->hp.n_ff_expert, 0, 0) };

	if (in->shared_down)
		p.shared =
			act_at(mem, linear_kind(m, in->shared_down), m->hp.n_ff_shared, own->n_pair, m->hp.n_ff_expert);
	if (is_one)
		pack_ff_share(s, in, &p, 0, 1);
	else
		pack_ff_share(s, in, &p, (uint32_t)s->worker, (uint32_t)team_size(m->team));
	profile_lap(PROFILE_NORM);
	if (!is_one)
		team_barrier(m->team, s->worker);
	return p;
}

/* ---- products ---- */

static uint32_t n_panel(const struct seat *s, const struct tensor *w)
{
	return w ? (w->part[s->team->index].n_row + PANEL_ROWS - 1) / PANEL_ROWS : 0;
}

/* The node's part of one expert's matrix. */
static struct tensor_part part_of(const struct seat *s, const struct tensor *w, uint32_t expert)
{
	struct tensor_part p = w->part[s->team->index];

	p.data = weights_expert(&p, expert);
	return p;
}

/* Rows [row0, row0 + n) of what is packed. */
static struct act rows_of(const struct act *a, uint32_t row0, uint32_t n)
{
	struct act x = *a;

	for (int kind = 0; kind < ACT_KIND_MAX; kind++)
		x.tile[kind] += row0 * x.row_bytes[kind];
	x.n_row = n;
	return x;
}

/* Gate and up of one feed-forward, of some rows. */
struct halves {
	struct act x;
	const struct tensor *gate_w, *up_w;
	struct tensor_part gate_part, up_part;
	const float *gate_bias, *up_bias; /* of the part's first row; NULL: none */
	float *gate, *up;                 /* [x.n_row][stride], from the part's first row on */
	size_t stride;
	gate_fn *gate_mul;
};

static void add_bias(const struct model *m, float *y, const float *bias, uint32_t n_row, size_t begin, size_t end)
{
	size_t at = begin * PANEL_ROWS;

	if (bias)
		m->k->add(y + at, bias + at, min_size(end * PANEL_ROWS, n_row) - at);
}

/* gate = act(gate + bias) * (up + bias) of panels [begin, end): groups of panels of both outside, token tiles inside. */
static void mul_halves(const struct seat *s, const struct halves *h, size_t begin, size_t end)
{
	const struct model *m = s->m;
	struct product gate = { &h->x, h->gate_w, &h->gate_part, h->gate, h->stride };
	struct product up = { &h->x, h->up_w, &h->up_part, h->up, h->stride };
	uint32_t n_tile = linear_n_tile(h->x.n_row);
	size_t step = linear_group(h->gate_w, m->hp.n_embd, n_tile, end - begin);

	if (n_tile > 1 && step > 1)
		step /= 2;
	for (size_t at = begin, to; at < end; at = to) {
		to = min_size(at + step, end);
		linear_mul(s, &gate, at, to);
		linear_mul(s, &up, at, to);
		for (size_t r = 0; r < h->x.n_row; r++) {
			float *g = h->gate + r * h->stride, *u = h->up + r * h->stride;

			add_bias(m, g, h->gate_bias, h->gate_part.n_row, at, to);
			add_bias(m, u, h->up_bias, h->up_part.n_row, at, to);
			h->gate_mul(g + at * PANEL_ROWS, g + at * PANEL_ROWS, u + at * PANEL_ROWS,
				    (to - at) * PANEL_ROWS);
		}
	}
}

static struct halves halves_of_run(const struct seat *s, const struct experts_in *in, const struct act *x,
				   const struct experts_run *run)
{
	const struct experts *e = s->m->experts;
	struct halves h = { .x = rows_of(x, run->pair0, run->n),
			    .gate_w = in->gate,
			    .up_w = in->up,
			    .gate_part = part_of(s, in->gate, run->expert),
			    .up_part = part_of(s, in->up, run->expert),
			    .stride = e->ff_stride,
			    .gate_mul = in->gate_mul };
	size_t row0 = h.gate_part.row0, bias = (size_t)run->expert * s->m->hp.n_ff_expert + row0;
	const float *gate_bias = vector(s, in->gate_bias), *up_bias = vector(s, in->up_bias);

	h.gate = e->gate + run->pair0 * h.stride + row0;
	h.up = e->up + run->pair0 * h.stride + row0;
	h.gate_bias = gate_bias ? gate_bias + bias : NULL;
	h.up_bias = up_bias ? up_bias + bias : NULL;
	return h;
}

static struct halves halves_of_shared(const struct seat *s, const struct experts_in *in)
{
	const struct model *m = s->m;
	struct halves h = { .x = s->own->act,
			    .gate_w = in->shared_gate,
			    .up_w = in->shared_up,
			    .gate_part = part_of(s, in->shared_gate, 0),
			    .up_part = part_of(s, in->shared_up, 0),
			    .stride = m->ff_stride,
			    .gate_mul = in->gate_mul };

	h.gate = m->gate + h.gate_part.row0;
	h.up = m->up + h.up_part.row0;
	return h;
}

/* Panels of the shared expert, then of each run: a piece may begin in one and end in another. */
static void mul_piece(const struct seat *s, const struct experts_in *in, const struct act *x, size_t begin, size_t end)
{
	size_t n_shared = n_panel(s, in->shared_gate), n = n_panel(s, in->gate);

	while (begin < end) {
		bool is_shared = begin < n_shared;
		size_t i = is_shared ? 0 : (begin - n_shared) / n, first = is_shared ? 0 : n_shared + i * n,
		       last = min_size(end, is_shared ? n_shared : first + n);
		struct halves h =
			is_shared ? halves_of_shared(s, in) : halves_of_run(s, in, x, &s->own->experts->run[i]);

		mul_halves(s, &h, begin - first, last - first);
		begin = last;
	}
}

/* Bytes that a step's tiles pass over of n panels. */
static size_t bytes_of(const struct tensor *w, size_t n, uint32_t n_tile)
{
	return n ? quant_packed_bytes(w->type, PANEL_ROWS, w->n_col) * n * n_tile : 0;
}

static void gate_up(const struct seat *s, int lap, const struct experts_in *in, const struct act *x)
{
	const struct experts_own *own = s->own->experts;
	size_t n = n_panel(s, in->gate), n_shared = n_panel(s, in->shared_gate), begin, end;
	size_t bytes = bytes_of(in->gate, n, own->n_tile) +
		       bytes_of(in->shared_gate, n_shared, linear_n_tile(s->m->batch->n_row));
	struct share share;

	share_begin(&share, s->m->share, s->m->team, s->worker, n_shared + own->n_run * n,
		    linear_pieces(2 * bytes / (size_t)s->team->n));
	while (share_next(&share, &begin, &end))
		mul_piece(s, in, x, begin, end);
	seat_meet(s, lap);
}

/* sum = the shared expert's, or nothing: where a row's experts begin to add up, in the node's panels [begin, end). */
static void begin_sum(const struct seat *s, const struct experts_in *in, const struct packed_ff *x, size_t begin,
		      size_t end)
{
	const struct model *m = s->m;
	uint32_t row0 = in->down->part[s->team->index].row0;
	size_t n = (end - begin) * PANEL_ROWS;
	const float *by = is_alone(s) ? s->own->experts->shared : m->experts->shared;

	if (in->shared_down) {
		struct act a = rows_of(&x->shared, 0, m->batch->n_row);
		struct tensor_part part = part_of(s, in->shared_down, 0);

		linear_mul(s, &(struct product){ &a, in->shared_down, &part, m->reduce.sum[0] + row0, m->x_stride },
			   begin, end);
	}
	for (size_t r = 0; r < m->batch->n_row; r++) {
		float *sum = m->reduce.sum[0] + r * m->x_stride + row0 + begin * PANEL_ROWS;

		if (!in->shared_down)
			memset(sum, 0, n * sizeof(*sum));
		else if (in->shared_inp)
			m->k->scale(sum, n, by[r]);
	}
}

/* sum += weight * (Wdown . h + bias) of a tile of an expert's rows. */
static void add_tile(const struct seat *s, const struct experts_in *in, const struct packed_ff *x, uint32_t expert,
		     const struct experts_tile *t, size_t begin, size_t end)
{
	const struct model *m = s->m;
	const struct experts_pair *pair = s->own->experts->pair + t->pair0;
	struct tensor_part part = part_of(s, in->down, expert);
	struct act a = rows_of(&x->pairs, t->pair0, t->n);
	const float *all = vector(s, in->down_bias),
		    *bias = all ? all + (size_t)expert * m->hp.n_embd + part.row0 : NULL;
	size_t at = begin * PANEL_ROWS, n = (end - begin) * PANEL_ROWS;

	linear_mul(s, &(struct product){ &a, in->down, &part, s->own->norm, m->x_stride }, begin, end);
	for (uint32_t i = 0; i < t->n; i++, pair++) {
		float *y = s->own->norm + (size_t)i * m->x_stride;

		add_bias(m, y, bias, part.n_row, begin, end);
		if (!in->is_on_input)
			m->k->scale(y + at, n, pair->weight);
		m->k->add(m->reduce.sum[0] + (size_t)pair->row * m->x_stride + part.row0 + at, y + at, n);
	}
}

/* Panels [begin, end) of all rows: what an expert adds comes in ascending order of experts, whoever's the piece is. */
static void down_piece(const struct seat *s, const struct experts_in *in, const struct packed_ff *x, size_t begin,
		       size_t end)
{
	const struct experts_own *own = s->own->experts;

	begin_sum(s, in, x, begin, end);
	for (uint32_t i = 0; i < own->n_run; i++) {
		const struct experts_run *run = &own->run[i];
		const struct experts_tile *t = own->tile + run->tile0;

		for (uint32_t k = 0; k < run->n_tile; k++)
			add_tile(s, in, x, run->expert, &t[k], begin, end);
	}
}

/* Half as many as elsewhere: each goes through all experts, and of each its panels should be a stretch that is worth to begin. */
static size_t down_pieces(size_t bytes)
{
	return (linear_pieces(bytes) + 1) / 2;
}

static void down(const struct seat *s, int lap, const struct experts_in *in, const struct packed_ff *x)
{
	const struct experts_own *own = s->own->experts;
	bool is_at_once = residual_leave(s, &s->m->plan->row, &in->post, NULL);
	size_t n = n_panel(s, in->down), row0 = in->down->part[s->team->index].row0 / PANEL_ROWS, begin, end;
	struct share share;

	s->own->residual.beside = in->beside.norm.w ? &in->beside : NULL;
	if (in->scale)
		s->own->residual.scale = *vector(s, in->scale);
	share_begin(&share, s->m->share, s->m->team, s->worker, n,
		    down_pieces(bytes_of(in->down, n, own->n_tile) / (size_t)s->team->n));
	while (share_next(&share, &begin, &end)) {
		size_t step =
			linear_group(in->down, s->m->hp.n_ff_expert, linear_n_tile(s->m->batch->n_row), end - begin);

		for (size_t at = begin, to; at < end; at = to) {
			to = min_size(at + step, end);
			down_piece(s, in, x, at, to);
			if (is_at_once)
				residual_add_at_once(s, row0 + at, row0 + to);
		}
	}
	seat_meet(s, lap);
}

void block_experts(const struct seat *s, int lap, const struct experts_in *in)
{
	struct act x;
	struct packed_ff ff;

	logits(s, lap, in);
	choose(s, in);
	x = pack_in(s, in);
	gate_up(s, lap + 1, in, &x);
	ff = pack_ff(s, in);
	down(s, lap + 2, in, &ff);
}
