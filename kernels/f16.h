/* Exact f16, bf16 and E8M0 conversions in portable C: round to nearest even, subnormals kept, NaN stays NaN. */
#ifndef GYRE_KERNELS_F16_H
#define GYRE_KERNELS_F16_H

#include <stdint.h>
#include <string.h>

static inline float f32_from_bits(uint32_t u)
{
	float f;
	memcpy(&f, &u, 4);
	return f;
}

static inline uint32_t f32_bits(float f)
{
	uint32_t u;
	memcpy(&u, &f, 4);
	return u;
}

static inline float f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16;
	uint32_t exp = h >> 10 & 31, man = h & 0x3ff;

	if (exp == 31)
		return f32_from_bits(sign | 0x7f800000u | man << 13 |
				     (man ? 1u << 22 : 0)); /* a NaN comes out quiet, as from F16C */
	if (exp == 0) {                                     /* zero or subnormal: man * 2^-24, exact */
		float f = (float)man * 0x1p-24f;
		return f32_from_bits(sign | f32_bits(f));
	}
	return f32_from_bits(sign | (exp + 112) << 23 | man << 13);
}

static inline uint16_t f32_to_f16(float f)
{
	uint32_t u = f32_bits(f), sign = u >> 16 & 0x8000, abs = u & 0x7fffffff;

	if (abs > 0x7f800000u)
		return (uint16_t)(sign | 0x7e00 | (abs >> 13 & 0x3ff));
	if (abs >= 0x477ff000u) /* rounds past the largest f16 */
		return (uint16_t)(sign | 0x7c00);
	if (abs < 0x38800000u) { /* subnormal: adding 2^-14 * 2^10 lets the FPU round to the f16 grid of 2^-24 */
		float r = f32_from_bits(abs) + 0.5f;
		return (uint16_t)(sign | (f32_bits(r) - 0x3f000000u));
	}
	abs += 0xfff + (abs >> 13 & 1);
	return (uint16_t)(sign | (abs - 0x38000000u) >> 13);
}

static inline float bf16_to_f32(uint16_t h)
{
	return f32_from_bits((uint32_t)h << 16);
}

/* Half of what an E8M0 byte stands for: 2^(x - 128), subnormal for 0 and 1. As in ggml, 255 is 2^127 and not NaN. */
static inline float e8m0_half_to_f32(uint8_t x)
{
	return f32_from_bits(x < 2 ? 0x00200000u << x : (uint32_t)(x - 1) << 23);
}

static inline uint16_t load_u16(const void *p)
{
	uint16_t h;
	memcpy(&h, p, 2);
	return h;
}

static inline float load_f16(const void *p)
{
	return f16_to_f32(load_u16(p));
}

#endif
