/* ref/tanh.h, four at a time: the same operations in the same order. */
#ifndef GYRE_KERNELS_NEON_VTANH_H
#define GYRE_KERNELS_NEON_VTANH_H

#include "kernels/neon/simd.h"
#include "kernels/ref/tanh.h"

INLINE float32x4_t vexpm1(float32x4_t y)
{
	float32x4_t n, r, q, pow;

	y = vmaxq_f32(y, vdupq_n_f32(TANH_LO)); /* a NaN stays */
	n = vrndnq_f32(vmulq_n_f32(y, EXP_LOG2E));
	r = vfmaq_n_f32(y, n, -EXP_LN2_HI);
	r = vfmaq_n_f32(r, n, -EXP_LN2_LO);
	q = vfmaq_n_f32(vdupq_n_f32(TANH_C4), r, TANH_C5);
	q = vfmaq_f32(vdupq_n_f32(TANH_C3), q, r);
	q = vfmaq_f32(vdupq_n_f32(TANH_C2), q, r);
	q = vfmaq_f32(vdupq_n_f32(TANH_C1), q, r);
	q = vfmaq_f32(vdupq_n_f32(1.0f), q, r);
	pow = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23));
	return vfmaq_f32(vsubq_f32(pow, vdupq_n_f32(1.0f)), vmulq_f32(q, r), pow);
}

INLINE float32x4_t vtanh(float32x4_t x)
{
	float32x4_t e = vexpm1(vmulq_n_f32(vabsq_f32(x), -2.0f));
	float32x4_t t = vdivq_f32(vnegq_f32(e), vaddq_f32(e, vdupq_n_f32(2.0f)));

	return vbslq_f32(vdupq_n_u32(1u << 31), x, t);
}

#endif
