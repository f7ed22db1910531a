#include "daemon/model/rwkv.h"

#include "daemon/model/hparams.h"
#include "daemon/model/norm.h"
#include "daemon/model/residual.h"
#include "daemon/util/minmax.h"

#include <errno.h>
#include <string.h>

enum { LAP_PRODUCTS, LAP_MIX, LAP_HEADS, LAP_OUTPUT, LAP_CHANNELS };

#define UNIT 64u /* channels that are mixed together */
#define RING (1u + REQUEST_DRAFT_MAX)

static const float zeros[UNIT];

static const struct rwkv *version_of(const struct model *m)
{
	return (const struct rwkv *)m->arch->mixer;
}

/* ---- what a node keeps of a layer: the rows before, for the time mix, then for the channel mix; then its heads' state and guesses ---- */

static uint32_t n_unit(const struct model *m)
{
	return (m->hp.n_embd + UNIT - 1) / UNIT;
}

static uint32_t n_head(const struct model *m)
{
	return m->hp.n_embd / m->hp.wkv.head_size;
}

static size_t rings_floats(const struct model *m, uint32_t node)
{
	struct plan_range own = mix_units(m, n_unit(m), node);

	return (size_t)(own.end - own.begin) * RING * UNIT;
}

static size_t head_floats(const struct model *m)
{
	uint32_t n = m->hp.wkv.head_size;

	return (size_t)n * n + (size_t)REQUEST_DRAFT_MAX * mix_kept(version_of(m)->form, n, n, n);
}

size_t rwkv_state_bytes(const struct model *m, uint32_t node)
{
	struct plan_range head = mix_units(m, n_head(m), node);

	return (2 * rings_floats(m, node) + (head.end - head.begin) * head_floats(m)) * sizeof(float);
}

/* ---- activations ---- */

void rwkv_tanh(const struct kernels *k, float *y, size_t n)
{
	k->cap(y, n, 1);
}

void rwkv_sigmoid(const struct kernels *k, float *y, size_t n)
{
	k->sigmoid(y, n);
}

static void square(const struct kernels *k, float *y, size_t n)
{
	k->relu2(y, y, n);
}

void rwkv_lerp(const struct kernels *k, float *y, const float *x, const float *to, const float *by, size_t n)
{
	float d[RWKV_HEAD_MAX];

	memcpy(d, x, n * sizeof(*d));
	k->scale(d, n, -1);
	k->add(d, to, n);
	k->mul(d, by, n);
	k->add(d, x, n);
	memcpy(y, d, n * sizeof(*d));
}

