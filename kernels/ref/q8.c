/*
 * The 32-element types: Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 IQ4_NL MXFP4. Each GGUF block is [f16 d or u8 e][f16 m][u8 qh[4]][qs], absent
 * fields left out; `struct form` says which, and everything else follows.
 */
#include "kernels/codes.h"
#include "kernels/ref/panel.h"

#include <math.h>

struct form {
	bool has_min, has_high, is_e8m0;
	int bits;            /* of qs: 4 or 8 */
	int offset;          /* taken off each unsigned q */
	const int8_t *codes; /* what q stands for, where that is not itself */
};

static const struct form q4_0 = { .bits = 4, .offset = 8 };
static const struct form q4_1 = { .bits = 4, .has_min = true };
static const struct form q5_0 = { .bits = 4, .offset = 16, .has_high = true };
static const struct form q5_1 = { .bits = 4, .has_min = true, .has_high = true };
static const struct form q8_0 = { .bits = 8 };
static const struct form iq4_nl = { .bits = 4, .codes = codes_iq4 };
static const struct form mxfp4 = { .bits = 4, .codes = codes_mxfp4, .is_e8m0 = true };

static inline size_t scale_bytes(const struct form *f)
{
	return f->is_e8m0 ? 1 : 2;
}

/* Integer values of a GGUF block at k = 0..31, offset taken off. */
static inline void decode(const struct form *f, const uint8_t *b, float *d, float *m, int8_t q[32])
{
	*d = f->is_e8m0 ? e8m0_half_to_f32(*b) : load_f16(b);
	b += scale_bytes(f);
	*m = 0.0f;
	if (f->has_min) {
		*m = load_f16(b);
		b += 2;
	}
	uint32_t high = 0;
	if (f->has_high) {
		memcpy(&high, b, 4);
		b += 4;
	}
	if (f->bits == 8) {
		memcpy(q, b, 32);
		return;
	}
	for (int i = 0; i < 32; i++) {
		int v = i < 16 ? b[i] & 15 : b[i - 16] >> 4;

		v |= (int)(high >> i & 1) << 4;
		q[i] = f->codes ? f->codes[v] : (int8_t)(v - f->offset);
	}
}

static inline void dequantize(const struct form *f, float *y, const void *block)
{
	float d, m;
	int8_t q[32];

	decode(f, block, &d, &m, q);
	for (int i = 0; i < 32; i++)
		y[i] = f->has_min ? (float)q[i] * d + m : (float)q[i] * d;
}

INLINE uint8_t *pack(const struct form *f, uint8_t *dst, const uint8_t *src, size_t stride)
{
	dst = panel_interleave(dst, src, stride, scale_bytes(f), 1);
	src += scale_bytes(f);
	if (f->has_min) {
		dst = panel_interleave(dst, src, stride, 2, 1);
		src += 2;
	}
	if (f->has_high) {
		uint32_t high[PANEL_ROWS];

		for (size_t r = 0; r < PANEL_ROWS; r++) {
			memcpy(&high[r], src + r * stride, 4);
			high[r] = panel_bits_spread(high[r]);
		}
		memcpy(dst, high, sizeof(high));
		dst += sizeof(high);
		src += 4;
	}
	return panel_interleave(dst, src, stride, 4, f->bits == 8 ? 8 : 4);
}

static inline void unpack(const struct form *f, uint8_t *block, const uint8_t *src, int r)
{
	src = panel_extract(block, src, r, scale_bytes(f), 1);
	block += scale_bytes(f);
	if (f->has_min) {
		src = panel_extract(block, src, r, 2, 1);
		block += 2;
	}
	if (f->has_high) {
		uint32_t high;

		src = panel_extract((uint8_t *)&high, src, r, 4, 1);
		high = panel_bits_gather(high);
		memcpy(block, &high, 4);
		block += 4;
	}
	panel_extract(block, src, r, 4, f->bits == 8 ? 8 : 4);
}

static inline size_t block_bytes(const struct form *f)
{
	return scale_bytes(f) + (f->has_min ? 2 : 0) + (f->has_high ? 4 : 0) + (f->bits == 8 ? 32 : 16);
}

/* One row of a panel times one token, over n_block blocks: the chain of the contract. */
static inline float dot(const struct form *f, const uint8_t *panel, int r, const uint8_t *x, size_t n, size_t t,
			size_t n_block)
{
	float acc = 0.0f;

	for (size_t b = 0; b < n_block; b++, panel += block_bytes(f) * PANEL_ROWS, x += ACT_Q8_BYTES(n)) {
		const float *d = (const float *)x, *s = (const float *)(x + ACT_Q8_S(n));
		const int8_t *q = (const int8_t *)(x + ACT_Q8_Q(n));
		uint8_t block[2 + 2 + 4 + 32];
		float dw, m;
		int8_t qw[32];
		int32_t isum = 0;

		unpack(f, block, panel, r);
		decode(f, block, &dw, &m, qw);
		for (size_t k = 0; k < 32; k++)
			isum += qw[k] * q[(k / 4 * n + t) * 4 + k % 4];
		acc = fmaf(dw * d[t], (float)isum, acc);
		if (f->has_min)
			acc = fmaf(m, s[t], acc);
	}
	return acc;
}

