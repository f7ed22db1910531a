/*
 * Mamba-2 (Dao and Gu 2024): a state of n_key columns a row, that decays by head. With one product [z, x B C, dt] of the norm,
 *   x B C = silu(conv(x B C)),  dt = softplus(dt + dt_bias)
 *   s = exp(dt * a) * s + (dt * x) B,  y = s.C + d * x,   of each head, B and C being its group's
 *   y = norm(y * silu(z)) by group, where there is a norm.
 * Behind the products a row has y of all heads, then each head's decay.
 */
#include "daemon/model/mamba.h"

#include <errno.h>

/* Rows are normed whole, in slices of every so many rows. */
#define NORM_SLICES 8u

/* Columns of a row: z and x of all channels, B and C of all groups, dt of all heads. */
static uint32_t bc_len(const struct model *m)
{
	return m->hp.ssm.group_count * m->hp.ssm.state_size;
}

static uint32_t dt_at(const struct model *m)
{
	return 2 * m->hp.ssm.inner_size + 2 * bc_len(m);
}

static uint32_t decay_at(const struct model *m)
{
	return m->mix.more + m->hp.ssm.inner_size;
}

static uint32_t head_dim(const struct model *m)
{
	return m->hp.ssm.inner_size / m->hp.ssm.time_step_rank;
}

/* ---- what a node keeps: rings of its channels, then state and guesses of its heads ---- */

static uint32_t n_conv_unit(const struct model *m)
{
	return mamba_n_unit(m->hp.ssm.inner_size + 2 * bc_len(m));
}

static size_t head_floats(const struct model *m)
{
	uint32_t n_row = head_dim(m), n_key = m->hp.ssm.state_size;

	return (size_t)n_row * n_key + (size_t)REQUEST_DRAFT_MAX * mix_kept(RECUR_DECAY, n_row, n_key, 1);
}

static uint32_t n_head(const struct model *m)
{
	return m->hp.ssm.time_step_rank;
}

static size_t state_bytes(const struct model *m, uint32_t node)
{
	struct plan_range head = mix_units(m, n_head(m), node);

	return (mamba_ring_floats(m, n_conv_unit(m), node) + (head.end - head.begin) * head_floats(m)) * sizeof(float);
}

/* ---- stages ---- */

static void run_conv(const struct mix_seq *q, uint32_t unit)
{
	const struct model *m = q->s->m;

	mamba_conv(q, unit, m->hp.ssm.inner_size, m->hp.ssm.inner_size + 2 * bc_len(m));
}

/* A row's dt and decay of one head. */
static void step_size(const struct mix_seq *q, float *row, uint32_t head)
{
	const struct model *m = q->s->m;
	uint32_t node = q->s->team->index;
	float *dt = row + dt_at(m) + head;

	*dt += ((const float *)q->in->dt_bias->part[node].data)[head];
	m->k->softplus(dt, 1);
	m->k->exps(row + decay_at(m) + head, dt, 1, ((const float *)q->in->a->part[node].data)[head], 0);
}

static struct mix_recur recurrence(const struct mix_seq *q, uint32_t head)
{
	const struct model *m = q->s->m;
	uint32_t n_row = head_dim(m), n_key = m->hp.ssm.state_size, inner = m->hp.ssm.inner_size;
	uint32_t group = head / (m->hp.ssm.time_step_rank / m->hp.ssm.group_count), node = q->s->team->index;
	float *b = q->row + 2 * inner + (size_t)group * n_key;
	float *state = (float *)(void *)q->state + mamba_ring_floats(m, n_conv_unit(m), node) +
		       (head - mix_units(m, n_head(m), node).begin) * head_floats(m);

	return (struct mix_recur){ .form = RECUR_DECAY,
				   .in = { .s = state,
					   .n_key = (int)n_key,
					   .stride = m->mix.stride,
					   .w = q->row + decay_at(m) + head,
					   .alpha = q->row + dt_at(m) + head,
					   .v = q->row + inner + (size_t)head * n_row,
					   .b = b,
					   .q = b + bc_len(m),
					   .y = q->row + m->mix.more + (size_t)head * n_row,
					   .y_stride = m->mix.stride },
				   .n_row = n_row,
				   .n_w = 1,
				   .kept = state + (size_t)n_row * n_key };
}

/* y[n] = (y + d * x) * silu(z); x is lost. */
static void finish_row(const struct model *m, float *y, float *x, float d, const float *z, size_t n)
{
	m->k->scale(x, n, d);
	m->k->add(y, x, n);
	m->k->silu_mul(y, z, y, n);
}

static void run_head(const struct mix_seq *q, uint32_t head)
{
	const struct model *m = q->s->m;
	uint32_t dim = head_dim(m), at = head * dim;
	struct mix_recur r = recurrence(q, head);
	float d = ((const float *)q->in->d->part[q->s->team->index].data)[head];
	float *row = q->row;

	for (uint32_t i = 0; i < q->seq->n_row; i++, row += m->mix.stride)
		step_size(q, row, head);
	mix_recur(q, &r);
	row = q->row;
	for (uint32_t i = 0; i < q->seq->n_row; i++, row += m->mix.stride)
		finish_row(m, row + m->mix.more + at, row + m->hp.ssm.inner_size + at, d, row + at, dim);
}

static uint32_t n_norm_unit(const struct model *m)
{
	return m->hp.ssm.group_count * NORM_SLICES;
}

static void run_norm(const struct mix_seq *q, uint32_t unit)
{
	const struct model *m = q->s->m;
	uint32_t dim = m->hp.ssm.inner_size / m->hp.ssm.group_count, at = unit / NORM_SLICES * dim;
	const float *w = q->in->y_norm.w ? q->in->y_norm.w->part[q->s->team->index].data : NULL;

	for (uint32_t i = unit % NORM_SLICES; w && i < q->seq->n_row; i += NORM_SLICES) {
		float *y = q->row + (size_t)i * m->mix.stride + m->mix.more + at;

		m->k->rms_norm(y, y, w + at, dim, m->hp.norm_eps);
	}
}

static uint32_t n_more(const struct model *m)
{
	return m->hp.ssm.inner_size + m->hp.ssm.time_step_rank;
}

static uint32_t y_at(const struct model *m)
{
	return m->mix.more;
}

const struct mixer block_mamba2 = {
	.stage = { { n_conv_unit, run_conv, NULL }, { n_head, run_head, NULL }, { n_norm_unit, run_norm, NULL } },
	.n_more = n_more,
	.y_at = y_at,
	.state_bytes = state_bytes,
};

int block_mamba2_read(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	int r = hparams_read_ssm(hp, g, arch, e);
	uint32_t n = hp->ssm.time_step_rank, dim;

	if (r < 0)
		return r;
	dim = hp->ssm.inner_size / n;
	if (hp->ssm.inner_size % n || n % hp->ssm.group_count)
		return error_set(e, -EINVAL, "%s.ssm: %u heads cannot share %u channels and %u groups evenly", arch, n,
				 hp->ssm.inner_size, hp->ssm.group_count);
	if (hp->ssm.state_size % LANES || hp->ssm.state_size > MIX_KEY_MAX || dim % LANES || dim > MIX_UNIT_MAX)
		return error_set(e, -ENOTSUP,
				 "%s.ssm: heads of %u keys and %u values: gyre runs multiples of %d up to %u and %u",
				 arch, hp->ssm.state_size, dim, LANES, MIX_KEY_MAX, MIX_UNIT_MAX);
	return 0;
}
