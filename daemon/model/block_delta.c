#include "daemon/model/block_delta.h"

#include "daemon/model/norm.h"
#include "daemon/util/minmax.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define INTERVAL 4u    /* every so many layers there is an attention */
#define L2_EPS   1e-6f /* of q's and k's length: flash-linear-attention's; files have no key for it */

/* ---- shape ---- */

static uint32_t head_dim(const struct model *m)
{
	return m->hp.ssm.inner_size / m->hp.ssm.time_step_rank;
}

/* The columns of q, k and v are units of the convolution: a head each, q's and k's of group_count groups, v's of time_step_rank. */
static uint32_t n_unit_of_keys(const struct model *m)
{
	return 2 * m->hp.ssm.group_count;
}

static uint32_t channel_of(const struct model *m, uint32_t unit)
{
	uint32_t n_key = n_unit_of_keys(m), all = n_key + m->hp.ssm.time_step_rank;

	return min_u32(unit, n_key) * m->hp.ssm.state_size +
	       (unit > n_key ? min_u32(unit, all) - n_key : 0) * head_dim(m);
}

/* A node's state: the rings of its units of the convolution, then of its heads the state and what their guesses are kept as. */
static size_t ring_floats(const struct model *m, uint32_t begin, uint32_t end)
{
	return (size_t)mix_ring_rows(m) * (channel_of(m, end) - channel_of(m, begin));
}

static size_t state_floats(const struct model *m)
{
	return (size_t)head_dim(m) * m->hp.ssm.state_size;
}

static size_t kept_floats(const struct model *m)
{
	return (size_t)REQUEST_DRAFT_MAX * mix_kept(RECUR_DELTA, head_dim(m), m->hp.ssm.state_size, 1);
}

static uint32_t n_prepare(const struct model *m)
{
	return n_unit_of_keys(m) + m->hp.ssm.time_step_rank + 1;
}

static uint32_t n_head(const struct model *m)
{
	return m->hp.ssm.time_step_rank;
}

static size_t state_bytes(const struct model *m, uint32_t node)
{
	struct plan_range conv = mix_units(m, n_prepare(m), node), head = mix_units(m, n_head(m), node);

	return (ring_floats(m, conv.begin, conv.end) + (head.end - head.begin) * (state_floats(m) + kept_floats(m))) *
	       sizeof(float);
}

/* Behind the products: w and beta of each head. */
static uint32_t w_at(const struct model *m)
{
	return m->mix.more;
}

static uint32_t beta_at(const struct model *m)
{
	return m->mix.more + n_head(m);
}

static uint32_t n_more(const struct model *m)
{
	return 2 * n_head(m);
}

static uint32_t v_at(const struct model *m)
{
	return channel_of(m, n_unit_of_keys(m));
}

/* ---- before the recurrence ---- */

static float *row_of(const struct mix_seq *q, uint32_t i, uint32_t at)
{
	return q->row + (size_t)i * q->s->m->mix.stride + at;
}

/* A head of q, k or v of all rows. */
static void prepare_head(const struct mix_seq *q, uint32_t unit)
{
	const struct model *m = q->s->m;
	struct plan_range own = mix_units(m, n_prepare(m), q->s->team->index);
	uint32_t n = channel_of(m, unit + 1) - channel_of(m, unit), at = channel_of(m, unit), n_key = n_unit_of_keys(m);
	float scale = 1.0f / sqrtf((float)m->hp.ssm.state_size);

	mix_conv(q, &(struct mix_conv){ at, n, at, (float *)(void *)q->state + ring_floats(m, own.begin, unit) });
	for (uint32_t i = 0; i < q->seq->n_row; i++) {
		float *x = row_of(q, i, at);

		m->k->silu(x, n);
		if (unit < n_key)
			m->k->l2_norm(x, x, n, L2_EPS);
		if (unit < n_key / 2)
			m->k->scale(x, n, scale);
	}
}

/* w and beta of all heads of a row, from alpha and beta as they came. */
static void finish_gates(const struct mix_seq *q, uint32_t i)
{
	const struct model *m = q->s->m;
	const struct kernels *k = m->k;
	uint32_t node = q->s->team->index, n = n_head(m);
	float *w = row_of(q, i, w_at(m));

	k->add(w, q->in->dt_bias->part[node].data, n);
	k->softplus(w, n);
	k->mul(w, q->in->a->part[node].data, n);
	k->exps(w, w, n, 1, 0);
	k->sigmoid(row_of(q, i, beta_at(m)), n);
}

static void prepare_tiled(const struct mix_seq *q, uint32_t unit)
{
	const struct mix *mix = &q->s->m->mix;
	size_t bytes = n_head(q->s->m) * sizeof(float);

	if (unit + 1 < n_prepare(q->s->m)) {
		prepare_head(q, unit);
		return;
	}
	for (uint32_t i = 0; i < q->seq->n_row; i++) {
		memcpy(row_of(q, i, beta_at(q->s->m)), row_of(q, i, mix->at[2]), bytes);
		memcpy(row_of(q, i, w_at(q->s->m)), row_of(q, i, mix->at[3]), bytes);
		finish_gates(q, i);
	}
}

