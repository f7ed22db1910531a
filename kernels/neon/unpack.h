/*
 * Weights and scales of four rows (one vector) out of the layouts of quant.h, for this level's products and those of levels above. A
 * vector of weights is decoded byte by byte, so which rows and columns its bytes are is the caller's: four rows of a k-group as they
 * lie, or another order.
 */
#ifndef GYRE_KERNELS_NEON_UNPACK_H
#define GYRE_KERNELS_NEON_UNPACK_H

#include "kernels/neon/simd.h"

/* The low and the high nibbles of a vector: 0..15; when scaled, sixteen times what is 8 less, by flipping the top bit. */
INLINE void unpack_nibbles(int8x16_t *low, int8x16_t *high, uint8x16_t b, const bool is_scaled)
{
	if (is_scaled) {
		b = veorq_u8(b, vdupq_n_u8(0x88));
		*low = vreinterpretq_s8_u8(vshlq_n_u8(b, 4));
		*high = vreinterpretq_s8_u8(vandq_u8(b, vdupq_n_u8(0xf0)));
	} else {
		*low = vreinterpretq_s8_u8(vandq_u8(b, vdupq_n_u8(15)));
		*high = vreinterpretq_s8_u8(vshrq_n_u8(b, 4));
	}
}

/* With a fifth bit where `set` is all ones: 16; when signed, 16 less where it is not. */
INLINE int8x16_t add_fifth(int8x16_t v, uint8x16_t set, const bool is_signed)
{
	set = is_signed ? vbicq_u8(vdupq_n_u8(0xf0), set) : vandq_u8(vdupq_n_u8(16), set);
	return vorrq_s8(v, vreinterpretq_s8_u8(set));
}

/* Where the fields of a Q4_K or Q5_K panel block lie, and of Q6_K (quant.h). */
#define DMIN_AT  32
#define SC_AT    64
#define QH_AT    256
#define SC6_AT   32
#define SUB6_AT  288
#define SUB6_LEN 192

/* The six-bit scales and minima of a panel block as bytes: [sub-block][row]. */
struct six {
	uint8_t scale[8][PANEL_ROWS], min[8][PANEL_ROWS];
};

INLINE void load_six(struct six *six, const uint8_t *sc)
{
	const uint8x16_t low = vdupq_n_u8(15), six_bits = vdupq_n_u8(63), high = vdupq_n_u8(48);

	for (int s = 0; s < 4; s++) {
		uint8x16_t a = vld1q_u8(sc + 16 * s), b = vld1q_u8(sc + 16 * (s + 4)), c = vld1q_u8(sc + 16 * (s + 8));

		vst1q_u8(six->scale[s], vandq_u8(a, six_bits));
		vst1q_u8(six->min[s], vandq_u8(b, six_bits));
		vst1q_u8(six->scale[s + 4], vorrq_u8(vandq_u8(c, low), vandq_u8(vshrq_n_u8(a, 2), high)));
		vst1q_u8(six->min[s + 4], vorrq_u8(vshrq_n_u8(c, 4), vandq_u8(vshrq_n_u8(b, 2), high)));
	}
}

/* Quants of sub-block s of Q4_K, or Q5_K with its fifth bits in h, from the bytes that it shares with one other. */
INLINE int8x16_t unpack_k45(uint8x16_t b, uint8x16_t h, int s, const bool is_odd, const bool five)
{
	b = is_odd ? vshrq_n_u8(b, 4) : vandq_u8(b, vdupq_n_u8(15));
	if (five)
		b = vorrq_u8(b, vandq_u8(vtstq_u8(h, vdupq_n_u8((uint8_t)(1 << s))), vdupq_n_u8(16)));
	return vreinterpretq_s8_u8(b);
}

/* A sub-block of four rows of Q6_K: four k-groups of 0..63. */
INLINE void unpack_q6(int8x16_t v[4], const uint8_t *sub)
{
	const uint8x16_t low = vdupq_n_u8(15), high = vdupq_n_u8(48);
	uint8x16_t h = vld1q_u8(sub), a = vld1q_u8(sub + 64), b = vld1q_u8(sub + 128);

	v[0] = vreinterpretq_s8_u8(vorrq_u8(vandq_u8(a, low), vandq_u8(vshlq_n_u8(h, 4), high)));
	v[1] = vreinterpretq_s8_u8(vsriq_n_u8(vandq_u8(vshlq_n_u8(h, 2), high), a, 4));
	v[2] = vreinterpretq_s8_u8(vorrq_u8(vandq_u8(b, low), vandq_u8(h, high)));
	v[3] = vreinterpretq_s8_u8(vsriq_n_u8(vandq_u8(vshrq_n_u8(h, 2), high), b, 4));
}