/* And over all chunks. */
static inline float dot_chunks(const struct form *f, const uint8_t *panel, int r, const uint8_t *x, size_t n, size_t t,
			       const struct chunks *k)
{
	float acc = 0.0f, wait[CHUNK_WAIT_MAX];

	for (uint32_t c = 0; c < k->n; c++) {
		size_t b = k->cut[c] / 32, end = k->cut[c + 1] / 32;

		acc = dot(f, panel + b * block_bytes(f) * PANEL_ROWS, r, x + b * ACT_Q8_BYTES(n), n, t, end - b);
		ref_chunk_end(k, c, &acc, wait, 1);
	}
	return acc;
}

static inline void matmul(const struct form *f, float *y, size_t y_stride, const uint8_t *w, const void *x_tile,
			  int n_tok, const struct chunks *k, size_t panel0, size_t panel1)
{
	size_t panel_bytes = k->cut[k->n] / 32 * block_bytes(f) * PANEL_ROWS;

	for (size_t p = panel0; p < panel1; p++)
		for (int r = 0; r < PANEL_ROWS; r++)
			for (int t = 0; t < n_tok; t++)
				y[(size_t)t * y_stride + p * PANEL_ROWS + (size_t)r] =
					dot_chunks(f, w + p * panel_bytes, r, x_tile, (size_t)n_tok, (size_t)t, k);
}

#define Q8_TYPE(name)                                                                            \
	static void dequantize_##name(float *y, const void *block)                               \
	{                                                                                        \
		dequantize(&name, y, block);                                                     \
	}                                                                                        \
	static void pack_##name(uint8_t *dst, const uint8_t *src, size_t stride, size_t n_block) \
	{                                                                                        \
		for (; n_block; n_block--, src += block_bytes(&name))                            \
			dst = pack(&name, dst, src, stride);                                     \
	}                                                                                        \
	static void unpack_##name(void *block, const void *src, int r)                           \
	{                                                                                        \
		unpack(&name, block, src, r);                                                    \
	}                                                                                        \
	static void matmul_##name(MATMUL_ARGS)                                                   \
	{                                                                                        \
		matmul(&name, y, y_stride, w, x_tile, n_tok, k, panel0, panel1);                 \
	}

Q8_TYPE(q4_0)
Q8_TYPE(q4_1)
Q8_TYPE(q5_0)
Q8_TYPE(q5_1)
Q8_TYPE(q8_0)
Q8_TYPE(iq4_nl)
Q8_TYPE(mxfp4)

const struct ref_type ref_q8_types[] = {
	{ QUANT_Q4_0, { "Q4_0", 32, 18, dequantize_q4_0, pack_q4_0, unpack_q4_0, 1, { 0 } }, ACT_Q8, matmul_q4_0 },
	{ QUANT_Q4_1, { "Q4_1", 32, 20, dequantize_q4_1, pack_q4_1, unpack_q4_1, 2, { 0, 2 } }, ACT_Q8, matmul_q4_1 },
	{ QUANT_Q5_0, { "Q5_0", 32, 22, dequantize_q5_0, pack_q5_0, unpack_q5_0, 1, { 0 } }, ACT_Q8, matmul_q5_0 },
	{ QUANT_Q5_1, { "Q5_1", 32, 24, dequantize_q5_1, pack_q5_1, unpack_q5_1, 2, { 0, 2 } }, ACT_Q8, matmul_q5_1 },
	{ QUANT_Q8_0, { "Q8_0", 32, 34, dequantize_q8_0, pack_q8_0, unpack_q8_0, 1, { 0 } }, ACT_Q8, matmul_q8_0 },
	{ QUANT_IQ4_NL,
	  { "IQ4_NL", 32, 18, dequantize_iq4_nl, pack_iq4_nl, unpack_iq4_nl, 1, { 0 } },
	  ACT_Q8,
	  matmul_iq4_nl },
	{ QUANT_MXFP4,
	  { "MXFP4", 32, 17, dequantize_mxfp4, pack_mxfp4, unpack_mxfp4, 0, { 0 } },
	  ACT_Q8,
	  matmul_mxfp4 },
	{ .info = { .name = NULL } },
};
