/*
 * Linear recurrences, short convolutions and what elements go through beside them, for every ISA: the operations of ref/mix.c in their
 * order, a lane a row. What a vector is, an ISA's vec.h says: vec of VEC_FLOATS floats, and vec_*.
 *
 * A token takes one pass over the state's keys, or two where it must first be known what the state says of them: eight sums of 128 bits
 * and up stay in registers, and a group's state, 8 KiB of 128 keys, in L1.
 */
#ifndef GYRE_KERNELS_MIX_H
#define GYRE_KERNELS_MIX_H

#include "kernels/ref/ref.h"
#include "kernels/ref/log.h"
#include "kernels/ref/reduce.h"

#define PARTS (LANES / VEC_FLOATS) /* vectors of LANES */

/* Of LANES rows, each of the four chains. */
struct mix_sums {
	vec v[RECUR_CHAINS][PARTS];
};

INLINE struct mix_sums mix_zero(void)
{
	struct mix_sums s;

	for (int j = 0; j < RECUR_CHAINS; j++)
		for (int p = 0; p < PARTS; p++)
			s.v[j][p] = vec_set(0);
	return s;
}

INLINE void mix_meet(vec sum[PARTS], const struct mix_sums *s)
{
	for (int p = 0; p < PARTS; p++)
		sum[p] = vec_add(vec_add(s->v[0][p], s->v[1][p]), vec_add(s->v[2][p], s->v[3][p]));
}

/* t = s.x */
INLINE void mix_dot(vec t[PARTS], const struct recur *r, const float *x)
{
	struct mix_sums sum = mix_zero();

	for (int k = 0; k < r->n_key; k += RECUR_CHAINS)
		for (int j = 0; j < RECUR_CHAINS; j++) {
			vec xk = vec_set(x[k + j]);

			for (int p = 0; p < PARTS; p++)
				sum.v[j][p] =
					vec_fma(vec_load(r->s + (k + j) * LANES + p * VEC_FLOATS), xk, sum.v[j][p]);
		}
	mix_meet(t, &sum);
}

/* Of a key, the same for all rows. */
struct mix_key {
	vec w, b, q, c;
};

/* All are read before the state is written, for what the compiler knows they might lie in it. `w`: where it is one number. */
INLINE struct mix_key mix_key(const enum recur_form form, const struct recur *r, size_t at, vec w)
{
	struct mix_key key = { w, vec_set(r->b[at]), vec_set(r->q[at]), w };

	if (form == RECUR_BONUS || form == RECUR_TWO)
		key.w = vec_set(r->w[at]);
	if (form == RECUR_TWO)
		key.c = vec_set(r->c[at]);
	return key;
}

/* The pass that moves the state on, and y on the way. step: of RECUR_RATE, the rows' w. */
INLINE void mix_move(vec y[PARTS], const enum recur_form form, const struct recur *r, size_t at, const vec u[PARTS],
		     const vec t[PARTS], const vec step[PARTS])
{
	struct mix_sums sum = mix_zero();
	vec w = vec_set(r->w[at]);

	for (int k = 0; k < r->n_key; k += RECUR_CHAINS)
		for (int j = 0; j < RECUR_CHAINS; j++) {
			struct mix_key key = mix_key(form, r, at + (size_t)(k + j), w);

			for (int p = 0; p < PARTS; p++) {
				int i = (k + j) * LANES + p * VEC_FLOATS;
				vec s = vec_load(r->s + i);

				if (form == RECUR_BONUS)
					sum.v[j][p] = vec_fma(s, key.q, sum.v[j][p]);
				if (form == RECUR_RATE)
					s = vec_mul(vec_exp(vec_mul(step[p], vec_load(r->rate + i))), s);
				else
					s = vec_mul(key.w, s);
				if (form == RECUR_TWO)
					s = vec_fma(t[p], key.c, s);
				s = vec_fma(u[p], key.b, s);
				vec_store(r->s + i, s);
				if (form != RECUR_BONUS)
					sum.v[j][p] = vec_fma(s, key.q, sum.v[j][p]);
			}
		}
	mix_meet(y, &sum);
}

INLINE void mix_token(const enum recur_form form, const struct recur *r, size_t at, float *to)
{
	const bool is_delta = form == RECUR_DELTA;
	vec alpha = vec_set(form == RECUR_RATE || form == RECUR_TWO ? 1 : r->alpha[at]);
	vec v[PARTS], u[PARTS], t[PARTS], y[PARTS], step[PARTS];

	if (is_delta || form == RECUR_TWO)
		mix_dot(t, r, (is_delta ? r->b : r->a) + at);
	for (int p = 0; p < PARTS; p++) {
		u[p] = v[p] = step[p] = vec_load(r->v + at + p * VEC_FLOATS);
		if (is_delta)
			u[p] = vec_mul(alpha, vec_sub(v[p], vec_mul(vec_set(r->w[at]), t[p])));
		if (form == RECUR_DECAY)
			u[p] = vec_mul(alpha, v[p]);
		if (form == RECUR_RATE) {
			step[p] = vec_load(r->w + at + p * VEC_FLOATS);
			u[p] = vec_mul(step[p], v[p]);
		}
	}
	mix_move(y, form, r, at, u, t, step);
	for (int p = 0; p < PARTS; p++)
		vec_store(to + p * VEC_FLOATS, form == RECUR_BONUS ? vec_fma(alpha, v[p], y[p]) : y[p]);
}

