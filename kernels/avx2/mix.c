/* Recurrences, short convolutions and their elements: kernels/mix.h in vectors of eight. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "kernels/mix.h"

void avx2_recur_decay(const struct recur *r)
{
	mix_recur(RECUR_DECAY, r);
}

void avx2_recur_rate(const struct recur *r)
{
	mix_recur(RECUR_RATE, r);
}

void avx2_recur_delta(const struct recur *r)
{
	mix_recur(RECUR_DELTA, r);
}

void avx2_recur_bonus(const struct recur *r)
{
	mix_recur(RECUR_BONUS, r);
}

void avx2_recur_two(const struct recur *r)
{
	mix_recur(RECUR_TWO, r);
}

void avx2_conv1d(float *y, const float *const *x, const float *w, const float *b, size_t n, int n_tap)
{
	mix_conv1d(y, x, w, b, n, n_tap);
}

void avx2_l2_norm(float *y, const float *x, size_t n, float eps)
{
	mix_l2_norm(y, x, n, eps);
}

void avx2_silu(float *y, size_t n)
{
	mix_silu(y, n);
}

void avx2_sigmoid(float *y, size_t n)
{
	mix_sigmoid(y, n);
}

void avx2_softplus(float *y, size_t n)
{
	mix_softplus(y, n);
}

void avx2_sigmoid_mul(float *y, const float *gate, size_t n)
{
	mix_sigmoid_mul(y, gate, n);
}

void avx2_mul(float *y, const float *x, size_t n)
{
	mix_mul(y, x, n);
}