/* Where the fields of a Q2_K or Q3_K panel block, of 2 or 3 bits, lie (quant.h). */
#define DMIN2_AT      32
#define SC23_AT(bits) ((bits) == 3 ? 32 : 64)
#define HM3_AT        224
#define QS23_AT(bits) ((bits) == 3 ? 736 : 320)

/* The scales of its sub-blocks, and Q2_K's minima: [sub-block][row]. */
struct scales {
	int8_t scale[16][PANEL_ROWS];
	uint8_t min[16][PANEL_ROWS];
};

INLINE void load_scales(struct scales *to, const int bits, const uint8_t *sc)
{
	for (int s = 0; s < 16; s++) {
		uint8x16_t v = vld1q_u8(sc + (bits == 2 ? s : s % 8) * PANEL_ROWS);

		if (bits == 2) {
			vst1q_u8(to->min[s], vshrq_n_u8(v, 4));
			vst1q_s8(to->scale[s], vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15))));
			continue;
		}
		uint8x16_t high = vshlq_u8(vld1q_u8(sc + (8 + s % 4) * PANEL_ROWS), vdupq_n_s8((int8_t)(s / 4 * -2)));

		v = s < 8 ? vandq_u8(v, vdupq_n_u8(15)) : vshrq_n_u8(v, 4);
		v = vorrq_u8(v, vshlq_n_u8(vandq_u8(high, vdupq_n_u8(3)), 4));
		vst1q_s8(to->scale[s], vsubq_s8(vreinterpretq_s8_u8(v), vdupq_n_s8(32)));
	}
}

/* Quants of sub-blocks 8h + 2c (or + 1), from the bytes that hold all c, and the third bits. */
INLINE int8x16_t unpack_k23(const int bits, uint8x16_t b, uint8x16_t hm, int h, const int c)
{
	uint8x16_t v = vandq_u8(vshlq_u8(b, vdupq_n_s8((int8_t)(-2 * c))), vdupq_n_u8(3));

	if (bits == 3)
		v = vorrq_u8(v, vbicq_u8(vdupq_n_u8(0xfc), vtstq_u8(hm, vdupq_n_u8((uint8_t)(1 << (4 * h + c))))));
	return vreinterpretq_s8_u8(v);
}

/* The values of the low and the high nibbles of a vector. */
INLINE void look_up(int8x16_t *low, int8x16_t *high, int8x16_t table, uint8x16_t b)
{
	*low = vqtbl1q_s8(table, vandq_u8(b, vdupq_n_u8(15)));
	*high = vqtbl1q_s8(table, vshrq_n_u8(b, 4));
}

/* Halves of four E8M0 scales: 2^(e - 128), subnormal for 0 and 1. */
INLINE float32x4_t load_e8m0(const uint8_t *p)
{
	int32x4_t e = load_u8(p), normal = vshlq_n_s32(vsubq_s32(e, vdupq_n_s32(1)), 23),
		  tiny = vshlq_s32(vdupq_n_s32(0x00200000), e);

	return vreinterpretq_f32_s32(vbslq_s32(vcltq_s32(e, vdupq_n_s32(2)), tiny, normal));
}

/* Where the fields of an IQ4_XS panel block lie (quant.h). */
#define SH_AT   32
#define SL_AT   64
#define QSXS_AT 128

/* Its scale s of four rows; sh[2][16] and sl[4][16] at the first one's bytes. */
INLINE int32x4_t scale_xs(const uint8_t *sh, const uint8_t *sl, const int s)
{
	int32x4_t low = load_u8(sl + 16 * (s / 2)), high = load_u8(sh + 16 * (s / 4));

	low = vandq_s32(vshlq_s32(low, vdupq_n_s32(s % 2 * -4)), vdupq_n_s32(15));
	high = vandq_s32(vshlq_s32(high, vdupq_n_s32(s % 4 * -2)), vdupq_n_s32(3));
	return vsubq_s32(vorrq_s32(low, vshlq_n_s32(high, 4)), vdupq_n_s32(32));
}

#endif
