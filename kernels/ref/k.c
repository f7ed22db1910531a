/* The 256-element types: Q4_K Q5_K (six-bit sub-scales and minima over 32) and Q6_K (eight-bit sub-scales over 16). */
#include "kernels/ref/k.h"

/* GGUF's twelve scale bytes: six-bit scales 0..7 and minima 0..7. */
static void decode_scales(const uint8_t s[12], int sc[8], int min[8])
{
	for (int j = 0; j < 4; j++) {
		sc[j] = s[j] & 63;
		min[j] = s[j + 4] & 63;
		sc[j + 4] = (s[j + 8] & 15) | s[j] >> 6 << 4;
		min[j + 4] = s[j + 8] >> 4 | s[j + 4] >> 6 << 4;
	}
}

/* Q4_K: [d][dmin][scales 12][qs 128]; Q5_K: [d][dmin][scales 12][qh 32][qs 128]. */
static inline void decode_k45(struct k_block *o, const uint8_t *b, bool five)
{
	const uint8_t *qh = b + 16, *qs = b + (five ? 48 : 16);

	*o = (struct k_block){ .d = load_f16(b), .dmin = load_f16(b + 2), .has_min = true, .sub = 32 };
	decode_scales(b + 4, o->sc, o->min);
	for (int k = 0; k < 256; k++) {
		int v = qs[k / 64 * 32 + k % 32] >> (k % 64 < 32 ? 0 : 4) & 15;

		if (five)
			v |= (qh[k % 32] >> k / 32 & 1) << 4;
		o->q[k] = (int8_t)v;
	}
}

static void decode_q4_k(struct k_block *o, const uint8_t *b)
{
	decode_k45(o, b, false);
}

static void decode_q5_k(struct k_block *o, const uint8_t *b)
{
	decode_k45(o, b, true);
}

static inline void unpack_k45(uint8_t *block, const uint8_t *src, int r, bool five)
{
	src = panel_extract(block, src, r, 2, 2);
	src = panel_extract(block + 4, src, r, 1, 12);
	if (five)
		src = panel_extract(block + 16, src, r, 4, 8);
	panel_extract(block + (five ? 48 : 16), src, r, 4, 32);
}

/* Q6_K: [ql 128][qh 64][scales 16][d]. GGUF's order of bits: half h (128 values), value 32c + l of it has its low bits in
 * ql[64h + 32(c&1) + l], nibble c/2, and its high bits in qh[32h + l] at 2c. */
static void decode_q6_k(struct k_block *o, const uint8_t *b)
{
	*o = (struct k_block){ .d = load_f16(b + 208), .sub = 16 };
	for (int j = 0; j < 16; j++)
		o->sc[j] = (int8_t)b[192 + j];
	for (int k = 0; k < 256; k++) {
		int h = k / 128, c = k % 128 / 32, l = k % 32;
		int low = b[64 * h + 32 * (c & 1) + l] >> 4 * (c / 2) & 15;
		int high = b[128 + 32 * h + l] >> 2 * c & 3;

		o->q[k] = (int8_t)((low | high << 4) - 32);
	}
}

static void encode_q6_k(uint8_t *b, const uint8_t q[256])
{
	memset(b, 0, 192);
	for (int k = 0; k < 256; k++) {
		int h = k / 128, c = k % 128 / 32, l = k % 32;

		b[64 * h + 32 * (c & 1) + l] |= (uint8_t)((q[k] & 15) << 4 * (c / 2));
		b[128 + 32 * h + l] |= (uint8_t)(q[k] >> 4 << 2 * c);
	}
}

static void dequantize_q6_k(float *y, const void *block)
{
	k_dequantize(y, block, decode_q6_k);
}

static void unpack_q6_k(void *block, const void *panel_block, int r)
{
	uint8_t *b = block, q[256];
	const uint8_t *sc = panel_extract(b + 208, panel_block, r, 2, 1);
	const uint8_t *sub = panel_extract(b + 192, sc, r, 1, 16) + r * 4;

	for (int k = 0; k < 256; k++) {
		const uint8_t *qh = sub + k / 16 * 192 + k % 4, *ql = qh + 64;
		int g = k % 16 / 4;

		q[k] = (uint8_t)((ql[g / 2 * 64] >> 4 * (g % 2) & 15) | (*qh >> 2 * g & 3) << 4);
	}
	encode_q6_k(b, q);
}

static void dequantize_q4_k(float *y, const void *block)
{
	k_dequantize(y, block, decode_q4_k);
}

static void dequantize_q5_k(float *y, const void *block)
{
	k_dequantize(y, block, decode_q5_k);
}

static void unpack_q4_k(void *block, const void *src, int r)
{
	unpack_k45(block, src, r, false);
}

static void unpack_q5_k(void *block, const void *src, int r)
{
	unpack_k45(block, src, r, true);
}

static void matmul_q4_k(MATMUL_ARGS)
{
	k_matmul(QUANT_Q4_K, decode_q4_k, y, y_stride, w, x_tile, n_tok, k, panel0, panel1);
}

static void matmul_q5_k(MATMUL_ARGS)
{
	k_matmul(QUANT_Q5_K, decode_q5_k, y, y_stride, w, x_tile, n_tok, k, panel0, panel1);
}

static void matmul_q6_k(MATMUL_ARGS)
{
	k_matmul(QUANT_Q6_K, decode_q6_k, y, y_stride, w, x_tile, n_tok, k, panel0, panel1);
}

const struct ref_type ref_k_types[] = {
	{ QUANT_Q4_K, { "Q4_K", 256, 144, dequantize_q4_k, k_pack4, unpack_q4_k, 2, { 0, 2 } }, ACT_Q8_K, matmul_q4_k },
	{ QUANT_Q5_K, { "Q5_K", 256, 176, dequantize_q5_k, k_pack5, unpack_q5_k, 2, { 0, 2 } }, ACT_Q8_K, matmul_q5_k },
	{ QUANT_Q6_K, { "Q6_K", 256, 210, dequantize_q6_k, k_pack6, unpack_q6_k, 1, { 208 } }, ACT_Q8_K, matmul_q6_k },
	{ .info = { .name = NULL } },
};
