/* The 256-element types: Q4_K Q5_K (six-bit sub-scales and minima over 32) and Q6_K (eight-bit sub-scales over 16). */
#include "kernels/ref/panel.h"

#include <math.h>

/* A decoded block: value k = d * sc[k / sub] * q[k] - dmin * min[k / 32]. */
struct k_block {
	float d, dmin;
	int sc[16], min[8];
	int8_t q[256];
};

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

static void encode_scales(uint8_t s[12], const int sc[8], const int min[8])
{
	for (int j = 0; j < 4; j++) {
		s[j] = (uint8_t)(sc[j] | sc[j + 4] >> 4 << 6);
		s[j + 4] = (uint8_t)(min[j] | min[j + 4] >> 4 << 6);
		s[j + 8] = (uint8_t)((sc[j + 4] & 15) | (min[j + 4] & 15) << 4);
	}
}

/* The panel's own arrangement of the same bits (quant.h): whole scales in the low six bits, minima 4..7 in the spare ones. */
static void scales_to_panel(uint8_t s[12], const int sc[8], const int min[8])
{
	for (int j = 0; j < 8; j++)
		s[j] = (uint8_t)sc[j];
	for (int j = 0; j < 4; j++)
		s[8 + j] = (uint8_t)min[j];
	for (int t = 0; t < 4; t++)
		for (int j = 0; j < 3; j++)
			s[3 * t + j] |= (uint8_t)((min[4 + t] >> 2 * j & 3) << 6);
}

static void scales_from_panel(const uint8_t s[12], int sc[8], int min[8])
{
	for (int j = 0; j < 8; j++)
		sc[j] = s[j] & 63;
	for (int j = 0; j < 4; j++)
		min[j] = s[8 + j] & 63;
	for (int t = 0; t < 4; t++)
		min[4 + t] = s[3 * t] >> 6 | s[3 * t + 1] >> 6 << 2 | s[3 * t + 2] >> 6 << 4;
}

/* Q4_K: [d][dmin][scales 12][qs 128]; Q5_K: [d][dmin][scales 12][qh 32][qs 128]. */
static inline void decode_k45(const uint8_t *b, struct k_block *o, bool five)
{
	const uint8_t *qh = b + 16, *qs = b + (five ? 48 : 16);

	o->d = load_f16(b);
	o->dmin = load_f16(b + 2);
	decode_scales(b + 4, o->sc, o->min);
	for (int k = 0; k < 256; k++) {
		int v = qs[k / 64 * 32 + k % 32] >> (k % 64 < 32 ? 0 : 4) & 15;

		if (five)
			v |= (qh[k % 32] >> k / 32 & 1) << 4;
		o->q[k] = (int8_t)v;
	}
}

static inline void dequantize_k45(float *y, const void *block, bool five)
{
	struct k_block b;

	decode_k45(block, &b, five);
	for (int k = 0; k < 256; k++)
		y[k] = b.d * (float)b.sc[k / 32] * (float)b.q[k] - b.dmin * (float)b.min[k / 32];
}

static inline void pack_k45(uint8_t *dst, const void *const row_block[PANEL_ROWS], bool five)
{
	dst = panel_interleave(dst, row_block, 0, 2, 2);
	for (int r = 0; r < PANEL_ROWS; r++) {
		int sc[8] = { 0 }, min[8] = { 0 };
		uint8_t s[12];

		if (row_block[r])
			decode_scales((const uint8_t *)row_block[r] + 4, sc, min);
		scales_to_panel(s, sc, min);
		for (int j = 0; j < 12; j++)
			dst[j * PANEL_ROWS + r] = s[j];
	}
	dst += 12 * PANEL_ROWS;
	if (five)
		dst = panel_interleave(dst, row_block, 16, 4, 8);
	panel_interleave(dst, row_block, five ? 48 : 16, 4, 32);
}

static inline void unpack_k45(uint8_t *block, const uint8_t *src, int r, bool five)
{
	int sc[8], min[8];
	uint8_t s[12];

	src = panel_extract(block, src, r, 2, 2);
	src = panel_extract(s, src, r, 1, 12);
	scales_from_panel(s, sc, min);
	encode_scales(block + 4, sc, min);
	if (five)
		src = panel_extract(block + 16, src, r, 4, 8);
	panel_extract(block + (five ? 48 : 16), src, r, 4, 32);
}

/* Q6_K: [ql 128][qh 64][scales 16][d]. GGUF's order of bits: half h (128 values), value 32c + l of it has its low bits in
 * ql[64h + 32(c&1) + l], nibble c/2, and its high bits in qh[32h + l] at 2c. */
