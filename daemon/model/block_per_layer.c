/*
 * Each token has, beside its embedding, some numbers for each layer, which join the residual stream behind it (Gemma 3n, 4). They depend on
 * the token and its embedding alone, so all layers' are made when a pass begins.
 */
#include "daemon/model/block.h"
#include "daemon/model/linear.h"
#include "daemon/model/norm.h"
#include "daemon/util/minmax.h"

#include <math.h>

#define SQRT_HALF 0.70710678118654752f

static const struct norm as_it_is = { 0 };

static size_t n_panel(const struct tensor_part *part)
{
	return (part->n_row + PANEL_ROWS - 1) / PANEL_ROWS;
}

static void project(const struct seat *s, int lap)
{
	const struct model *m = s->m;
	const struct tensor *w = m->per_layer.proj;
	const struct tensor_part *part = &w->part[s->team->index];
	struct act_source src = linear_source(s, &as_it_is, NULL, m->batch->n_row);
	struct product p = { &s->own->act, w, part, m->per_layer.row + part->row0, m->per_layer.stride };
	struct share share;
	size_t begin, end;

	src.kinds = linear_kind(m, w);
	linear_pack(s, &src);
	linear_share(&share, s, w, m->hp.n_embd, n_panel(part), 1);
	while (share_next(&share, &begin, &end))
		linear_mul(s, &p, begin, end);
	seat_meet(s, lap);
}

/* A layer's part of a row: x has its product. */
static void finish(const struct seat *s, float *x, float *embd)
{
	const struct model *m = s->m;
	size_t n = m->hp.n_per_layer;

	m->k->scale(x, n, 1.0f / sqrtf((float)m->hp.n_embd));
	norm_row(m, &m->per_layer.norm, s->team->index, x, x, n);
	m->k->scale(embd, n, sqrtf((float)n));
	m->k->add(x, embd, n);
	m->k->scale(x, n, SQRT_HALF);
}

void block_per_layer_embed(const struct seat *s, int lap)
{
	const struct model *m = s->m;
	const struct tensor *embd = m->per_layer.embd;
	size_t step = (size_t)team_size(m->team), n = m->hp.n_per_layer;

	project(s, lap);
	for (size_t r = (size_t)s->worker; r < m->batch->n_row; r += step) {
		uint32_t token = (uint32_t)m->batch->token[r];
		const struct tensor_part *part = linear_part_of(m, embd, token);

		quant_dequantize_row(embd->type, s->own->embd, part->data, token - part->row0, part->n_col);
		for (size_t i = 0; i < m->hp.n_layer; i++)
			finish(s, m->per_layer.row + r * m->per_layer.stride + i * n, s->own->embd + i * n);
	}
	seat_meet(s, lap);
}

void block_per_layer(const struct seat *s, int lap, const struct per_layer_in *in, uint32_t layer)
{
	const struct model *m = s->m;
	const struct tensor_part *part = &in->gate->part[s->team->index];
	const float *numbers = m->per_layer.row + (size_t)layer * m->hp.n_per_layer + part->row0;
	struct act_source src = linear_source(s, &as_it_is, NULL, m->batch->n_row);
	struct product p = { &s->own->act, in->gate, part, m->gate + part->row0, m->ff_stride };
	struct share share;
	size_t begin, end;

	src.kinds = linear_kind(m, in->gate);
	linear_pack(s, &src);
	linear_share(&share, s, in->gate, m->hp.n_embd, n_panel(part), 1);
	while (share_next(&share, &begin, &end)) {
		size_t at = begin * PANEL_ROWS, n = min_size(end * PANEL_ROWS, part->n_row) - at;

		linear_mul(s, &p, begin, end);
		for (size_t r = 0; r < m->batch->n_row; r++) {
			float *y = p.y + r * p.y_stride + at;

			m->k->gelu_mul(y, y, numbers + r * m->per_layer.stride + at, n);
		}
	}
	seat_meet(s, lap);
	block_residual(s, lap, &in->proj, m->gate, m->ff_stride);
}
