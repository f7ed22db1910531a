/*
 * What the stages of mixers are made of. After a step the state stands before its guesses, and what they would do to it is kept beside it: of
 * a convolution the inputs of the last rows, in a ring by position, of a recurrence the inputs of the guesses. The next step takes up
 * those that were right, by the same kernels on the same inputs.
 */
#include "daemon/model/block_mix.h"

#include <errno.h>
#include <string.h>

/* ---- shape ---- */

struct plan_range mix_units(const struct model *m, uint32_t n_unit, uint32_t node)
{
	size_t begin, end;

	team_range(n_unit, (int)m->plan->n_node, (int)node, 1, &begin, &end);
	return (struct plan_range){ (uint32_t)begin, (uint32_t)end };
}

/* What is multiplied number by number is no product's matrix. */
static int check_float(const struct tensor *t, const char *what, uint32_t layer, struct error *e)
{
	if (!t || t->type == QUANT_F32)
		return 0;
	return error_set(e, -ENOTSUP, "layer %u: its %s is of type %s; quantize again and leave it F32", layer, what,
			 quant_info(t->type)->name);
}

int mix_open(struct model *m, const struct mixer *mixer, const struct mix_in *in, uint32_t layer, struct error *e)
{
	struct mix *mix = &m->mix;
	uint32_t at = 0;
	int r;

	r = check_float(in->conv, "convolution", layer, e);
	if (r == 0)
		r = check_float(in->a, "decay", layer, e);
	if (r < 0)
		return r;
	for (int i = 0; i < MIX_PROJ_MAX && in->proj[i]; i++) {
		if (mix->mixer && mix->at[i] != at)
			return error_set(e, -EINVAL, "layer %u has a mixer of another shape than those before", layer);
		mix->at[i] = at;
		at += state_pad(in->proj[i]->n_row);
	}
	mix->mixer = mixer;
	mix->more = at;
	mix->stride = state_pad(at + (mixer->n_more ? mixer->n_more(m) : 0));
	mix->y = mixer->y_at(m);
	for (uint32_t i = 0; i < m->plan->n_node && r == 0; i++)
		r = memory_add_state(m, layer, i, mixer->state_bytes(m, i), e);
	return r;
}

/* ---- convolution ---- */

static const float zeros[MIX_UNIT_MAX];

uint32_t mix_ring_rows(const struct model *m)
{
	return m->hp.ssm.conv_kernel - 1 + REQUEST_DRAFT_MAX;
}

/* Where the input of the row `back` rows before row i is: among the step's rows, or in `past`, that of the rows before them. */
static const float *input(const struct mix_seq *q, const struct mix_conv *c, const float (*past)[MIX_UNIT_MAX],
			  uint32_t i, uint32_t back)
{
	if (back <= i)
		return q->row + (size_t)(i - back) * q->s->m->mix.stride + c->at;
	return q->seq->n_past + i < back ? zeros : past[back - i - 1];
}

/* Rows of the last step that are needed: the ring is written before they are read. */
static void take_past(const struct mix_seq *q, const struct mix_conv *c, float (*past)[MIX_UNIT_MAX])
{
	const struct model *m = q->s->m;

	for (uint32_t back = 1; back < m->hp.ssm.conv_kernel && back <= q->seq->n_past; back++)
		memcpy(past[back - 1], c->ring + (size_t)((q->seq->n_past - back) % mix_ring_rows(m)) * c->n,
		       c->n * sizeof(float));
}

static void keep_row(const struct mix_seq *q, const struct mix_conv *c, uint32_t i)
{
	uint32_t n = mix_ring_rows(q->s->m);

	if (i + n >= q->seq->n_row)
		memcpy(c->ring + (size_t)((q->seq->n_past + i) % n) * c->n,
		       q->row + (size_t)i * q->s->m->mix.stride + c->at, c->n * sizeof(float));
}

/* From the last row to the first, for a row is the input of those behind it. */
void mix_conv(const struct mix_seq *q, const struct mix_conv *c)
{
	const struct model *m = q->s->m;
	const struct mix_in *in = q->in;
	uint32_t n_tap = m->hp.ssm.conv_kernel, node = q->s->team->index;
	const float *w = in->conv->part[node].data, *x[CONV_TAP_MAX];
	const float *bias = in->conv_bias ? in->conv_bias->part[node].data : NULL;
	float past[CONV_TAP_MAX - 1][MIX_UNIT_MAX];

	take_past(q, c, past);
	for (uint32_t i = q->seq->n_row; i-- > 0;) {
		keep_row(q, c, i);
		for (uint32_t j = 0; j < n_tap; j++)
			x[j] = input(q, c, past, i, n_tap - 1 - j);
		m->k->conv1d(q->row + (size_t)i * m->mix.stride + c->at, x, w + (size_t)c->channel * n_tap,
			     bias ? bias + c->channel : NULL, c->n, (int)n_tap);
	}
}

/* ---- recurrence ---- */

/* An input of a recurrence: how many floats a row has of it, up to a multiple of LANES. */
struct span {
	size_t at; /* in struct recur: a const float * */
	uint32_t n;
};

#define SPAN_MAX 6

static uint32_t pad(uint32_t n)
{
	return (n + LANES - 1) / LANES * LANES;
}

