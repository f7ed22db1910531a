#include "daemon/model/block_mix.h"

#include "daemon/model/linear.h"
#include "daemon/util/minmax.h"

/* Of the ranges that workers share out: a unit takes as long as its sequence has rows, and those differ. */
#define STAGE_PIECES 8u

/* The node's panels of all products, as one range that is shared out. */
static uint32_t n_panels(const struct tensor *w, uint32_t node)
{
	return (w->part[node].n_row + PANEL_ROWS - 1) / PANEL_ROWS;
}

static void project(const struct seat *s, const struct mix_in *in, uint32_t begin, uint32_t end)
{
	const struct mix *mix = &s->m->mix;
	uint32_t node = s->team->index, first = 0;

	for (int i = 0; i < MIX_PROJ_MAX && in->proj[i]; i++) {
		const struct tensor_part *part = &in->proj[i]->part[node];
		uint32_t n = n_panels(in->proj[i], node), from = max_u32(begin, first), to = min_u32(end, first + n);
		struct product p = { &s->own->act, in->proj[i], part, mix->row + mix->at[i] + part->row0, mix->stride };

		if (from < to)
			linear_mul(s, &p, from - first, to - first);
		first += n;
	}
}

static void products(const struct seat *s, int lap, const struct mix_in *in)
{
	struct act_source src = linear_source(s, &in->norm, NULL, s->m->batch->n_row);
	uint32_t n = 0;
	struct share share;
	size_t begin, end;

	for (int i = 0; i < MIX_PROJ_MAX && in->proj[i]; i++) {
		src.kinds |= linear_kind(s->m, in->proj[i]);
		n += n_panels(in->proj[i], s->team->index);
	}
	linear_pack(s, &src);
	linear_share(&share, s, in->proj[0], s->m->hp.n_embd, n, 1);
	while (share_next(&share, &begin, &end))
		project(s, in, (uint32_t)begin, (uint32_t)end);
	seat_meet(s, lap);
}

/* The node's units of all sequences. */
void block_mix_run(const struct seat *s, int lap, const struct mix_stage *stage, const struct mix_in *in,
		   uint32_t layer)
{
	struct model *m = s->m;
	const struct batch *b = m->batch;
	struct plan_range unit = mix_units(m, stage->n_unit(m), s->team->index);
	bool has_state = m->mix.mixer->state_bytes(m, s->team->index);
	size_t n = unit.end - unit.begin, begin, end;
	struct share share;

	share_begin(&share, m->share, m->team, s->worker, n * b->n_seq, STAGE_PIECES);
	while (share_next(&share, &begin, &end))
		for (size_t i = begin; i < end; i++) {
			const struct batch_seq *seq = &b->seq[i / n];
			struct mix_seq q = { s, in, seq, m->mix.row + (size_t)seq->row0 * m->mix.stride,
					     has_state ? memory_state(s->node, layer, seq->slot) : NULL };

			if (seq->n_row)
				stage->run(&q, unit.begin + (uint32_t)(i % n));
		}
	seat_meet(s, lap);
}

void block_mix_multiply(const struct seat *s, int lap, const struct mix_product *p)
{
	const struct model *m = s->m;
	struct tensor_part part = p->w->part[s->team->index];
	struct product product = { NULL, p->w, &part, m->mix.row + p->dst + part.row0, m->mix.stride };
	struct share share;
	size_t begin, end;

	part.data = weights_expert(&part, p->matrix);
	product.x = linear_pack(s, &(struct act_source){ .x = m->mix.row + p->src,
							 .stride = m->mix.stride,
							 .n_row = m->batch->n_row,
							 .n_col = p->w->n_col,
							 .kinds = linear_kind(m, p->w) });
	linear_share(&share, s, p->w, p->w->n_col, n_panels(p->w, s->team->index), 1);
	while (share_next(&share, &begin, &end)) {
		linear_mul(s, &product, begin, end);
		for (size_t i = 0; p->act && i < m->batch->n_row; i++)
			p->act(m->k, product.y + i * m->mix.stride + begin * PANEL_ROWS, (end - begin) * PANEL_ROWS);
	}
	seat_meet(s, lap);
}

void block_mix(const struct seat *s, int lap_products, int lap, const struct mix_in *in, uint32_t layer)
{
	const struct mix_stage *stage = s->m->mix.mixer->stage;

	products(s, lap_products, in);
	for (int i = 0; i < MIX_STAGE_MAX && stage[i].run; i++) {
		if (stage[i].product) {
			struct mix_product p = stage[i].product(s->m, in);

			block_mix_multiply(s, lap_products, &p);
		}
		block_mix_run(s, lap, &stage[i], in, layer);
	}
}