static void prepare_grouped(const struct mix_seq *q, uint32_t unit)
{
	const struct model *m = q->s->m;
	uint32_t n = n_head(m) / m->hp.ssm.group_count;

	if (unit + 1 < n_prepare(m)) {
		prepare_head(q, unit);
		return;
	}
	for (uint32_t i = 0; i < q->seq->n_row; i++) {
		const float *both = row_of(q, i, m->mix.at[2]);

		for (uint32_t g = 0; g < m->hp.ssm.group_count; g++, both += 2 * n) {
			memcpy(row_of(q, i, beta_at(m) + g * n), both, n * sizeof(*both));
			memcpy(row_of(q, i, w_at(m) + g * n), both + n, n * sizeof(*both));
		}
		finish_gates(q, i);
	}
}

/* ---- the recurrence ---- */

static void finish_head(const struct mix_seq *q, uint32_t head)
{
	const struct model *m = q->s->m;
	uint32_t n = head_dim(m), at = v_at(m) + head * n;

	for (uint32_t i = 0; i < q->seq->n_row; i++) {
		float *y = row_of(q, i, at);

		norm_row(m, &q->in->y_norm, q->s->team->index, y, y, n);
		m->k->silu_mul(y, row_of(q, i, m->mix.at[1] + head * n), y, n);
	}
}

static void recur(const struct mix_seq *q, uint32_t head, uint32_t group)
{
	const struct model *m = q->s->m;
	uint32_t node = q->s->team->index, n_key = m->hp.ssm.state_size, n = head_dim(m);
	struct plan_range conv = mix_units(m, n_prepare(m), node), own = mix_units(m, n_head(m), node);
	float *state = (float *)(void *)q->state + ring_floats(m, conv.begin, conv.end) +
		       (head - own.begin) * (state_floats(m) + kept_floats(m));
	float *v = q->row + v_at(m) + (size_t)head * n;
	struct mix_recur r = {
		.form = RECUR_DELTA,
		.in = { .s = state,
			.n_key = (int)n_key,
			.stride = m->mix.stride,
			.w = q->row + w_at(m) + head,
			.v = v,
			.b = q->row + channel_of(m, m->hp.ssm.group_count + group),
			.q = q->row + channel_of(m, group),
			.alpha = q->row + beta_at(m) + head,
			.y = v,
			.y_stride = m->mix.stride },
		.n_row = n,
		.n_w = 1,
		.kept = state + state_floats(m),
	};

	mix_recur(q, &r);
	finish_head(q, head);
}

static void recur_tiled(const struct mix_seq *q, uint32_t head)
{
	recur(q, head, head % q->s->m->hp.ssm.group_count);
}

static void recur_grouped(const struct mix_seq *q, uint32_t head)
{
	recur(q, head, head / (n_head(q->s->m) / q->s->m->hp.ssm.group_count));
}

/* ---- what architectures take ---- */

const struct mixer delta_tiled = {
	.stage = { { .n_unit = n_prepare, .run = prepare_tiled }, { .n_unit = n_head, .run = recur_tiled } },
	.n_more = n_more,
	.y_at = v_at,
	.state_bytes = state_bytes,
};

const struct mixer delta_grouped = {
	.stage = { { .n_unit = n_prepare, .run = prepare_grouped }, { .n_unit = n_head, .run = recur_grouped } },
	.n_more = n_more,
	.y_at = v_at,
	.state_bytes = state_bytes,
};

static int check_shape(const struct hparams *hp, const char *arch, struct error *e)
{
	uint32_t n_head = hp->ssm.time_step_rank, dim = hp->ssm.inner_size / n_head;

	if (hp->ssm.inner_size % n_head || n_head % hp->ssm.group_count)
		return error_set(e, -EINVAL, "%s.ssm: %u heads cannot share %u channels and %u groups evenly", arch,
				 n_head, hp->ssm.inner_size, hp->ssm.group_count);
	if (hp->ssm.state_size % LANES || hp->ssm.state_size > MIX_KEY_MAX || dim % LANES || dim > MIX_UNIT_MAX)
		return error_set(e, -ENOTSUP,
				 "%s.ssm: heads of %u keys and %u values: gyre runs multiples of %d up to %u and %u",
				 arch, hp->ssm.state_size, dim, LANES, MIX_KEY_MAX, MIX_UNIT_MAX);
	return 0;
}

static int read_layers(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	uint32_t is_mixer[LAYER_MAX], interval;
	int r = hparams_get_layers(g, arch, "attention.recurrent_layers", is_mixer, hp->n_layer, 1, e);

	if (r == -ENOENT) {
		r = hparams_get_u32(g, arch, "full_attention_interval", &interval, INTERVAL, LAYER_MAX, e);
		for (uint32_t i = 0; i < hp->n_layer && r == 0; i++)
			is_mixer[i] = (i + 1) % interval != 0;
	}
	for (uint32_t i = 0; i < hp->n_layer && r == 0; i++)
		if (is_mixer[i]) {
			hp->kind[i] |= LAYER_STATE;
			hp->kind[i] &= (uint8_t) ~(LAYER_ATTENTION | LAYER_TURN | LAYER_WINDOW);
		}
	return r;
}

int block_delta_read(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	int r = hparams_read_ssm(hp, g, arch, e);

	if (r == 0)
		r = check_shape(hp, arch, e);
	return r == 0 ? read_layers(hp, g, arch, e) : r;
}
