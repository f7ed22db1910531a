/* Recurrences, short convolutions and their elements: kernels/mix.h in vectors of four. */
#include "kernels/neon/neon.h"
#include "kernels/neon/vec.h"
#include "kernels/mix.h"

void neon_recur_decay(const struct recur *r)
{
	mix_recur(RECUR_DECAY, r);
}

void neon_recur_rate(const struct recur *r)
{
	mix_recur(RECUR_RATE, r);
}

void neon_recur_delta(const struct recur *r)
{
	mix_recur(RECUR_DELTA, r);
}

void neon_recur_bonus(const struct recur *r)
{
	mix_recur(RECUR_BONUS, r);
}

void neon_recur_two(const struct recur *r)
{
	mix_recur(RECUR_TWO, r);
}

void neon_conv1d(float *y, const float *const *x, const float *w, const float *b, size_t n, int n_tap)
{
	mix_conv1d(y, x, w, b, n, n_tap);
}

void neon_l2_norm(float *y, const float *x, size_t n, float eps)
{
	mix_l2_norm(y, x, n, eps);
}

void neon_silu(float *y, size_t n)
{
	mix_silu(y, n);
}

void neon_sigmoid(float *y, size_t n)
{
	mix_sigmoid(y, n);
}

void neon_softplus(float *y, size_t n)
{
	mix_softplus(y, n);
}

void neon_sigmoid_mul(float *y, const float *gate, size_t n)
{
	mix_sigmoid_mul(y, gate, n);
}

void neon_mul(float *y, const float *x, size_t n)
{
	mix_mul(y, x, n);
}
