/*
 * Packing the 256-element types whose bits a panel arranges in its own way. The rows' bytes are interleaved first, so that
 * a lane is a row and each step is the same for all sixteen: a load of a model waits for this.
 */
#include "kernels/ref/panel.h"

#define ROWS PANEL_ROWS

/* A dword of each row. Panel blocks are multiples of 16 bytes. */
typedef uint32_t rows16 __attribute__((vector_size(4 * ROWS), aligned(16)));

/* GGUF's twelve scale bytes [12][row] -> the panel's: whole scales in the low six bits, minima 4..7 in the spare ones. */
static void pack_scales(uint8_t *restrict dst, uint8_t in[12][ROWS])
{
	for (int r = 0; r < ROWS; r++) {
		for (int j = 0; j < 4; j++) {
			uint8_t sc = in[j][r], min = in[4 + j][r], both = in[8 + j][r];

			dst[j * ROWS + r] = sc & 63;
			dst[(4 + j) * ROWS + r] = (uint8_t)((both & 15) | sc >> 6 << 4);
			dst[(8 + j) * ROWS + r] = min & 63;
		}
	}
	/* Minimum 4 + t, two bits at a time, into bits 6 and 7 of bytes 3t .. 3t + 2. */
	for (int t = 0; t < 4; t++) {
		for (int r = 0; r < ROWS; r++) {
			int min = in[8 + t][r] >> 4 | in[4 + t][r] >> 6 << 4;

			for (int j = 0; j < 3; j++)
				dst[(3 * t + j) * ROWS + r] |= (uint8_t)(min >> 2 * j << 6);
		}
	}
}

/* Q4_K: [d][dmin][scales 12][qs 128]; Q5_K: [d][dmin][scales 12][qh 32][qs 128]. */
static inline void pack_k45(uint8_t *dst, const void *const row[ROWS], size_t off, bool five)
{
	uint8_t head[16][ROWS];

	dst = panel_interleave(dst, row, off, 2, 2);
	panel_interleave(head[0], row, off, 1, 16);
	pack_scales(dst, head + 4);
	dst += 12 * ROWS;
	if (five)
		dst = panel_interleave(dst, row, off + 16, 4, 8);
	panel_interleave(dst, row, off + (five ? 48 : 16), 4, 32);
}

void ref_pack_q4_k(void *dst, const void *const row[ROWS], size_t off)
{
	pack_k45(dst, row, off, false);
}

void ref_pack_q5_k(void *dst, const void *const row[ROWS], size_t off)
{
	pack_k45(dst, row, off, true);
}

/*
 * Q6_K: [ql 128][qh 64][scales 16][d]. Dword 16h + 8(c & 1) + g of ql holds, in nibbles c/2, the low bits of values
 * 128h + 32c + 4g .. +3; dword 8h + g of qh their high bits at 2c. A panel dword holds two such groups of low bits in
 * sequence, and four of high bits.
 */
static void pack_q6_low(rows16 *dst, const rows16 in[32])
{
	const uint32_t four = 0x0f0f0f0f;

	for (int j = 0; j < 32; j++) {
		int c = j % 16 / 4, shift = 4 * (c / 2);
		const rows16 *at = in + 16 * (j / 16) + 8 * (c % 2) + 2 * (j % 4);

		dst[j] = (at[0] >> shift & four) | (at[1] >> shift & four) << 4;
	}
}

static void pack_q6_high(rows16 *dst, const rows16 in[16])
{
	const uint32_t two = 0x03030303;

	for (int j = 0; j < 16; j++) {
		int shift = j % 8 / 2 * 2;
		const rows16 *at = in + 8 * (j / 8) + 4 * (j % 2);

		dst[j] = (at[0] >> shift & two) | (at[1] >> shift & two) << 2 | (at[2] >> shift & two) << 4 |
			 (at[3] >> shift & two) << 6;
	}
}

void ref_pack_q6_k(void *dst, const void *const row[ROWS], size_t off)
{
	rows16 low[32], high[16];
	uint8_t *at = dst;

	panel_interleave((uint8_t *)low, row, off, 4, 32);
	panel_interleave((uint8_t *)high, row, off + 128, 4, 16);
	at = panel_interleave(at, row, off + 208, 2, 1);
	at = panel_interleave(at, row, off + 192, 1, 16);
	pack_q6_high((rows16 *)at, high);
	pack_q6_low((rows16 *)at + 16, low);
}
