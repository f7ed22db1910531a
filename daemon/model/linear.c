/*
 * Products with packed activations. A column-divided one leaves partial sums, which reduce.c adds to the residual stream; with
 * one node there is one, and who has computed columns of it adds them at once.
 */
#include "daemon/model/arch.h"
#include "daemon/util/minmax.h"
#include "daemon/util/profile.h"

/* A piece of a share-out passes so many bytes of weights through the caches at least: taking one costs a fraction of it. */
#define PIECE_BYTES_MIN (128u << 10)
#define PIECES_MIN      4u /* with fewer a range is not worth cutting */
#define PIECES_MAX      8u

uint32_t linear_kind(const struct tensor *t)
{
	return 1u << quant_info(t->type)->act;
}

static uint32_t n_tiles(uint32_t n_row)
{
	return (n_row + ACT_TILE - 1) / ACT_TILE;
}

/* As few tiles as it takes, of equal sizes: a small one costs most of what a full one does. */
static void tile_rows(uint32_t n_row, uint32_t tile, size_t *row0, size_t *n)
{
	uint32_t n_tile = n_tiles(n_row), each = n_row / n_tile, more = n_row % n_tile;

	*row0 = (size_t)tile * each + min_u32(tile, more);
	*n = each + (tile < more);
}

/* ---- packing ---- */

/* Floats in which it pays to divide what is packed: each worker saves more than a barrier takes. */
#define PACK_ALONE_MAX 16384u

/* Columns [begin, end) of a tile of n rows at x, stride floats apart. */
static void pack(const struct model *m, const struct act *a, uint32_t kinds, uint32_t tile, const float *x,
		 size_t stride, size_t n, size_t begin, size_t end)
{
	for (int kind = 0; kind < ACT_KIND_MAX; kind++)
		if (kinds & (1u << kind))
			m->k->act_pack[kind](a->tile[kind] + tile * a->tile_bytes[kind] +
						     act_tile_bytes((enum act_kind)kind, (int)n, begin),
					     x + begin, stride, (int)n, end - begin);
}

/* Rows are normed whole, so a worker does whole tiles. */
static void norm_and_pack(struct model *m, struct scratch *s, const struct act_source *src, uint32_t tile)
{
	size_t row0, n;

	tile_rows(src->n_row, tile, &row0, &n);
	for (size_t i = 0; i < n; i++) {
		size_t row = src->row ? src->row[row0 + i] : row0 + i;

		if (s->pending)
			reduce_add(&m->reduce, s->pending, s->x, row, 0, m->x_stride);
		m->k->rms_norm(s->norm + i * m->x_stride, src->x + row * src->stride, src->norm, src->n_col,
			       m->hp.rms_eps);
	}
	pack(m, &s->act, src->kinds, tile, s->norm, m->x_stride, n, 0, src->n_col);
}

/* What is not normed is divided by columns, most of which their packer has computed. */
static void pack_columns(const struct model *m, const struct act *a, const struct act_source *src, size_t begin,
			 size_t end)
{
	size_t row0, n;

	for (uint32_t tile = 0; tile < n_tiles(src->n_row); tile++) {
		tile_rows(src->n_row, tile, &row0, &n);
		pack(m, a, src->kinds, tile, src->x + row0 * src->stride, src->stride, n, begin, end);
	}
}

/* The i-th of n workers' share; of one worker, all. */
static void pack_share(struct model *m, struct scratch *own, const struct act_source *src, int i, int n)
{
	size_t begin, end;

	if (src->norm) {
		for (uint32_t tile = (uint32_t)i; tile < n_tiles(src->n_row); tile += (uint32_t)n)
			norm_and_pack(m, own, src, tile);
		own->pending = NULL;
		return;
	}
	team_range(src->n_col, n, i, src->kinds & 1u << ACT_Q8_K ? 256 : 32, &begin, &end);
	if (begin < end)
		pack_columns(m, &own->act, src, begin, end);
}

