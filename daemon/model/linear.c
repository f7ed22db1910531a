#include "daemon/model/linear.h"

#include "daemon/model/norm.h"
#include "daemon/model/residual.h"
#include "daemon/util/minmax.h"

#include <string.h>

/* Panels that one pass over the token tiles reads: half of a small L2. */
#define PANEL_GROUP_BYTES (512u << 10)
/* A piece of a share-out passes so many bytes of weights through the caches at least: taking one costs a fraction of it. */
#define PIECE_BYTES_MIN (128u << 10)
#define PIECES_MIN      4u /* with fewer a range is not worth cutting */
#define PIECES_MAX      8u

const struct tensor_part *linear_part_of(const struct model *m, const struct tensor *t, uint32_t row)
{
	const struct tensor_part *part = t->part;

	for (uint32_t i = 1; i < m->plan->n_node && row >= part->row0 + part->n_row; i++)
		part++;
	return part;
}

uint32_t linear_kind(const struct model *m, const struct tensor *t)
{
	return 1u << m->k->act[t->type];
}

struct act_source linear_source(const struct seat *s, const struct norm *norm, const uint32_t *row, uint32_t n_row)
{
	return (struct act_source){ .x = s->own->residual.x,
				    .stride = s->m->x_stride,
				    .row = row,
				    .n_row = n_row,
				    .n_col = s->m->hp.n_embd,
				    .norm = norm };
}

uint32_t linear_n_tile(uint32_t n_row)
{
	return (n_row + ACT_TILE - 1) / ACT_TILE;
}

void linear_tile_rows(uint32_t n_row, uint32_t tile, size_t *row0, size_t *n)
{
	uint32_t n_tile = linear_n_tile(n_row), each = n_row / n_tile, more = n_row % n_tile;

	*row0 = (size_t)tile * each + min_u32(tile, more);
	*n = each + (tile < more);
}

size_t linear_row_bytes(enum act_kind kind, size_t n_col)
{
	return (act_tile_bytes(kind, 1, n_col) + 63) / 64 * 64;
}

/* ---- packing ---- */

/* Floats in which it pays to divide what is packed: each worker saves more than a barrier takes. */
#define PACK_ALONE_MAX 16384u

struct tile {
	const float *x; /* [n][stride] */
	size_t stride, row0, n;
};

/* Columns [begin, end) of a tile. */
static void pack(const struct seat *s, uint32_t kinds, const struct tile *t, size_t begin, size_t end)
{
	const struct act *a = &s->own->act;

	for (int kind = 0; kind < ACT_KIND_MAX; kind++)
		if (kinds & (1u << kind))
			s->m->k->act_pack[kind](a->tile[kind] + t->row0 * a->row_bytes[kind] +
							act_tile_bytes((enum act_kind)kind, (int)t->n, begin),
						t->x + begin, t->stride, (int)t->n, end - begin);
}

/* A row of the residual stream as it is multiplied. */
static void take_row(const struct seat *s, const struct act_source *src, float *y, size_t row)
{
	const float *x = src->x + row * src->stride;

	if (src->norm->w)
		norm_row(s->m, src->norm, s->team->index, y, x, src->n_col);
	else
		memcpy(y, x, src->n_col * sizeof(*y));
}

/* Rows are normed whole, so a worker does whole tiles. */
static void norm_and_pack(const struct seat *s, const struct act_source *src, uint32_t index)
{
	const struct model *m = s->m;
	float *rows = s->own->norm;
	struct tile t = { .stride = m->x_stride };

	linear_tile_rows(src->n_row, index, &t.row0, &t.n);
	if (src->keep && t.n < src->n_row)
		rows = src->keep + t.row0 * m->x_stride;
	for (size_t i = 0; i < t.n; i++) {
		size_t row = src->row ? src->row[t.row0 + i] : t.row0 + i;

		residual_settle_row(s, row);
		take_row(s, src, rows + i * m->x_stride, row);
	}
	t.x = rows;
	pack(s, src->kinds, &t, 0, src->n_col);
}

/* What is not normed is divided by columns, most of which their packer has computed. */
static void pack_columns(const struct seat *s, const struct act_source *src, size_t begin, size_t end)
{
	for (uint32_t i = 0; i < linear_n_tile(src->n_row); i++) {
		struct tile t = { .stride = src->stride };

		linear_tile_rows(src->n_row, i, &t.row0, &t.n);
		t.x = src->x + t.row0 * src->stride;
		pack(s, src->kinds, &t, begin, end);
	}
}

