/*
 * Packing the 256-element types whose bits a panel arranges in its own way. The rows' bytes are interleaved first, so that
 * a lane is a row and each step is the same for all sixteen: a load of a model waits for this.
 */
#include "kernels/ref/k.h"

#define ROWS PANEL_ROWS

/* Q4_K: [d][dmin][scales 12][qs 128]; Q5_K: [d][dmin][scales 12][qh 32][qs 128]. */
static inline uint8_t *pack_k45(uint8_t *dst, const uint8_t *src, size_t stride, bool five)
{
	/* The whole head as one square of bytes, then its two f16 as they should be. */
	uint8_t *rest = panel_interleave(dst, src, stride, 1, 16);

	panel_interleave(dst, src, stride, 2, 2);
	if (five)
		rest = panel_interleave(rest, src + 16, stride, 4, 8);
	return panel_interleave(rest, src + (five ? 48 : 16), stride, 4, 32);
}

void k_pack4(uint8_t *dst, const uint8_t *src, size_t stride, size_t n_block)
{
	for (; n_block; n_block--, src += 144)
		dst = pack_k45(dst, src, stride, false);
}

void k_pack5(uint8_t *dst, const uint8_t *src, size_t stride, size_t n_block)
{
	for (; n_block; n_block--, src += 176)
		dst = pack_k45(dst, src, stride, true);
}

/* The bits of a under mask << by change places with those of b under mask. */
static inline void bits_swap(uint32_t *a, uint32_t *b, uint32_t mask, int by)
{
	uint32_t t = (*a >> by ^ *b) & mask;

	*b ^= t;
	*a ^= t << by;
}

/*
 * Q6_K: [ql 128][qh 64][scales 16][d]. Dword 16h + 8(c & 1) + g of ql holds, in nibbles c/2, the low bits of values
 * 128h + 32c + 4g .. +3; dword 8h + g of qh their high bits at 2c. A panel dword holds two such groups of low bits in
 * sequence, and four of high bits: nibbles of two dwords change places, and pairs of bits of four. A sub-block has a dword of high
 * bits and then two of low ones.
 */
static void pack_q6_low(uint32_t (*restrict dst)[ROWS], uint32_t (*restrict in)[ROWS])
{
	for (int j = 0; j < 16; j++) {
		uint32_t(*at)[ROWS] = dst + 3 * (j / 8 * 8 + j % 8 / 2) + 1 + j % 2;

		for (int r = 0; r < ROWS; r++) {
			uint32_t a = in[2 * j][r], b = in[2 * j + 1][r];

			bits_swap(&a, &b, 0x0f0f0f0f, 4);
			at[0][r] = a;
			at[12][r] = b;
		}
	}
}

static void pack_q6_high(uint32_t (*restrict dst)[ROWS], uint32_t (*restrict in)[ROWS])
{
	for (int j = 0; j < 4; j++) {
		uint32_t(*at)[ROWS] = dst + 3 * (j / 2 * 8 + j % 2);

		for (int r = 0; r < ROWS; r++) {
			uint32_t a = in[4 * j][r], b = in[4 * j + 1][r], c = in[4 * j + 2][r], d = in[4 * j + 3][r];

			bits_swap(&a, &b, 0x33333333, 2);
			bits_swap(&c, &d, 0x33333333, 2);
			bits_swap(&a, &c, 0x0f0f0f0f, 4);
			bits_swap(&b, &d, 0x0f0f0f0f, 4);
			at[0][r] = a;
			at[6][r] = b;
			at[12][r] = c;
			at[18][r] = d;
		}
	}
}

void k_pack6(uint8_t *dst, const uint8_t *src, size_t stride, size_t n_block)
{
	uint32_t low[32][ROWS], high[16][ROWS];

	for (; n_block; n_block--, src += 210) {
		panel_interleave((uint8_t *)low, src, stride, 4, 32);
		panel_interleave((uint8_t *)high, src + 128, stride, 4, 16);
		dst = panel_interleave(dst, src + 208, stride, 2, 1);
		dst = panel_interleave(dst, src + 192, stride, 1, 16);
		pack_q6_high((uint32_t(*)[ROWS])dst, high);
		pack_q6_low((uint32_t(*)[ROWS])dst, low);
		dst += sizeof(high) + sizeof(low);
	}
}
