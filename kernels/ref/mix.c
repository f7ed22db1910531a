/* What mixes tokens without attention, a lane a row: linear recurrences and short convolutions. The definition. */
#include "kernels/ref/exp.h"
#include "kernels/ref/ref.h"

#define CHAINS RECUR_CHAINS

/* A token's inputs, and what it does with lane l. */
struct token {
	const float *w, *v, *b, *q, *a, *c;
	float alpha;
};

/* sum(s[k] * x[k]) of a lane. */
static float dot(const struct recur *r, int l, const float *x)
{
	float sum[CHAINS] = { 0 };

	for (int k = 0; k < r->n_key; k++)
		sum[k % CHAINS] = fmaf(r->s[k * LANES + l], x[k], sum[k % CHAINS]);
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* s[k] = w*s[k] + u*b[k] of a lane; w_step 0: w is one number. */
static void update(const struct recur *r, int l, const struct token *t, int w_step, float u)
{
	for (int k = 0; k < r->n_key; k++) {
		float *s = &r->s[k * LANES + l];

		*s = fmaf(u, t->b[k], t->w[k * w_step] * *s);
	}
}

static float decay(const struct recur *r, int l, const struct token *t)
{
	update(r, l, t, 0, t->alpha * t->v[l]);
	return dot(r, l, t->q);
}

static float rate(const struct recur *r, int l, const struct token *t)
{
	float u = t->w[l] * t->v[l];

	for (int k = 0; k < r->n_key; k++) {
		float *s = &r->s[k * LANES + l];

		*s = fmaf(u, t->b[k], ref_exp(t->w[l] * r->rate[k * LANES + l]) * *s);
	}
	return dot(r, l, t->q);
}

static float delta(const struct recur *r, int l, const struct token *t)
{
	float known = t->w[0] * dot(r, l, t->b);

	update(r, l, t, 0, t->alpha * (t->v[l] - known));
	return dot(r, l, t->q);
}

static float bonus(const struct recur *r, int l, const struct token *t)
{
	float y = fmaf(t->alpha, t->v[l], dot(r, l, t->q));

	update(r, l, t, 1, t->v[l]);
	return y;
}

static float two(const struct recur *r, int l, const struct token *t)
{
	float known = dot(r, l, t->a);

	for (int k = 0; k < r->n_key; k++) {
		float *s = &r->s[k * LANES + l];

		*s = fmaf(t->v[l], t->b[k], fmaf(known, t->c[k], t->w[k] * *s));
	}
	return dot(r, l, t->q);
}

static void run(const struct recur *r, float (*lane)(const struct recur *r, int l, const struct token *t))
{
	for (size_t i = 0, at = 0; i < r->n_tok; i++, at += r->stride) {
		struct token t = { .w = r->w + at, .v = r->v + at, .b = r->b + at, .q = r->q + at };

		t.a = r->a ? r->a + at : NULL;
		t.c = r->c ? r->c + at : NULL;
		t.alpha = r->alpha ? r->alpha[at] : 1;
		for (int l = 0; l < LANES; l++)
			r->y[i * r->y_stride + (size_t)l] = lane(r, l, &t);
	}
}

void ref_recur_decay(const struct recur *r)
{
	run(r, decay);
}

void ref_recur_rate(const struct recur *r)
{
	run(r, rate);
}

void ref_recur_delta(const struct recur *r)
{
	run(r, delta);
}

void ref_recur_bonus(const struct recur *r)
{
	run(r, bonus);
}

void ref_recur_two(const struct recur *r)
{
	run(r, two);
}

void ref_conv1d(float *y, const float *const *x, const float *w, const float *b, size_t n, int n_tap)
{
	for (size_t i = 0; i < n; i++) {
		const float *tap = w + i / LANES * LANES * (size_t)n_tap + i % LANES;
		float acc = b ? b[i] : 0.0f;

		for (int j = 0; j < n_tap; j++)
			acc = fmaf(tap[j * LANES], x[j][i], acc);
		y[i] = acc;
	}
}