INLINE void mix_recur(const enum recur_form form, const struct recur *r)
{
	for (size_t i = 0; i < r->n_tok; i++)
		mix_token(form, r, i * r->stride, r->y + i * r->y_stride);
}

INLINE void mix_conv1d(float *y, const float *const *x, const float *w, const float *b, size_t n, int n_tap)
{
	for (size_t i = 0; i < n; i += VEC_FLOATS) {
		const float *tap = w + i / LANES * LANES * (size_t)n_tap + i % LANES;
		vec acc = b ? vec_load(b + i) : vec_set(0);

		for (int j = 0; j < n_tap; j++)
			acc = vec_fma(vec_load(tap + j * LANES), vec_load(x[j] + i), acc);
		vec_store(y + i, acc);
	}
}

/* ---- elements ---- */

INLINE void mix_silu(float *y, size_t n)
{
	size_t i = 0;

	for (; i + VEC_FLOATS <= n; i += VEC_FLOATS) {
		vec v = vec_load(y + i);

		vec_store(y + i, vec_div(v, vec_add(vec_set(1), vec_exp(vec_neg(v)))));
	}
	ref_silu(y + i, n - i);
}

INLINE void mix_sigmoid(float *y, size_t n)
{
	size_t i = 0;

	for (; i + VEC_FLOATS <= n; i += VEC_FLOATS)
		vec_store(y + i, vec_div(vec_set(1), vec_add(vec_set(1), vec_exp_or_nan(vec_neg(vec_load(y + i))))));
	ref_sigmoid(y + i, n - i);
}

INLINE void mix_sigmoid_mul(float *y, const float *gate, size_t n)
{
	size_t i = 0;

	for (; i + VEC_FLOATS <= n; i += VEC_FLOATS)
		vec_store(y + i,
			  vec_div(vec_load(y + i), vec_add(vec_set(1), vec_exp_or_nan(vec_neg(vec_load(gate + i))))));
	ref_sigmoid_mul(y + i, gate + i, n - i);
}

INLINE vec mix_log1p(vec e)
{
	vec z = vec_div(e, vec_add(e, vec_set(2))), u = vec_mul(z, z);
	vec q = vec_fma(vec_set(LOG_C4), u, vec_set(LOG_C3));

	q = vec_fma(q, u, vec_set(LOG_C2));
	q = vec_fma(q, u, vec_set(LOG_C1));
	return vec_mul(z, vec_fma(q, u, vec_set(2)));
}

INLINE void mix_softplus(float *y, size_t n)
{
	size_t i = 0;

	for (; i + VEC_FLOATS <= n; i += VEC_FLOATS) {
		vec x = vec_load(y + i);

		vec_store(y + i, vec_add(vec_positive(x), mix_log1p(vec_exp_or_nan(vec_neg(vec_abs(x))))));
	}
	ref_softplus(y + i, n - i);
}

INLINE void mix_mul(float *y, const float *x, size_t n)
{
	size_t i = 0;

	for (; i + VEC_FLOATS <= n; i += VEC_FLOATS)
		vec_store(y + i, vec_mul(vec_load(y + i), vec_load(x + i)));
	ref_mul(y + i, x + i, n - i);
}

INLINE void mix_l2_norm(float *y, const float *x, size_t n, float eps)
{
	vec sum[PARTS];
	float lane[LANES], scale;
	size_t i = 0;

	for (int p = 0; p < PARTS; p++)
		sum[p] = vec_set(0);
	for (; i + LANES <= n; i += LANES)
		for (int p = 0; p < PARTS; p++) {
			vec v = vec_load(x + i + p * VEC_FLOATS);

			sum[p] = vec_fma(v, v, sum[p]);
		}
	for (int p = 0; p < PARTS; p++)
		vec_store(lane + p * VEC_FLOATS, sum[p]);
	for (; i < n; i++)
		lane[i % LANES] = fmaf(x[i], x[i], lane[i % LANES]);
	scale = 1.0f / sqrtf(ref_reduce(lane) + eps);
	for (i = 0; i + VEC_FLOATS <= n; i += VEC_FLOATS)
		vec_store(y + i, vec_mul(vec_load(x + i), vec_set(scale)));
	for (; i < n; i++)
		y[i] = x[i] * scale;
}

#endif