/* Products are the kernels', so that here is nothing that a compiler would fuse. */
float rwkv_dot(const struct kernels *k, const float *a, const float *b, const float *c, size_t n)
{
	float d[RWKV_HEAD_MAX], sum[4] = { 0 };

	memcpy(d, a, n * sizeof(*d));
	k->mul(d, b, n);
	k->mul(d, c, n);
	for (size_t i = 0; i < n; i++)
		sum[i % 4] += d[i];
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* ---- norms ---- */

/* Column RWKV_NORM of each row. */
static void norm_rows(const struct seat *s, int lap, const struct norm *norm)
{
	const struct model *m = s->m;
	size_t step = (size_t)team_size(m->team);

	residual_settle_all(s);
	for (size_t row = (size_t)s->worker; row < m->batch->n_row; row += step)
		norm_row(m, norm, s->team->index, m->mix.row + row * m->mix.stride,
			 s->own->residual.x + row * m->x_stride, m->hp.n_embd);
	seat_meet(s, lap);
}

/* x = f(x) of each row: of each worker's own x, or shared out. */
static void each_row(const struct seat *s, int lap, void (*f)(const struct seat *s, float *x))
{
	const struct model *m = s->m;
	float *x = s->own->residual.x;
	bool is_shared = x == m->x;
	size_t step = is_shared ? (size_t)team_size(m->team) : 1;

	for (size_t row = is_shared ? (size_t)s->worker : 0; row < m->batch->n_row; row += step)
		f(s, x + row * m->x_stride);
	seat_meet(s, lap);
}

static void norm_embedding(const struct seat *s, float *x)
{
	norm_row(s->m, &s->m->embd_norm, s->team->index, x, x, s->m->hp.n_embd);
}

static void halve(const struct seat *s, float *x)
{
	s->m->k->scale(x, s->m->hp.n_embd, 0.5f);
}

/* ---- mixing with the token before ---- */

struct mixing {
	struct mix_in in; /* for the frame */
	const struct rwkv_shift *shift;
};

static void mix_row(const struct mix_seq *q, const struct rwkv_shift *shift, uint32_t at, uint32_t n, uint32_t i,
		    const float *before)
{
	const struct model *m = q->s->m;
	float *row = q->row + (size_t)i * m->mix.stride;

	for (uint32_t k = 0; k < shift->n_mix; k++) {
		const struct tensor *t = shift->all ? shift->all : shift->lerp[k];
		const float *lerp = (const float *)t->part[q->s->team->index].data +
				    (shift->all ? (size_t)k * m->hp.n_embd : 0) + at;
		float *to = row + rwkv_at(m, RWKV_MIX + k) + at;

		if (shift->is_by_token) {
			m->k->add(to, lerp, n);
			lerp = to;
		}
		rwkv_lerp(m->k, to, row + at, before, lerp, n);
	}
}

/* The ring is written when no row before is wanted any more. */
static void mix_unit(const struct mix_seq *q, uint32_t unit)
{
	const struct rwkv_shift *shift = ((const struct mixing *)(const void *)q->in)->shift;
	const struct model *m = q->s->m;
	uint32_t at = unit * UNIT, n = min_u32(m->hp.n_embd - at, UNIT), n_past = q->seq->n_past;
	struct plan_range own = mix_units(m, n_unit(m), q->s->team->index);
	float *ring = (float *)(void *)q->state + (shift->is_of_channels ? rings_floats(m, q->s->team->index) : 0) +
		      (size_t)(unit - own.begin) * RING * UNIT;
	const float *before = n_past ? ring + (size_t)((n_past - 1) % RING) * UNIT : zeros;
	float *row = q->row + at;

	for (uint32_t i = 0; i < q->seq->n_row; i++, row += m->mix.stride) {
		mix_row(q, shift, at, n, i, before);
		before = row;
	}
	row = q->row + at;
	for (uint32_t i = 0; i < q->seq->n_row && shift->is_last; i++, row += m->mix.stride)
		memcpy(ring + (size_t)((n_past + i) % RING) * UNIT, row, n * sizeof(*row));
}

void rwkv_mix(const struct seat *s, int lap, const struct rwkv_shift *shift, uint32_t layer)
{
	static const struct mix_stage stage = { n_unit, mix_unit, NULL };
	struct mixing mixing = { .shift = shift };

	block_mix_run(s, lap, &stage, &mixing.in, layer);
}

/* ---- heads ---- */

static struct rwkv_head head_at(const struct mix_seq *q, uint32_t head, uint32_t i)
{
	const struct model *m = q->s->m;
	uint32_t n = m->hp.wkv.head_size;

	return (struct rwkv_head){ q->s, (const void *)q->in, head, head * n, n, q->row + (size_t)i * m->mix.stride };
}

static void run_head(const struct mix_seq *q, uint32_t head)
{
	const struct model *m = q->s->m;
	const struct rwkv *v = version_of(m);
	uint32_t n = m->hp.wkv.head_size, node = q->s->team->index;
	float *state = (float *)(void *)q->state + 2 * rings_floats(m, node) +
		       (head - mix_units(m, n_head(m), node).begin) * head_floats(m);
	struct rwkv_head first = head_at(q, head, 0);
	struct mix_recur r = {
		.form = v->form, .in = v->inputs(&first), .n_row = n, .n_w = n, .kept = state + (size_t)n * n
	};

	r.in.s = state;
	r.in.n_key = (int)n;
	r.in.stride = r.in.y_stride = m->mix.stride;
	r.in.y = rwkv_of(&first, v->y);
	for (uint32_t i = 0; i < q->seq->n_row; i++) {
		struct rwkv_head h = head_at(q, head, i);

		v->before(&h);
	}
	mix_recur(q, &r);
	for (uint32_t i = 0; i < q->seq->n_row; i++) {
		struct rwkv_head h = head_at(q, head, i);
		float *y = rwkv_of(&h, v->y);

		m->k->layer_norm(y, y, rwkv_vector(&h, h.l->head_norm.w), rwkv_vector(&h, h.l->head_norm.bias), n,
				 RWKV_GROUP_EPS);
		v->after(&h);
	}
}

/* ---- the pass ---- */

static void time_mix(const struct seat *s, const struct rwkv_layer *l, uint32_t layer)
{
	static const struct mix_stage heads = { n_head, run_head, NULL };
	const struct model *m = s->m;
	const struct rwkv *v = version_of(m);

	norm_rows(s, LAP_MIX, &l->time_norm);
	v->products(s, LAP_PRODUCTS, l, layer);
	block_mix_run(s, LAP_HEADS, &heads, &l->mix, layer);
	block_residual(s, LAP_OUTPUT, &l->output, m->mix.row + rwkv_at(m, v->y), m->mix.stride);
}

static void channel_mix(const struct seat *s, const struct rwkv_layer *l, uint32_t layer)
{
	const struct model *m = s->m;
	const struct rwkv_shift shift = { .lerp = { l->channel_lerp[0], l->channel_lerp[1] },
					  .n_mix = l->channel_lerp[1] ? 2 : 1,
					  .is_last = true,
					  .is_of_channels = true };
	const uint32_t keys = rwkv_at(m, RWKV_MIX + 2);
	struct residual_in value = l->channel_value;

	norm_rows(s, LAP_MIX, &l->channel_norm);
	rwkv_mix(s, LAP_MIX, &shift, layer);
	if (l->channel_gate) {
		block_mix_multiply(s, LAP_CHANNELS,
				   &(struct mix_product){ .w = l->channel_gate,
							  .src = rwkv_at(m, RWKV_MIX + 1),
							  .dst = rwkv_at(m, RWKV_NORM),
							  .act = rwkv_sigmoid });
		value.times = m->mix.row + rwkv_at(m, RWKV_NORM);
		value.times_stride = m->mix.stride;
	}
	block_mix_multiply(
		s, LAP_CHANNELS,
		&(struct mix_product){ .w = l->channel_key, .src = rwkv_at(m, RWKV_MIX), .dst = keys, .act = square });
	block_residual(s, LAP_CHANNELS, &value, m->mix.row + keys, m->mix.stride);
}

static void rwkv_forward(const struct seat *s)
{
	const struct model *m = s->m;
	const struct rwkv_layer *layer = m->layer;

	block_embed(s);
	each_row(s, LAP_MIX, norm_embedding);
	for (uint32_t i = 0; i < m->hp.n_layer; i++) {
		time_mix(s, &layer[i], i);
		channel_mix(s, &layer[i], i);
		if (m->hp.wkv.n_rescale && (i + 1) % m->hp.wkv.n_rescale == 0) {
			residual_settle_all(s);
			seat_meet(s, LAP_CHANNELS);
			each_row(s, LAP_CHANNELS, halve);
		}
	}
	block_logits(s);
}

/* ---- opening ---- */

int rwkv_read(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	int r = hparams_get_u32(g, arch, "wkv.head_size", &hp->wkv.head_size, 0, RWKV_HEAD_MAX, e);

	if (r == 0)
		r = hparams_get_count(g, arch, "rescale_every_n_layers", &hp->wkv.n_rescale, 0, UINT32_MAX, e);
	if (r < 0)
		return r;
	if (!hp->n_ff)
		return error_set(e, -EINVAL, "%s.feed_forward_length is 0, or missing; download the model again", arch);
	if (hp->wkv.head_size % LANES || hp->n_embd % hp->wkv.head_size)
		return error_set(
			e, -ENOTSUP,
			"%s: heads of %u dimensions, of %u columns: gyre runs multiples of %d that divide them", arch,
			hp->wkv.head_size, hp->n_embd, LANES);
	return 0;
}

static int rwkv_open(struct tensors *t, struct error *e)
{
	struct model *m = t->m;
	const struct rwkv *v = version_of(m);
	uint32_t n_ff = (m->hp.n_ff + PANEL_ROWS - 1) / PANEL_ROWS * PANEL_ROWS;
	int r = tensors_open_ends(t, e);

	if (r == 0)
		r = tensors_open_layers(t, e);
	m->mix.mixer = &v->mixer;
	m->mix.stride = max_u32(rwkv_at(m, RWKV_LOW) + v->n_low(&m->hp), rwkv_at(m, RWKV_MIX + 2) + n_ff);
	m->mix.stride = (m->mix.stride + PANEL_ROWS - 1) / PANEL_ROWS * PANEL_ROWS;
	for (uint32_t i = 0; i < m->hp.n_layer; i++)
		for (uint32_t node = 0; node < m->plan->n_node && r == 0; node++)
			r = memory_add_state(m, i, node, rwkv_state_bytes(m, node), e);
	return r == 0 ? rope_open(t, m->arch->rope, e) : r; /* that no key asks for what is not computed */
}

const struct pass rwkv_pass = {
	.lap = { [LAP_PRODUCTS] = "products",
		 [LAP_MIX] = "shift",
		 [LAP_HEADS] = "heads",
		 [LAP_OUTPUT] = "output",
		 [LAP_CHANNELS] = "channels" },
	.layer_bytes = sizeof(struct rwkv_layer),
	.open = rwkv_open,
	.forward = rwkv_forward,
};
