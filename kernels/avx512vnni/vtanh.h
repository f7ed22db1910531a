/* ref/tanh.h, sixteen lanes at a time: the same operations in the same order. */
#ifndef GYRE_KERNELS_AVX512VNNI_VTANH_H
#define GYRE_KERNELS_AVX512VNNI_VTANH_H

#include "kernels/constant_n.h"
#include "kernels/ref/tanh.h"

#include <immintrin.h>

INLINE __m512 vexpm1(__m512 y)
{
	y = _mm512_max_ps(_mm512_set1_ps(TANH_LO), y); /* a NaN as the second operand stays */
	__m512 n = _mm512_roundscale_ps(_mm512_mul_ps(y, _mm512_set1_ps(EXP_LOG2E)),
					_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	__m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-EXP_LN2_HI), y);

	r = _mm512_fmadd_ps(n, _mm512_set1_ps(-EXP_LN2_LO), r);
	__m512 q = _mm512_fmadd_ps(_mm512_set1_ps(TANH_C5), r, _mm512_set1_ps(TANH_C4));

	q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(TANH_C3));
	q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(TANH_C2));
	q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(TANH_C1));
	q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(1.0f));
	__m512 pow = _mm512_scalef_ps(_mm512_set1_ps(1.0f), n);

	return _mm512_fmadd_ps(_mm512_mul_ps(q, r), pow, _mm512_sub_ps(pow, _mm512_set1_ps(1.0f)));
}

INLINE __m512 vtanh(__m512 x)
{
	const __m512 sign = _mm512_set1_ps(-0.0f);
	__m512 e = vexpm1(_mm512_mul_ps(_mm512_set1_ps(-2.0f), _mm512_andnot_ps(sign, x)));
	__m512 t = _mm512_div_ps(_mm512_xor_ps(sign, e), _mm512_add_ps(e, _mm512_set1_ps(2.0f)));

	return _mm512_or_ps(_mm512_andnot_ps(sign, t), _mm512_and_ps(sign, x));
}

#endif
