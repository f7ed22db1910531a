/* Recurrences, short convolutions and their elements: kernels/mix.h in vectors of sixteen. */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/vec.h"
#include "kernels/mix.h"

void avx512vnni_recur_decay(const struct recur *r)
{
	mix_recur(RECUR_DECAY, r);
}

void avx512vnni_recur_rate(const struct recur *r)
{
	mix_recur(RECUR_RATE, r);
}

void avx512vnni_recur_delta(const struct recur *r)
{
	mix_recur(RECUR_DELTA, r);
}

void avx512vnni_recur_bonus(const struct recur *r)
{
	mix_recur(RECUR_BONUS, r);
}

void avx512vnni_recur_two(const struct recur *r)
{
	mix_recur(RECUR_TWO, r);
}

void avx512vnni_conv1d(float *y, const float *const *x, const float *w, const float *b, size_t n, int n_tap)
{
	mix_conv1d(y, x, w, b, n, n_tap);
}

void avx512vnni_l2_norm(float *y, const float *x, size_t n, float eps)
{
	mix_l2_norm(y, x, n, eps);
}

void avx512vnni_silu(float *y, size_t n)
{
	mix_silu(y, n);
}

void avx512vnni_sigmoid(float *y, size_t n)
{
	mix_sigmoid(y, n);
}

void avx512vnni_softplus(float *y, size_t n)
{
	mix_softplus(y, n);
}

void avx512vnni_sigmoid_mul(float *y, const float *gate, size_t n)
{
	mix_sigmoid_mul(y, gate, n);
}

void avx512vnni_mul(float *y, const float *x, size_t n)
{
	mix_mul(y, x, n);
}
