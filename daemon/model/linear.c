#include "daemon/model/arch.h"
#include "daemon/util/profile.h"

#include <string.h>

/* A piece of a share-out passes so many bytes of weights through the caches at least: taking one costs a fraction of it. */
#define PIECE_BYTES_MIN (128u << 10)
#define PIECES_MIN      4u /* with fewer a range is not worth cutting */
#define PIECES_MAX      8u

uint32_t linear_kind(const struct tensor *t)
{
	return 1u << quant_info(t->type)->act;
}

/* Tiles of nearly the same number of rows: a product costs per tile what it unpacks, so 9 rows are 5 and 4, not 8 and 1. */
static uint32_t n_tiles(uint32_t n_row)
{
	return (n_row + ACT_TILE - 1) / ACT_TILE;
}

static void tile_rows(uint32_t n_row, uint32_t tile, size_t *row0, size_t *n)
{
	team_range(n_row, (int)n_tiles(n_row), (int)tile, 1, row0, n);
	*n -= *row0;
}

static void pack_tile(const struct model *m, struct scratch *s, const struct act *a, const struct act_source *src,
		      uint32_t tile)
{
	size_t stride = src->stride, row0, n;
	const float *x;

	tile_rows(src->n_row, tile, &row0, &n);
	x = src->x + row0 * stride;
	if (src->norm) {
		for (size_t i = 0; i < n; i++) {
			size_t row = src->row ? src->row[row0 + i] : row0 + i;

			m->k->rms_norm(s->norm + i * m->x_stride, src->x + row * src->stride, src->norm, src->n_col,
				       m->hp.rms_eps);
		}
		x = s->norm;
		stride = m->x_stride;
	}
	for (int kind = 0; kind < ACT_KIND_MAX; kind++)
		if (src->kinds & (1u << kind))
			m->k->act_pack[kind](a->tile[kind] + tile * a->tile_bytes[kind], x, stride, (int)n, src->n_col);
}

const struct act *linear_pack(struct model *m, int worker, const struct act_source *s)
{
	uint32_t n_tile = n_tiles(s->n_row), n_worker = (uint32_t)team_size(m->team);
	bool alone = n_tile == 1; /* every worker for itself: cheaper than to meet once more */
	struct scratch *own = &m->scratch[worker];
	struct act *own_act = &own->act;

	/* The description is each worker's own; only tiles are shared. */
	own_act->n_row = s->n_row;
	for (int kind = 0; kind < ACT_KIND_MAX; kind++)
		if (s->kinds & (1u << kind)) {
			size_t bytes = act_tile_bytes((enum act_kind)kind, ACT_TILE, s->n_col);

			own_act->tile_bytes[kind] = (bytes + 63) / 64 * 64;
			own_act->tile[kind] = alone ? own->tile_mem[kind] : m->tile_mem[kind];
		}
	for (uint32_t tile = alone ? 0 : (uint32_t)worker; tile < n_tile; tile += alone ? 1 : n_worker)
		pack_tile(m, own, own_act, s, tile);
	profile_lap(PROFILE_NORM);
	if (!alone)
		team_barrier(m->team, worker);
	return own_act;
}

/* Panels that stay in L2 while all tiles pass over them, so that each weight is read from memory once per step. */
static size_t group_panels(const struct tensor *w, uint32_t n_tile, size_t n_panel)
{
	size_t bytes = quant_packed_bytes(w->type, PANEL_ROWS, w->n_col), n;

	if (n_tile <= 1)
		return n_panel;
	n = PANEL_GROUP_BYTES / bytes;
	return n > 0 ? n : 1;
}

void linear_mul(const struct model *m, const struct act *a, const struct tensor *w, float *y, size_t y_stride,
		size_t panel0, size_t panel1)
{
	uint32_t n_tile = n_tiles(a->n_row);
	enum act_kind kind = quant_info(w->type)->act;
	size_t step = group_panels(w, n_tile, panel1 - panel0);

	for (size_t p = panel0; p < panel1; p += step) {
		size_t end = p + step < panel1 ? p + step : panel1;

		for (uint32_t t = 0; t < n_tile; t++) {
			size_t row0, n;

			tile_rows(a->n_row, t, &row0, &n);
			m->k->matmul[w->type](y + row0 * y_stride, y_stride, w->data,
					      a->tile[kind] + t * a->tile_bytes[kind], (int)n, w->n_col, p, end);
		}
	}
}

void linear_share(struct share *s, const struct model *m, int worker, const struct act *a, const struct tensor *w,
		  size_t n_items, size_t item_panels)
{
	size_t bytes = quant_packed_bytes(w->type, PANEL_ROWS, w->n_col) * item_panels * n_items;
	size_t n = bytes * n_tiles(a->n_row) / (size_t)team_size(m->team) / PIECE_BYTES_MIN;

	share_begin(s, m->share, m->team, worker, n_items, n < PIECES_MIN ? 1 : n < PIECES_MAX ? n : PIECES_MAX);
}
