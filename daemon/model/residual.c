#include "daemon/model/residual.h"

void residual_start(const struct seat *s)
{
	struct residual *r = &s->own->residual;

	r->x = reduce_is_own(s->m->plan->n_node, s->m->batch->n_row) ? r->own : s->m->x;
	r->pending = NULL;
}

void residual_settle_row(const struct seat *s, size_t row)
{
	const struct residual *r = &s->own->residual;

	if (r->pending)
		reduce_add(&s->m->reduce, r->pending, r->x, row, 0, s->m->x_stride);
}

void residual_settle(const struct seat *s)
{
	struct residual *r = &s->own->residual;

	if (!r->pending || r->x != s->m->x)
		return;
	reduce_rows(&s->m->reduce, r->pending, s->m->team, s->worker, r->x, s->m->batch->n_row);
	r->pending = NULL;
}
