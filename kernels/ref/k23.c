/*
 * The 256-element types below four bits, and IQ4_XS: Q2_K (four-bit scales and minima over 16), Q3_K (six-bit scales over 16),
 * IQ4_XS (six-bit scales over 32 and a table of values). A panel interleaves GGUF's bytes as they stand; `struct field` lists them.
 */
#include "kernels/codes.h"
#include "kernels/ref/k.h"

/* n_group groups of `width` bytes at byte `off` of the GGUF block; in the order of the panel. Ends at width 0. */
struct field {
	uint8_t off, width, n_group;
};

static const struct field q2_k_fields[] = { { 80, 2, 2 }, { 0, 1, 16 }, { 16, 4, 16 }, { 0 } };
static const struct field q3_k_fields[] = { { 108, 2, 1 }, { 96, 1, 12 }, { 0, 4, 8 }, { 32, 4, 16 }, { 0 } };
static const struct field iq4_xs_fields[] = { { 0, 2, 1 }, { 2, 1, 6 }, { 8, 4, 32 }, { 0 } };

/* One copy of the loop a width, so that it is a constant there. */
static uint8_t *field_pack(const struct field *f, uint8_t *dst, const uint8_t *src, size_t stride)
{
	if (f->width == 1)
		return panel_interleave(dst, src, stride, 1, f->n_group);
	if (f->width == 2)
		return panel_interleave(dst, src, stride, 2, f->n_group);
	return panel_interleave(dst, src, stride, 4, f->n_group);
}

static void pack(const struct field *fields, size_t block_bytes, uint8_t *dst, const uint8_t *src, size_t stride,
		 size_t n_block)
{
	for (; n_block; n_block--, src += block_bytes)
		for (const struct field *f = fields; f->width; f++)
			dst = field_pack(f, dst, src + f->off, stride);
}

static void unpack(const struct field *f, uint8_t *block, const uint8_t *src, int r)
{
	for (; f->width; f++)
		src = panel_extract(block + f->off, src, r, f->width, f->n_group);
}

/* The two low bits of value k: 128 values to 32 bytes, 32 values apart in each byte. */
static int low2(const uint8_t *qs, int k)
{
	return qs[k / 128 * 32 + k % 32] >> k % 128 / 32 * 2 & 3;
}

/* [scales 16][qs 64][d][dmin] */
static void decode_q2_k(struct k_block *o, const uint8_t *b)
{
	*o = (struct k_block){ .d = load_f16(b + 80), .dmin = load_f16(b + 82), .has_min = true, .sub = 16 };
	for (int s = 0; s < 16; s++) {
		o->sc[s] = b[s] & 15;
		o->min[s] = b[s] >> 4;
	}
	for (int k = 0; k < 256; k++)
		o->q[k] = (int8_t)low2(b + 16, k);
}

/* [hmask 32][qs 64][scales 12][d] */
static void decode_q3_k(struct k_block *o, const uint8_t *b)
{
	const uint8_t *sc = b + 96;

	*o = (struct k_block){ .d = load_f16(b + 108), .sub = 16 };
	for (int s = 0; s < 16; s++)
		o->sc[s] = ((sc[s % 8] >> s / 8 * 4 & 15) | (sc[8 + s % 4] >> s / 4 * 2 & 3) << 4) - 32;
	for (int k = 0; k < 256; k++)
		o->q[k] = (int8_t)(low2(b + 32, k) + (b[k % 32] >> k / 32 & 1) * 4 - 4);
}

/* [d][scales_h 2][scales_l 4][qs 128] */
static void decode_iq4_xs(struct k_block *o, const uint8_t *b)
{
	*o = (struct k_block){ .d = load_f16(b), .sub = 32 };
	for (int s = 0; s < 8; s++)
		o->sc[s] = ((b[4 + s / 2] >> s % 2 * 4 & 15) | (b[2 + s / 4] >> s % 4 * 2 & 3) << 4) - 32;
	for (int k = 0; k < 256; k++)
		o->q[k] = codes_iq4[b[8 + k / 32 * 16 + k % 16] >> k % 32 / 16 * 4 & 15];
}

#define LOW_TYPE(name, type)                                                                     \
	static void dequantize_##name(float *y, const void *block)                               \
	{                                                                                        \
		k_dequantize(y, block, decode_##name);                                           \
	}                                                                                        \
	static void pack_##name(uint8_t *dst, const uint8_t *src, size_t stride, size_t n_block) \
	{                                                                                        \
		pack(name##_fields, quant_row_bytes(type, 256), dst, src, stride, n_block);      \
	}                                                                                        \
	static void unpack_##name(void *block, const void *src, int r)                           \
	{                                                                                        \
		unpack(name##_fields, block, src, r);                                            \
	}                                                                                        \
	static void matmul_##name(MATMUL_ARGS)                                                   \
	{                                                                                        \
		k_matmul(type, decode_##name, y, y_stride, w, x_tile, n_tok, k, panel0, panel1); \
	}

LOW_TYPE(q2_k, QUANT_Q2_K)
LOW_TYPE(q3_k, QUANT_Q3_K)
LOW_TYPE(iq4_xs, QUANT_IQ4_XS)

const struct ref_type ref_k23_types[] = {
	{ QUANT_Q2_K,
	  { "Q2_K", 256, 84, dequantize_q2_k, pack_q2_k, unpack_q2_k, 2, { 80, 82 } },
	  ACT_Q8_K,
	  matmul_q2_k },
	{ QUANT_Q3_K,
	  { "Q3_K", 256, 110, dequantize_q3_k, pack_q3_k, unpack_q3_k, 1, { 108 } },
	  ACT_Q8_K,
	  matmul_q3_k },
	{ QUANT_IQ4_XS,
	  { "IQ4_XS", 256, 136, dequantize_iq4_xs, pack_iq4_xs, unpack_iq4_xs, 1, { 0 } },
	  ACT_Q8_K,
	  matmul_iq4_xs },
	{ .info = { .name = NULL } },
};
