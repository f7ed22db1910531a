#include "daemon/model/arch.h"
#include "daemon/util/profile.h"

#include <string.h>

uint32_t linear_kind(const struct tensor *t)
{
	return 1u << quant_info(t->type)->act;
}

static void pack_tile(const struct model *m, struct scratch *s, const struct act *a, const struct act_source *src,
		      uint32_t tile)
{
	uint32_t row0 = tile * ACT_TILE;
	uint32_t n = src->n_row - row0 < ACT_TILE ? src->n_row - row0 : ACT_TILE;
	const float *x = src->x + row0 * src->stride;
	size_t stride = src->stride;

	if (src->norm) {
		for (uint32_t i = 0; i < n; i++) {
			uint32_t row = src->row ? src->row[row0 + i] : row0 + i;

			m->k->rms_norm(s->norm + (size_t)i * m->x_stride, src->x + row * src->stride, src->norm,
				       src->n_col, m->hp.rms_eps);
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
	bool alone = s->n_row <= PACK_ALONE_ROWS;
	struct scratch *own = &m->scratch[worker];
	struct act *own_act = &own->act;
	uint32_t n_tile = (s->n_row + ACT_TILE - 1) / ACT_TILE, n_worker = (uint32_t)team_size(m->team);

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
	uint32_t n_tile = (a->n_row + ACT_TILE - 1) / ACT_TILE;
	enum act_kind kind = quant_info(w->type)->act;
	size_t step = group_panels(w, n_tile, panel1 - panel0);

	for (size_t p = panel0; p < panel1; p += step) {
		size_t end = p + step < panel1 ? p + step : panel1;

		for (uint32_t t = 0; t < n_tile; t++) {
			uint32_t row0 = t * ACT_TILE, n = a->n_row - row0 < ACT_TILE ? a->n_row - row0 : ACT_TILE;

			m->k->matmul[w->type](y + row0 * y_stride, y_stride, w->data,
					      a->tile[kind] + t * a->tile_bytes[kind], (int)n, w->n_col, p, end);
		}
	}
}