const struct act *linear_pack(struct model *m, int worker, const struct act_source *s)
{
	const struct team_node *node = team_node(m->team, worker);
	/* Every worker for itself, where that is cheaper than to meet once more. */
	bool alone = n_tiles(s->n_row) == 1 && (s->norm || (size_t)s->n_row * s->n_col < PACK_ALONE_MAX);
	struct scratch *own = &m->scratch[worker];
	struct act *own_act = &own->act;

	if (own->pending && s->norm && (alone || s->row) && own->x == m->x) {
		reduce_rows(&m->reduce, own->pending, m->team, worker, m->x, m->batch->n_row);
		own->pending = NULL;
	}
	/* The description is each worker's own; only tiles are shared. */
	own_act->n_row = s->n_row;
	own_act->col0 = s->col0;
	for (int kind = 0; kind < ACT_KIND_MAX; kind++)
		if (s->kinds & (1u << kind)) {
			size_t bytes = act_tile_bytes((enum act_kind)kind, ACT_TILE, s->n_col);

			own_act->tile_bytes[kind] = (bytes + 63) / 64 * 64;
			own_act->tile[kind] =
				alone ? own->tile_mem[kind] : m->node[s->is_own ? node->index : 0].tile_mem[kind];
		}
	if (alone)
		pack_share(m, own, s, 0, 1);
	else if (s->is_own)
		pack_share(m, own, s, worker - node->first, node->n);
	else
		pack_share(m, own, s, worker, team_size(m->team));
	profile_lap(PROFILE_NORM);
	if (!alone)
		team_barrier(m->team, worker);
	return own_act;
}

/* ---- products ---- */

/* Panels that stay in L2 while all tiles pass over them, so that each weight is read from memory once per step. */
static size_t group_panels(const struct tensor *w, size_t n_col, uint32_t n_tile, size_t n_panel)
{
	size_t bytes = quant_packed_bytes(w->type, PANEL_ROWS, n_col), n;

	if (n_tile <= 1)
		return n_panel;
	n = PANEL_GROUP_BYTES / bytes;
	return n > 0 ? n : 1;
}

void linear_mul(const struct model *m, const struct act *a, const struct tensor *w, const struct tensor_part *part,
		float *y, size_t y_stride, size_t panel0, size_t panel1)
{
	uint32_t n_tile = n_tiles(a->n_row);
	enum act_kind kind = quant_info(w->type)->act;
	size_t step = group_panels(w, part->n_col, n_tile, panel1 - panel0);

	for (size_t p = panel0; p < panel1; p += step) {
		size_t end = p + step < panel1 ? p + step : panel1;

		for (uint32_t t = 0; t < n_tile; t++) {
			const uint8_t *x = a->tile[kind] + t * a->tile_bytes[kind];
			size_t row0, n;

			tile_rows(a->n_row, t, &row0, &n);
			x += act_tile_bytes(kind, (int)n, part->col0 - a->col0);
			m->k->matmul[w->type](y + row0 * y_stride, y_stride, part->data, x, (int)n, &part->chunks, p,
					      end);
		}
	}
}

void linear_share(struct share *s, const struct model *m, int worker, const struct act *a, const struct tensor *w,
		  size_t n_col, size_t n_items, size_t item_panels)
{
	size_t bytes = quant_packed_bytes(w->type, PANEL_ROWS, n_col) * item_panels * n_items;
	size_t n = bytes * n_tiles(a->n_row) / (size_t)team_node(m->team, worker)->n / PIECE_BYTES_MIN;

	share_begin(s, m->share, m->team, worker, n_items, n < PIECES_MIN ? 1 : n < PIECES_MAX ? n : PIECES_MAX);
}

void linear_residual(struct model *m, int worker, const struct tensor *w, const float *src, size_t src_stride)
{
	const struct plan_sum *sum = plan_sum(m->plan, w->axis);
	const struct plan_share *own = &sum->node[team_node(m->team, worker)->index];
	uint32_t col0 = own->col.begin, n_col = own->col.end - col0;
	struct act_source source = { .x = src + col0,
				     .stride = src_stride,
				     .n_row = m->batch->n_row,
				     .n_col = n_col,
				     .col0 = col0,
				     .kinds = linear_kind(w),
				     .is_own = true };
	const struct act *a = linear_pack(m, worker, &source);
	size_t begin, end;
	bool is_at_once;
	struct share s;

	linear_share(&s, m, worker, a, w, n_col, n_col ? m->x_stride / PANEL_ROWS : 0, 1);
	is_at_once = sum->n_partial == 1 && m->scratch[worker].x == m->x;
	while (share_next(&s, &begin, &end)) {
		for (uint32_t i = own->partial.begin; i < own->partial.end; i++)
			linear_mul(m, a, w, &w->part[i], m->reduce.sum[i], m->x_stride, begin, end);
		if (is_at_once)
			for (size_t r = 0, at = begin * PANEL_ROWS; r < source.n_row; r++, at += m->x_stride)
				m->k->add(m->x + at, m->reduce.sum[0] + at, (end - begin) * PANEL_ROWS);
	}
	m->scratch[worker].pending = is_at_once ? NULL : sum;
}