/* What a guess is kept as; q is wanted by its y alone. */
static int spans(struct span span[SPAN_MAX], const struct mix_recur *r)
{
	const struct span all[SPAN_MAX] = {
		{ offsetof(struct recur, v), r->n_row },
		{ offsetof(struct recur, b), (uint32_t)r->in.n_key },
		{ offsetof(struct recur, w), r->n_w },
		{ offsetof(struct recur, alpha), r->in.alpha ? 1 : 0 },
		{ offsetof(struct recur, a), r->in.a ? (uint32_t)r->in.n_key : 0 },
		{ offsetof(struct recur, c), r->in.c ? (uint32_t)r->in.n_key : 0 },
	};

	memcpy(span, all, sizeof(all));
	return SPAN_MAX;
}

uint32_t mix_kept(enum recur_form form, uint32_t n_row, uint32_t n_key, uint32_t n_w)
{
	bool has_alpha = form != RECUR_RATE && form != RECUR_TWO;

	return pad(n_row) + pad(n_key) + pad(n_w) + (has_alpha ? LANES : 0) + (form == RECUR_TWO ? 2 * pad(n_key) : 0);
}

static uint32_t kept_stride(const struct mix_recur *r)
{
	return mix_kept(r->form, r->n_row, (uint32_t)r->in.n_key, r->n_w);
}

static const float **input_of(struct recur *r, const struct span *span)
{
	return (const float **)((uint8_t *)r + span->at);
}

/* The recurrence of what is kept, whose y nobody reads. */
static struct recur of_kept(const struct mix_recur *r, float y[LANES])
{
	struct recur kept = r->in;
	struct span span[SPAN_MAX];
	int n = spans(span, r);
	const float *at = r->kept;

	for (int i = 0; i < n; i++)
		if (span[i].n) {
			*input_of(&kept, &span[i]) = at;
			at += pad(span[i].n);
		}
	kept.q = kept.b;
	kept.stride = kept_stride(r);
	kept.y = y;
	kept.y_stride = 0;
	return kept;
}

/* Keeps rows from `first` on. */
static void keep(const struct mix_seq *q, const struct mix_recur *r, uint32_t first)
{
	struct recur in = r->in;
	struct span span[SPAN_MAX];
	int n = spans(span, r);
	float *to = r->kept;

	for (uint32_t row = first; row < q->seq->n_row; row++)
		for (int i = 0; i < n; i++)
			if (span[i].n) {
				memcpy(to, *input_of(&in, &span[i]) + row * in.stride, span[i].n * sizeof(float));
				to += pad(span[i].n);
			}
}

/* The g-th group of the state's rows. */
static struct recur group_of(const struct mix_recur *r, const struct recur *in, uint32_t g)
{
	struct recur of = *in;

	of.s += (size_t)g * (size_t)of.n_key * LANES;
	of.v += (size_t)g * LANES;
	if (r->form == RECUR_RATE) {
		of.w += (size_t)g * LANES;
		of.rate += (size_t)g * (size_t)of.n_key * LANES;
	}
	return of;
}

/* The rows that are sure: those that were guessed right before, then the step's own but its guesses. */
static void advance(const struct mix_seq *q, const struct mix_recur *r, uint32_t g)
{
	const struct model *m = q->s->m;
	float y[LANES];
	struct recur kept = of_kept(r, y), again = group_of(r, &kept, g), of = group_of(r, &r->in, g);

	of.y += (size_t)g * LANES;
	if (mix_begins(q->seq))
		memset(of.s, 0, (size_t)of.n_key * LANES * sizeof(float));
	again.n_tok = q->seq->n_replay;
	if (again.n_tok)
		m->k->recur[r->form](&again);
	of.n_tok = q->seq->n_row - q->seq->n_draft;
	m->k->recur[r->form](&of);
}

/* The guesses, on a copy of the state. */
static void guess(const struct mix_seq *q, const struct mix_recur *r, uint32_t g)
{
	const struct model *m = q->s->m;
	struct recur of = group_of(r, &r->in, g);
	size_t n = (size_t)of.n_key * LANES, sure = q->seq->n_row - q->seq->n_draft, at = sure * of.stride;
	float s[MIX_KEY_MAX * LANES];

	memcpy(s, of.s, n * sizeof(float));
	of.s = s;
	of.w += at, of.v += at, of.b += at, of.q += at;
	of.a = of.a ? of.a + at : NULL;
	of.c = of.c ? of.c + at : NULL;
	of.alpha = of.alpha ? of.alpha + at : NULL;
	of.y += (size_t)g * LANES + sure * of.y_stride;
	of.n_tok = q->seq->n_draft;
	m->k->recur[r->form](&of);
}

/* What is kept is read before it is written, and inputs are kept before y takes their place. */
void mix_recur(const struct mix_seq *q, const struct mix_recur *r)
{
	uint32_t n_group = r->n_row / LANES;

	for (uint32_t g = 0; g < n_group; g++)
		advance(q, r, g);
	if (!q->seq->n_draft)
		return;
	keep(q, r, q->seq->n_row - q->seq->n_draft);
	for (uint32_t g = 0; g < n_group; g++)
		guess(q, r, g);
}
