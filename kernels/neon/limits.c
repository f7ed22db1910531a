/* 16-byte loads; and sdot on as many sums as hide its latency. */
#include "kernels/constant_n.h"
#include "kernels/isa.h"

#include <arm_neon.h>

INLINE uint64_t read_streams(const uint8_t *p, size_t part, size_t n_stream, size_t ahead)
{
	uint64x2_t acc[8];

	for (size_t k = 0; k < 8; k++)
		acc[k] = vdupq_n_u64(0);
	for (size_t i = 0; i < part; i += 512 / n_stream)
		for (size_t s = 0; s < n_stream; s++)
			for (size_t u = 0; u < 8 / n_stream; u++) {
				const uint8_t *at = p + s * part + i + 64 * u;

				if (ahead)
					__builtin_prefetch(at + ahead);
				for (size_t k = 0; k < 4; k++)
					acc[4 * (u % 2) + k] = veorq_u64(acc[4 * (u % 2) + k],
									 vld1q_u64((const uint64_t *)(at + 16 * k)));
			}
	for (size_t k = 1; k < 8; k++)
		acc[0] = veorq_u64(acc[0], acc[k]);
	return vgetq_lane_u64(acc[0], 0) ^ vgetq_lane_u64(acc[0], 1);
}

#include "kernels/limit_read.h"

#define SUMS 16 /* four pipes of a latency of four */

static uint64_t limit_mul_add(uint64_t n)
{
	int8x16_t w = vdupq_n_s8(3), x = vdupq_n_s8(5);
	int32x4_t acc[SUMS];

	for (int k = 0; k < SUMS; k++)
		acc[k] = vdupq_n_s32(0);
	for (uint64_t i = 0; i < n; i++) {
		__asm__ volatile("" : "+w"(w), "+w"(x)); /* else all rounds are one */
		for (int k = 0; k < SUMS; k++)
			acc[k] = vdotq_s32(acc[k], w, x);
	}
	for (int k = 0; k < SUMS; k++)
		__asm__ volatile("" : : "w"(acc[k]));
	return n * SUMS * 16;
}

void limits_neon_override(struct limits *l)
{
	*l = (struct limits){ limit_read, limit_mul_add };
}
