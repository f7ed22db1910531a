/* The one rule of quantizing a block (kernels.h), for activations, queries, K and V. */
#ifndef GYRE_KERNELS_NEON_QUANTIZE_H
#define GYRE_KERNELS_NEON_QUANTIZE_H

#include "kernels/neon/simd.h"

/* The largest |x| of len, a multiple of 16, as integers: NaN above infinity above all else. */
INLINE float amax_of(const float *x, const int len)
{
	uint32x4_t max[4] = { vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0) };
	uint32_t top;
	float amax;

	for (int i = 0; i < len; i += 16)
		for (int k = 0; k < 4; k++)
			max[k] = vmaxq_u32(max[k], vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x + i + 4 * k))));
	top = vmaxvq_u32(vmaxq_u32(vmaxq_u32(max[0], max[1]), vmaxq_u32(max[2], max[3])));
	memcpy(&amax, &top, 4);
	return amax;
}

INLINE float inverse(float amax, float q_max)
{
	return amax > ACT_AMAX_MIN ? q_max / amax : 0.0f;
}

/* 16 floats -> 16 i8 in [-q_max, q_max], in order; of a NaN and -q_max, maxnm takes -q_max. */
INLINE int8x16_t quantize16(const float *x, float id, float q_max)
{
	int16x8_t v[2];

	for (int i = 0; i < 2; i++) {
		float32x4_t a = vmulq_n_f32(vld1q_f32(x + 8 * i), id), b = vmulq_n_f32(vld1q_f32(x + 8 * i + 4), id);
		int32x4_t low = vcvtnq_s32_f32(vmaxnmq_f32(a, vdupq_n_f32(-q_max))),
			  high = vcvtnq_s32_f32(vmaxnmq_f32(b, vdupq_n_f32(-q_max)));

		v[i] = vuzp1q_s16(vreinterpretq_s16_s32(low), vreinterpretq_s16_s32(high));
	}
	return vuzp1q_s8(vreinterpretq_s8_s16(v[0]), vreinterpretq_s8_s16(v[1]));
}

#endif
