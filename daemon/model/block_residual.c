#include "daemon/model/block.h"
#include "daemon/model/linear.h"

/* The node's columns of src, packed by its workers for them. */
static const struct act *pack_columns(const struct seat *s, const struct tensor *w, const float *src, size_t stride,
				      struct plan_range col)
{
	return linear_pack(s, &(struct act_source){ .x = src + col.begin,
						    .stride = stride,
						    .n_row = s->m->batch->n_row,
						    .n_col = col.end - col.begin,
						    .col0 = col.begin,
						    .kinds = linear_kind(s->m, w),
						    .is_own = true });
}

/* x += the only partial sum there is, in the columns of panels [begin, end). */
static void add_at_once(const struct seat *s, size_t begin, size_t end)
{
	const struct model *m = s->m;

	for (size_t r = 0, at = begin * PANEL_ROWS; r < m->batch->n_row; r++, at += m->x_stride) {
		if (m->hp.residual_scale != 1)
			m->k->scale(m->reduce.sum[0] + at, (end - begin) * PANEL_ROWS, m->hp.residual_scale);
		m->k->add(m->x + at, m->reduce.sum[0] + at, (end - begin) * PANEL_ROWS);
	}
}

void block_residual(const struct seat *s, int lap, const struct residual_in *in, const float *src, size_t stride)
{
	const struct model *m = s->m;
	const struct tensor *w = in->w;
	const struct plan_sum *sum = plan_sum(m->plan, w->axis);
	const struct plan_share *own = &sum->node[s->team->index];
	struct residual *r = &s->own->residual;
	bool is_at_once = !in->norm && sum->n_partial == 1 && r->x == m->x;
	struct product p = { .x = pack_columns(s, w, src, stride, own->col), .w = w, .y_stride = m->x_stride };
	uint32_t n_col = own->col.end - own->col.begin;
	struct share share;
	size_t begin, end;

	linear_share(&share, s, w, n_col, n_col ? m->x_stride / PANEL_ROWS : 0, 1);
	while (share_next(&share, &begin, &end)) {
		for (uint32_t i = own->partial.begin; i < own->partial.end; i++) {
			p.part = &w->part[i];
			p.y = m->reduce.sum[i];
			linear_mul(s, &p, begin, end);
		}
		if (is_at_once)
			add_at_once(s, begin, end);
	}
	r->pending = is_at_once ? NULL : sum;
	r->norm = in->norm ? in->norm->part[s->team->index].data : NULL;
	seat_meet(s, lap);
}
