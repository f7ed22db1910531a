#include "daemon/model/block.h"
#include "daemon/model/linear.h"
#include "daemon/model/residual.h"

/* What a node computes of the product, and of which columns of src. */
struct part {
	const struct plan_sum *sum;
	struct plan_range col, partial; /* partial: which of its sums */
	uint32_t row0, n_panel;         /* rows of each */
};

static struct part part_of(const struct seat *s, const struct tensor *w)
{
	const struct plan *plan = s->m->plan;
	const struct tensor_part *rows = &w->part[s->team->index];
	const struct plan_sum *sum = plan_sum(plan, w->axis);
	const struct plan_share *own;

	if (w->axis == PLAN_ROW)
		return (struct part){
			&plan->row, { 0, w->n_col }, { 0, 1 }, rows->row0, (rows->n_row + PANEL_ROWS - 1) / PANEL_ROWS
		};
	own = &sum->node[s->team->index];
	return (struct part){ sum, own->col, own->partial, 0,
			      own->col.begin < own->col.end ? s->m->x_stride / PANEL_ROWS : 0 };
}

/* src as the node's workers multiply it. */
static const struct act *pack(const struct seat *s, const struct tensor *w, const float *src, size_t stride,
			      struct plan_range col)
{
	return linear_pack(s, &(struct act_source){ .x = src + col.begin,
						    .stride = stride,
						    .n_row = s->m->batch->n_row,
						    .n_col = col.end - col.begin,
						    .col0 = col.begin,
						    .kinds = linear_kind(s->m, w),
						    .is_own = w->axis != PLAN_ROW });
}

/* Panels [begin, end) of the only partial sum. */
static void multiply(const struct seat *s, const struct residual_in *in, uint32_t row0, size_t begin, size_t end)
{
	const struct model *m = s->m;
	size_t at = row0 + begin * PANEL_ROWS;

	for (size_t r = 0; r < m->batch->n_row; r++)
		m->k->mul(m->reduce.sum[0] + r * m->x_stride + at, in->times + r * in->times_stride + at,
			  (end - begin) * PANEL_ROWS);
}

void block_residual(const struct seat *s, int lap, const struct residual_in *in, const float *src, size_t stride)
{
	const struct model *m = s->m;
	const struct tensor *w = in->w;
	struct part own = part_of(s, w);
	struct product p = { .x = pack(s, w, src, stride, own.col), .w = w, .y_stride = m->x_stride };
	bool is_at_once = !in->is_aside && residual_leave(s, own.sum, &in->norm, in->bias);
	struct share share;
	size_t begin, end;

	if (in->scale)
		s->own->residual.scale = *(const float *)in->scale->part[s->team->index].data;
	linear_share(&share, s, w, own.col.end - own.col.begin, own.n_panel, 1);
	while (share_next(&share, &begin, &end)) {
		for (uint32_t i = own.partial.begin; i < own.partial.end; i++) {
			p.part = &w->part[w->axis == PLAN_ROW ? (uint32_t)s->team->index : i];
			p.y = (in->is_aside ? m->aside : m->reduce.sum[i]) + own.row0;
			linear_mul(s, &p, begin, end);
			if (in->times)
				multiply(s, in, own.row0, begin, end);
		}
		if (is_at_once)
			residual_add_at_once(s, own.row0 / PANEL_ROWS + begin, own.row0 / PANEL_ROWS + end);
	}
	seat_meet(s, lap);
}