/* Columns that no cut divides: a block of each of the kinds, and of floats two lines. */
static size_t block_len(uint32_t kinds)
{
	size_t len = 32;

	for (int kind = 0; kind < ACT_KIND_MAX; kind++)
		if (kinds & (1u << kind) && act_block_len((enum act_kind)kind) > len)
			len = act_block_len((enum act_kind)kind);
	return len;
}

/* The i-th of n workers' share; of one worker, all. */
static void pack_share(const struct seat *s, const struct act_source *src, int i, int n)
{
	size_t begin, end;

	if (src->norm) {
		for (uint32_t tile = (uint32_t)i; tile < linear_n_tile(src->n_row); tile += (uint32_t)n)
			norm_and_pack(s, src, tile);
		s->own->residual.pending = NULL;
		return;
	}
	team_range(src->n_col, n, i, block_len(src->kinds), &begin, &end);
	if (begin < end)
		pack_columns(s, src, begin, end);
}

/* The description is each worker's own; only tiles are shared. */
static void describe(const struct seat *s, const struct act_source *src, bool is_alone)
{
	struct act *a = &s->own->act;

	a->n_row = src->n_row;
	a->col0 = src->col0;
	for (int kind = 0; kind < ACT_KIND_MAX; kind++)
		if (src->kinds & (1u << kind)) {
			a->row_bytes[kind] = linear_row_bytes((enum act_kind)kind, src->n_col);
			a->tile[kind] = is_alone ? s->own->tile_mem[kind]
						 : (src->is_own ? s->node : &s->m->node[0])->tile_mem[kind];
		}
}

const struct act *linear_pack(const struct seat *s, const struct act_source *src)
{
	/* Every worker for itself, where that is cheaper than to meet once more. */
	bool is_alone =
		linear_n_tile(src->n_row) == 1 && (src->norm || (size_t)src->n_row * src->n_col < PACK_ALONE_MAX);

	if (src->norm && (is_alone || src->row))
		residual_settle(s);
	describe(s, src, is_alone);
	if (is_alone)
		pack_share(s, src, 0, 1);
	else if (src->is_own)
		pack_share(s, src, seat_in_node(s), s->team->n);
	else
		pack_share(s, src, s->worker, team_size(s->m->team));
	profile_lap(PROFILE_NORM);
	if (!is_alone)
		team_barrier(s->m->team, s->worker);
	return &s->own->act;
}

/* ---- products ---- */

size_t linear_group(const struct tensor *w, size_t n_col, uint32_t n_tile, size_t n_panel)
{
	size_t bytes = quant_packed_bytes(w->type, PANEL_ROWS, n_col), n;

	if (n_tile <= 1)
		return n_panel;
	n = PANEL_GROUP_BYTES / bytes;
	return n > 0 ? n : 1;
}

void linear_mul(const struct seat *s, const struct product *p, size_t begin, size_t end)
{
	const struct act *a = p->x;
	uint32_t n_tile = linear_n_tile(a->n_row);
	enum act_kind kind = s->m->k->act[p->w->type];
	size_t step = linear_group(p->w, p->part->n_col, n_tile, end - begin);

	for (size_t at = begin; at < end; at += step) {
		size_t to = min_size(at + step, end);

		for (uint32_t t = 0; t < n_tile; t++) {
			const uint8_t *x;
			size_t row0, n;

			linear_tile_rows(a->n_row, t, &row0, &n);
			x = a->tile[kind] + row0 * a->row_bytes[kind] +
			    act_tile_bytes(kind, (int)n, p->part->col0 - a->col0);
			s->m->k->matmul[p->w->type](p->y + row0 * p->y_stride, p->y_stride, p->part->data, x, (int)n,
						    &p->part->chunks, at, to);
		}
	}
}

size_t linear_pieces(size_t bytes)
{
	size_t n = bytes / PIECE_BYTES_MIN;

	return n < PIECES_MIN ? 1 : n < PIECES_MAX ? n : PIECES_MAX;
}

void linear_share(struct share *share, const struct seat *s, const struct tensor *w, size_t n_col, size_t n_items,
		  size_t item_panels)
{
	size_t bytes = quant_packed_bytes(w->type, PANEL_ROWS, n_col) * item_panels * n_items;

	share_begin(share, s->m->share, s->m->team, s->worker, n_items,
		    linear_pieces(bytes * linear_n_tile(s->own->act.n_row) / (size_t)s->team->n));
}
