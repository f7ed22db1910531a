/* ref/exp.h, four at a time: the same operations in the same order. */
#ifndef GYRE_KERNELS_NEON_VEXP_H
#define GYRE_KERNELS_NEON_VEXP_H

#include "kernels/neon/simd.h"
#include "kernels/ref/exp.h"

INLINE float32x4_t vexp_of(float32x4_t x, const bool or_nan)
{
	const float32x4_t low = vdupq_n_f32(EXP_LO);
	uint32x4_t in_range = or_nan ? vmvnq_u32(vcltq_f32(x, low)) : vcgeq_f32(x, low);
	float32x4_t n, r, p;

	x = vminq_f32(x, vdupq_n_f32(EXP_HI)); /* a NaN stays */
	n = vrndnq_f32(vmulq_n_f32(x, EXP_LOG2E));
	r = vfmaq_n_f32(x, n, -EXP_LN2_HI);
	r = vfmaq_n_f32(r, n, -EXP_LN2_LO);
	p = vfmaq_n_f32(vdupq_n_f32(EXP_C4), r, EXP_C5);
	p = vfmaq_f32(vdupq_n_f32(EXP_C3), p, r);
	p = vfmaq_f32(vdupq_n_f32(EXP_C2), p, r);
	p = vfmaq_f32(vdupq_n_f32(EXP_C1), p, r);
	p = vfmaq_f32(vdupq_n_f32(1.0f), p, r);
	p = vmulq_f32(p, vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23)));
	return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(p), in_range));
}

INLINE float32x4_t vexp(float32x4_t x)
{
	return vexp_of(x, false);
}

INLINE float32x4_t vexp_or_nan(float32x4_t x)
{
	return vexp_of(x, true);
}

#endif
