#include "daemon/model/residual.h"

#include "daemon/model/norm.h"

void residual_start(const struct seat *s)
{
	struct residual *r = &s->own->residual;

	r->x = reduce_is_own(s->m->plan->n_node, s->m->batch->n_row) ? r->own : s->m->x;
	r->pending = NULL;
}

void residual_add_at_once(const struct seat *s, size_t begin, size_t end)
{
	const struct model *m = s->m;
	const float *bias = s->own->residual.bias;

	for (size_t r = 0, at = begin * PANEL_ROWS; r < m->batch->n_row; r++, at += m->x_stride) {
		if (bias)
			m->k->add(m->reduce.sum[0] + at, bias + begin * PANEL_ROWS, (end - begin) * PANEL_ROWS);
		if (m->hp.residual_scale != 1)
			m->k->scale(m->reduce.sum[0] + at, (end - begin) * PANEL_ROWS, m->hp.residual_scale);
		m->k->add(m->x + at, m->reduce.sum[0] + at, (end - begin) * PANEL_ROWS);
	}
}

/* branch = both(branch + norm(aside)) */
static void add_beside(const struct seat *s, size_t row)
{
	const struct residual *r = &s->own->residual;
	const struct model *m = s->m;
	float *other = r->branch + m->x_stride;

	norm_row(m, &r->beside->norm, s->team->index, other, m->aside + row * m->x_stride, m->hp.n_embd);
	m->k->add(r->branch, other, m->hp.n_embd);
	norm_row(m, &r->beside->both, s->team->index, r->branch, r->branch, m->hp.n_embd);
}

/* Of what is normed before it is added a worker needs the whole row. */
static void settle_normed(const struct seat *s, size_t row)
{
	const struct residual *r = &s->own->residual;
	const struct model *m = s->m;

	reduce_row(&m->reduce, r->pending, r->bias, r->branch, row);
	norm_row(m, r->norm, s->team->index, r->branch, r->branch, m->hp.n_embd);
	if (r->beside)
		add_beside(s, row);
	if (m->hp.residual_scale != 1)
		m->k->scale(r->branch, m->hp.n_embd, m->hp.residual_scale);
	m->k->add(r->x + row * m->x_stride, r->branch, m->hp.n_embd);
	if (r->scale != 1)
		m->k->scale(r->x + row * m->x_stride, m->hp.n_embd, r->scale);
}

void residual_settle_row(const struct seat *s, size_t row)
{
	const struct residual *r = &s->own->residual;

	if (r->pending && r->norm)
		settle_normed(s, row);
	else if (r->pending)
		reduce_add(&s->m->reduce, r->pending, r->bias, r->x, row, 0, s->m->x_stride);
}

static void settle_normed_rows(const struct seat *s)
{
	size_t step = (size_t)team_size(s->m->team);

	for (size_t row = (size_t)s->worker; row < s->m->batch->n_row; row += step)
		settle_normed(s, row);
	profile_lap(PROFILE_REDUCE);
	team_barrier(s->m->team, s->worker);
}

void residual_settle(const struct seat *s)
{
	struct residual *r = &s->own->residual;

	if (!r->pending || r->x != s->m->x)
		return;
	if (r->norm)
		settle_normed_rows(s);
	else
		reduce_rows(&s->m->reduce, r->pending, r->bias, s->m->team, s->worker, r->x, s->m->batch->n_row);
	r->pending = NULL;
}

void residual_settle_all(const struct seat *s)
{
	struct residual *r = &s->own->residual;

	residual_settle(s);
	if (!r->pending)
		return;
	for (size_t row = 0; row < s->m->batch->n_row; row++)
		residual_settle_row(s, row);
	r->pending = NULL;
	profile_lap(PROFILE_REDUCE);
	team_barrier(s->m->team, s->worker);
}

bool residual_leave(const struct seat *s, const struct plan_sum *sum, const struct norm *norm,
		    const struct tensor *bias)
{
	struct residual *r = &s->own->residual;
	bool is_at_once = !norm->w && sum->n_partial == 1 && r->x == s->m->x;

	residual_settle_all(s);
	r->bias = bias ? bias->part[s->team->index].data : NULL;
	r->pending = is_at_once ? NULL : sum;
	r->norm = norm->w ? norm : NULL;
	r->beside = NULL;
	r->scale = 1;
	return is_at_once;
}
