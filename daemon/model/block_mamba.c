/*
 * Mamba (Gu and Dao 2023): each channel is a row of a state of n_key columns, that decays by channel and column. With one product [x, z] of
 * the norm,
 *   x = silu(conv(x)),  [dt, B, C] = Wx . x, each normed where files ask for it (ssm.dt_b_c_rms),  dt = softplus(Wdt . dt + dt_bias)
 *   s = exp(dt * a) * s + (dt * x) B,  y = s.C + d * x,   the source of the output product: y * silu(z)
 * Behind the products a row has [dt, B, C], then dt of all channels, then y.
 */
#include "daemon/model/mamba.h"

#include "daemon/util/minmax.h"

#include <math.h>

/* Rows are normed whole, in slices of every so many rows. */
#define NORM_SLICES 8u

static uint32_t step_at(const struct model *m)
{
	return m->mix.more + state_pad(m->hp.ssm.time_step_rank + 2 * m->hp.ssm.state_size);
}

static uint32_t y_at(const struct model *m)
{
	return step_at(m) + m->hp.ssm.inner_size;
}

static uint32_t n_more(const struct model *m)
{
	return y_at(m) + m->hp.ssm.inner_size - m->mix.more;
}

/* ---- what a node keeps: rings of its units, then their state and guesses ---- */

static uint32_t n_unit(const struct model *m)
{
	return mamba_n_unit(m->hp.ssm.inner_size);
}

static size_t unit_floats(const struct model *m)
{
	uint32_t n_key = m->hp.ssm.state_size;

	return (size_t)MAMBA_UNIT * n_key +
	       (size_t)REQUEST_DRAFT_MAX * mix_kept(RECUR_RATE, MAMBA_UNIT, n_key, MAMBA_UNIT);
}

static size_t state_bytes(const struct model *m, uint32_t node)
{
	struct plan_range own = mix_units(m, n_unit(m), node);

	return (mamba_ring_floats(m, n_unit(m), node) + (own.end - own.begin) * unit_floats(m)) * sizeof(float);
}

/* ---- stages ---- */

static void run_conv(const struct mix_seq *q, uint32_t unit)
{
	mamba_conv(q, unit, 0, q->s->m->hp.ssm.inner_size);
}

static struct mix_product product_x(const struct model *m, const struct mix_in *in)
{
	return (struct mix_product){ .w = in->x, .src = 0, .dst = m->mix.more };
}

static uint32_t n_slice(const struct model *m)
{
	return m->hp.ssm.is_normed ? NORM_SLICES : 0;
}

/* x[n] = rms_norm(x), without weights. */
static void norm(const struct model *m, float *x, uint32_t n)
{
	m->k->l2_norm(x, x, n, (float)n * m->hp.norm_eps);
	m->k->scale(x, n, sqrtf((float)n));
}

static void run_norm(const struct mix_seq *q, uint32_t slice)
{
	const struct model *m = q->s->m;
	uint32_t rank = m->hp.ssm.time_step_rank, n_key = m->hp.ssm.state_size;

	for (uint32_t i = slice; i < q->seq->n_row; i += NORM_SLICES) {
		float *x = q->row + (size_t)i * m->mix.stride + m->mix.more;

		norm(m, x, rank);
		norm(m, x + rank, n_key);
		norm(m, x + rank + n_key, n_key);
	}
}

static struct mix_product product_dt(const struct model *m, const struct mix_in *in)
{
	return (struct mix_product){ .w = in->dt, .src = m->mix.more, .dst = step_at(m) };
}

static struct mix_recur recurrence(const struct mix_seq *q, uint32_t unit, uint32_t n)
{
	const struct model *m = q->s->m;
	uint32_t node = q->s->team->index, n_key = m->hp.ssm.state_size, channel = unit * MAMBA_UNIT;
	struct plan_range own = mix_units(m, n_unit(m), node);
	float *b = q->row + m->mix.more + m->hp.ssm.time_step_rank;
	float *state =
		(float *)(void *)q->state + mamba_ring_floats(m, n_unit(m), node) + (unit - own.begin) * unit_floats(m);

	return (struct mix_recur){ .form = RECUR_RATE,
				   .in = { .s = state,
					   .rate = (const float *)q->in->a->part[node].data + (size_t)channel * n_key,
					   .n_key = (int)n_key,
					   .stride = m->mix.stride,
					   .w = q->row + step_at(m) + channel,
					   .v = q->row + channel,
					   .b = b,
					   .q = b + n_key,
					   .y = q->row + y_at(m) + channel,
					   .y_stride = m->mix.stride },
				   .n_row = n,
				   .n_w = n,
				   .kept = state + (size_t)MAMBA_UNIT * n_key };
}

/* y = (y + d * x) * silu(z) of a row's channels; x is lost. */
static void finish(const struct mix_seq *q, float *row, uint32_t channel, uint32_t n)
{
	const struct model *m = q->s->m;
	const float *d = q->in->d->part[q->s->team->index].data;
	float *y = row + y_at(m) + channel;

	m->k->mul(row + channel, d + channel, n);
	m->k->add(y, row + channel, n);
	m->k->silu_mul(y, row + m->mix.at[0] + m->hp.ssm.inner_size + channel, y, n);
}

static void run_unit(const struct mix_seq *q, uint32_t unit)
{
	const struct model *m = q->s->m;
	uint32_t channel = unit * MAMBA_UNIT, n = min_u32(m->hp.ssm.inner_size - channel, MAMBA_UNIT);
	const float *bias = q->in->dt_bias->part[q->s->team->index].data;
	struct mix_recur r = recurrence(q, unit, n);

	for (uint32_t i = 0; i < q->seq->n_row; i++) {
		float *dt = q->row + (size_t)i * m->mix.stride + step_at(m) + channel;

		m->k->add(dt, bias + channel, n);
		m->k->softplus(dt, n);
	}
	mix_recur(q, &r);
	for (uint32_t i = 0; i < q->seq->n_row; i++)
		finish(q, q->row + (size_t)i * m->mix.stride, channel, n);
}

const struct mixer block_mamba = {
	.stage = { { n_unit, run_conv, NULL }, { n_slice, run_norm, product_x }, { n_unit, run_unit, product_dt } },
	.n_more = n_more,
	.y_at = y_at,
	.state_bytes = state_bytes,
};
