/*
 * Adversarial data for kernels: blocks of every type at their extremes, packed matrices, uneven chunks of columns. Numbers come
 * from a generator that starts the same in each program, so a failure comes again.
 */
#ifndef GYRE_TESTS_KERNELS_DATA_H
#define GYRE_TESTS_KERNELS_DATA_H

#include "kernels/f16.h"
#include "kernels/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What test data must know of a type: where a block's f16 scales lie, and the bytes of its largest and smallest values. */
static const struct type_data {
	uint32_t type;
	uint8_t n_scale, at[2], max, min;
} types[] = {
	{ QUANT_F32, 0, { 0 }, 0, 0 },          { QUANT_F16, 1, { 0 }, 0, 0 },
	{ QUANT_BF16, 0, { 0 }, 0, 0 },         { QUANT_Q4_0, 1, { 0 }, 0xff, 0 },
	{ QUANT_Q4_1, 2, { 0, 2 }, 0xff, 0 },   { QUANT_Q5_0, 1, { 0 }, 0xff, 0 },
	{ QUANT_Q5_1, 2, { 0, 2 }, 0xff, 0 },   { QUANT_Q8_0, 1, { 0 }, 0x7f, 0x80 },
	{ QUANT_Q2_K, 2, { 80, 82 }, 0xff, 0 }, { QUANT_Q3_K, 1, { 108 }, 0xff, 0 },
	{ QUANT_Q4_K, 2, { 0, 2 }, 0xff, 0 },   { QUANT_Q5_K, 2, { 0, 2 }, 0xff, 0 },
	{ QUANT_Q6_K, 1, { 208 }, 0xff, 0 },    { QUANT_IQ4_NL, 1, { 0 }, 0xff, 0 },
	{ QUANT_IQ4_XS, 1, { 0 }, 0xff, 0 },    { QUANT_MXFP4, 0, { 0 }, 0x77, 0xff },
};
#define N_TYPE (sizeof(types) / sizeof(types[0]))

enum fill { FILL_RANDOM, FILL_MAX, FILL_MIN, FILL_ZERO, FILL_TINY, FILL_HUGE, FILL_N };

static uint64_t rng_state = 1;

static inline uint32_t rng(void)
{
	rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng_state >> 32);
}

static inline float uniform(void)
{
	return (float)(int32_t)rng() * 0x1p-31f;
}

static inline float fill_float(enum fill f)
{
	static const float scale[FILL_N] = { 1.0f, 1.0f, -1.0f, 0.0f, 1e-39f, 1e18f };

	return f == FILL_MAX || f == FILL_MIN ? scale[f] : uniform() * scale[f];
}

/* Scales that ggml's own are made of, except infinity: a file's weights are finite, and products with NaN have unspecified
 * payloads. */
static inline void fill_scales(uint8_t *b, const struct type_data *type, enum fill f)
{
	float scale = f == FILL_TINY ? 0x1p-24f : f == FILL_HUGE ? 60000.0f : 0.02f, v = fill_float(f);

	for (size_t i = 0; i < type->n_scale; i++) {
		uint16_t h = f32_to_f16(rng() & 1 ? scale : -scale * uniform());

		memcpy(b + type->at[i], &h, 2);
	}
	if (type->type == QUANT_F32)
		memcpy(b, &v, 4);
	if (type->type == QUANT_BF16)
		memcpy(b, (uint8_t *)&v + 2, 2);
	if (type->type ==
	    QUANT_MXFP4) /* E8M0: 2^-128 and up, both subnormals among them; huge, and the product still finite */
		b[0] = (uint8_t)(rng() % 4 + (f == FILL_TINY ? 0 : f == FILL_HUGE ? 212 : 118));
}

static inline void fill_block(uint8_t *b, const struct quant_info *q, const struct type_data *type, enum fill f)
{
	for (size_t i = 0; i < q->block_bytes; i++)
		b[i] = f == FILL_MAX ? type->max : f == FILL_MIN ? type->min : f == FILL_ZERO ? 0 : (uint8_t)rng();
	if (type->type == QUANT_Q6_K && f == FILL_MAX)
		memset(b + 192, 0x80, 16); /* the largest products: 63 * 127 * -128 */
	fill_scales(b, type, f);
}

static inline void *aligned(size_t bytes)
{
	void *p = aligned_alloc(64, (bytes + 8192 + 63) / 64 *
					    64); /* slack: kernels prefetch ahead, they never read there */

	assert_non_null(p);
	return p;
}

/* A packed matrix W[n_row][n_col]. */
static inline void *make_weights(const struct type_data *td, size_t n_row, size_t n_col, enum fill f, uint8_t **raw)
{
	uint32_t type = td->type;
	const struct quant_info *q = quant_info(type);
	size_t row_bytes = n_col / q->block_len * q->block_bytes;
	uint8_t *src = malloc(n_row * row_bytes), *w = aligned(quant_packed_bytes(type, n_row, n_col));

	for (size_t i = 0; i < n_row * row_bytes; i += q->block_bytes)
		fill_block(src + i, q, td, f);
	for (size_t r = 0; r < n_row; r += PANEL_ROWS)
		quant_pack_panel(type, w + r * row_bytes, src + r * row_bytes, row_bytes,
				 (int)(n_row - r < PANEL_ROWS ? n_row - r : PANEL_ROWS), n_col);
	*raw = src;
	return w;
}

static inline struct chunks one_chunk(size_t n_col)
{
	return (struct chunks){ 1, { 0, (uint32_t)n_col } };
}

/* n uneven chunks of n_block >= n blocks. */
static inline struct chunks cut_chunks(uint32_t n, size_t n_block, size_t block_len)
{
	struct chunks k = { .n = n };
	uint32_t spare = (uint32_t)n_block - n;

	for (uint32_t c = 0; c < n; c++) {
		uint32_t more = c + 1 < n ? rng() % (spare + 1) : spare;

		k.cut[c + 1] = k.cut[c] + (1 + more) * (uint32_t)block_len;
		spare -= more;
	}
	return k;
}

#define CANARY 0x7fc0dead /* a NaN: arithmetic on it shows */

static inline void set_canaries(float *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = f32_from_bits(CANARY);
}

#endif