static void decode_q6_k(const uint8_t *b, struct k_block *o)
{
	o->d = load_f16(b + 208);
	o->dmin = 0.0f;
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

void ref_dequantize_q6_k(float *y, const void *block)
{
	struct k_block b;

	decode_q6_k(block, &b);
	for (int k = 0; k < 256; k++)
		y[k] = b.d * (float)b.sc[k / 16] * (float)b.q[k];
}

void ref_pack_q6_k(void *dst, const void *const row_block[PANEL_ROWS])
{
	uint8_t *sc = panel_interleave(dst, row_block, 208, 2, 1);
	uint8_t *qh = panel_interleave(sc, row_block, 192, 1, 16), *ql = qh + 16 * 64;

	memset(qh, 0, 48 * 64);
	for (int r = 0; r < PANEL_ROWS; r++) {
		struct k_block b;

		if (!row_block[r])
			continue;
		decode_q6_k(row_block[r], &b);
		for (int k = 0; k < 256; k++) {
			int g = k / 4, at = r * 4 + k % 4, v = b.q[k] + 32;

			ql[g / 2 * 64 + at] |= (uint8_t)((v & 15) << 4 * (g % 2));
			qh[g / 4 * 64 + at] |= (uint8_t)(v >> 4 << 2 * (g % 4));
		}
	}
}

void ref_unpack_q6_k(void *block, const void *panel_block, int r)
{
	uint8_t *b = block, q[256];
	const uint8_t *sc = panel_extract(b + 208, panel_block, r, 2, 1);
	const uint8_t *qh = panel_extract(b + 192, sc, r, 1, 16), *ql = qh + 16 * 64;

	for (int k = 0; k < 256; k++) {
		int g = k / 4, at = r * 4 + k % 4;

		q[k] = (uint8_t)((ql[g / 2 * 64 + at] >> 4 * (g % 2) & 15) | (qh[g / 4 * 64 + at] >> 2 * (g % 4) & 3)
										     << 4);
	}
	encode_q6_k(b, q);
}

void ref_dequantize_q4_k(float *y, const void *block)
{
	dequantize_k45(y, block, false);
}

void ref_dequantize_q5_k(float *y, const void *block)
{
	dequantize_k45(y, block, true);
}

void ref_pack_q4_k(void *dst, const void *const row_block[PANEL_ROWS])
{
	pack_k45(dst, row_block, false);
}

void ref_pack_q5_k(void *dst, const void *const row_block[PANEL_ROWS])
{
	pack_k45(dst, row_block, true);
}

void ref_unpack_q4_k(void *block, const void *src, int r)
{
	unpack_k45(block, src, r, false);
}

void ref_unpack_q5_k(void *block, const void *src, int r)
{
	unpack_k45(block, src, r, true);
}

/* acc over one block for token t of the tile: the chain of the contract. */
static float block_dot(const struct k_block *w, const uint8_t *x, size_t n, size_t t, int sub, float acc)
{
	const float *d = (const float *)x;
	const int16_t *sum32 = (const int16_t *)(d + n);
	const int8_t *q = (const int8_t *)(sum32 + 24 * n);
	int32_t isum = 0, mins = 0;

	for (int s = 0; s < 256 / sub; s++) {
		int32_t part = 0;

		for (int k = s * sub; k < (s + 1) * sub; k++)
			part += w->q[k] * q[((size_t)k / 4 * n + t) * 4 + (size_t)k % 4];
		isum += w->sc[s] * part;
	}
	acc = fmaf(w->d * d[t], (float)isum, acc);
	if (sub == 16)
		return acc;
	for (size_t s = 0; s < 8; s++)
		mins += w->min[s] * sum32[(s / 2 * n + t) * 2 + s % 2];
	return fmaf(-(w->dmin * d[t]), (float)mins, acc);
}

static inline void matmul(uint32_t type, float *y, size_t y_stride, const void *w, const void *x_tile, int n_tok,
			  size_t n_col, size_t panel0, size_t panel1)
{
	const struct quant_info *info = quant_info(type);
	size_t n_block = n_col / 256, n = (size_t)n_tok;

	for (size_t p = panel0; p < panel1; p++) {
		for (size_t i = 0; i < PANEL_ROWS * n; i++)
			y[i / PANEL_ROWS * y_stride + p * PANEL_ROWS + i % PANEL_ROWS] = 0.0f;
		for (size_t i = 0; i < n_block * PANEL_ROWS; i++) {
			size_t b = i / PANEL_ROWS, r = i % PANEL_ROWS;
			const uint8_t *panel = (const uint8_t *)w + (p * n_block + b) * info->block_bytes * PANEL_ROWS;
			uint8_t row[256];
			struct k_block k;

			info->unpack(row, panel, (int)r);
			if (type == QUANT_Q6_K)
				decode_q6_k(row, &k);
			else
				decode_k45(row, &k, type == QUANT_Q5_K);
			for (size_t t = 0; t < n; t++) {
				float *acc = y + t * y_stride + p * PANEL_ROWS + r;

				*acc = block_dot(&k, (const uint8_t *)x_tile + b * ACT_Q8_K_BYTES(n), n, t,
						 type == QUANT_Q6_K ? 16 : 32, *acc);
			}
		}
	}
}

void ref_matmul_q4_k(float *y, size_t y_stride, const void *w, const void *x_tile, int n_tok, size_t n_col,
		     size_t panel0, size_t panel1)
{
	matmul(QUANT_Q4_K, y, y_stride, w, x_tile, n_tok, n_col, panel0, panel1);
}

void ref_matmul_q5_k(float *y, size_t y_stride, const void *w, const void *x_tile, int n_tok, size_t n_col,
		     size_t panel0, size_t panel1)
{
	matmul(QUANT_Q5_K, y, y_stride, w, x_tile, n_tok, n_col, panel0, panel1);
}

void ref_matmul_q6_k(float *y, size_t y_stride, const void *w, const void *x_tile, int n_tok, size_t n_col,
		     size_t panel0, size_t panel1)
{
	matmul(QUANT_Q6_K, y, y_stride, w, x_tile, n_tok, n_col, panel0, panel1);
}
