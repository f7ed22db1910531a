/*
 * Why it matters: a request's tokens must not depend on the ISA, so every ISA returns the bits of ref/, and ref/ itself must
 * compute W . x. Every type x ISA x adversarial fill x n_tok x panel range, with canaries around what may be written.
 */
#include "kernels/f16.h"
#include "kernels/isa.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_PANEL 3
#define N_ROW (16 * N_PANEL)
#define CANARY 0x7fc0dead

enum fill { RANDOM, ALL_ONES, ALL_ZERO, TINY_SCALE, NEGATIVE_SCALE, HUGE_SCALE, FILL_MAX };

static uint32_t rng = 12345;

static uint32_t next(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 17;
	return rng ^= rng << 5;
}

static uint16_t scale_of(enum fill f)
{
	static const uint16_t base[FILL_MAX] = { 0x2000, 0x3c00, 0x0000, 0x0001, 0xa000, 0x7000 };

	return f == ALL_ZERO ? 0 : (uint16_t)(base[f] | (next() & (f == TINY_SCALE ? 0x1ff : 0x3ff)));
}

/* A GGUF block with finite scales: raw bytes, then the f16 fields overwritten. */
static void fill_block(uint32_t type, uint8_t *b, enum fill f)
{
	size_t n = quant_info(type)->block_bytes;

	for (size_t i = 0; i < n; i++)
		b[i] = f == ALL_ONES ? 0xff : f == ALL_ZERO ? 0 : (uint8_t)(next() >> 9);
	uint16_t d = scale_of(f), m = scale_of(f);
	if (type == QUANT_F32) {
		float v = f16_to_f32(d);
		memcpy(b, &v, 4);
	} else if (type == QUANT_Q6_K) {
		memcpy(b + 208, &d, 2);
	} else {
		memcpy(b, &d, 2);
	}
	if (type == QUANT_Q4_1 || type == QUANT_Q5_1 || type == QUANT_Q4_K || type == QUANT_Q5_K)
		memcpy(b + 2, &m, 2);
}

static void *aligned(size_t bytes)
{
	void *p = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	assert_non_null(p);
	return p;
}

static uint8_t *make_rows(uint32_t type, size_t n_col, enum fill f)
{
	const struct quant_info *q = quant_info(type);
	uint8_t *rows = aligned(N_ROW * n_col / q->block_len * q->block_bytes);

	for (size_t i = 0; i < N_ROW * n_col / q->block_len; i++)
		fill_block(type, rows + i * q->block_bytes, f);
	return rows;
}

static uint8_t *pack_rows(uint32_t type, const uint8_t *rows, size_t n_col, int last_rows)
{
	size_t bytes = quant_packed_bytes(type, N_ROW, n_col), panel = bytes / N_PANEL;
	uint8_t *w = aligned(bytes);

	for (size_t p = 0; p < N_PANEL; p++)
		quant_pack_panel(type, w + p * panel, rows + p * panel, p == N_PANEL - 1 ? last_rows : 16, n_col);
	return w;
}

static void fill_x(float *x, size_t n, enum fill f)
{
	for (size_t i = 0; i < n; i++) {
		float v = (float)(int32_t)next() * 0x1p-31f;

		x[i] = f == ALL_ONES ? 1.0f : f == ALL_ZERO ? 0.0f : f == TINY_SCALE ? v * 0x1p-130f : f == HUGE_SCALE ? v * 1e6f : v;
	}
}

static void compare(const struct kernels *ref, const struct kernels *k, uint32_t type, size_t n_col, enum fill f, int n_tok,
		    const void *w)
{
	enum act_kind kind = quant_info(type)->act;
	size_t tile_bytes = act_tile_bytes(kind, n_tok, n_col), stride = N_ROW + 5;
	float *x = aligned((size_t)n_tok * n_col * 4), *want = aligned(stride * 8 * 4), *got = aligned(stride * 8 * 4);
	uint8_t *tile = aligned(tile_bytes), *tile2 = aligned(tile_bytes);

	fill_x(x, (size_t)n_tok * n_col, f);
	ref->act_pack[kind](tile, x, n_col, n_tok, n_col);
	k->act_pack[kind](tile2, x, n_col, n_tok, n_col);
	assert_memory_equal(tile, tile2, tile_bytes);
	for (size_t p0 = 0; p0 < 2; p0++) {
		for (size_t i = 0; i < stride * 8; i++)
			want[i] = got[i] = f32_from_bits(CANARY);
		ref->matmul[type](want, stride, w, tile, n_tok, n_col, p0, N_PANEL - p0);
		k->matmul[type](got, stride, w, tile, n_tok, n_col, p0, N_PANEL - p0);
		if (memcmp(want, got, stride * 8 * 4))
			fail_msg("%s %s n_tok %d n_col %zu fill %d", k->isa, quant_info(type)->name, n_tok, n_col, (int)f);
	}
	free(x);
	free(want);
	free(got);
	free(tile);
	free(tile2);
}

static void every_isa_returns_the_bits_of_ref(void **state)
{
	struct kernels ref, k;

	(void)state;
	kernels_select(&ref, ISA_REF);
	for (int isa = ISA_AVX2; isa < ISA_MAX; isa++) {
		if (kernels_select(&k, (enum kernels_isa)isa) != (enum kernels_isa)isa) {
			print_message("skipped %s: not on this CPU\n", kernels_isa_name((enum kernels_isa)isa));
			continue;
		}
		for (uint32_t type = 0; type < QUANT_TYPE_MAX; type++) {
			for (int i = 0; quant_info(type) && i < FILL_MAX * 2; i++) {
				enum fill f = (enum fill)(i / 2);
				size_t n_col = i % 2 ? 768 : 256;
				uint8_t *rows = make_rows(type, n_col, f), *w = pack_rows(type, rows, n_col, 16 - 5 * (i % 2));

				for (int n_tok = 1; n_tok <= ACT_TILE; n_tok++)
					compare(&ref, &k, type, n_col, f, n_tok, w);
				free(rows);
				free(w);
			}
		}
	}
}

/* The activations' quantization is part of the product's definition, so its error is allowed for: half a step an element. */
static void ref_is_the_product_of_the_dequantized_matrix(void **state)
{
	size_t n_col = 512;
	struct kernels k;

	(void)state;
	kernels_select(&k, ISA_REF);
	for (uint32_t type = 0; type < QUANT_TYPE_MAX; type++) {
		if (!quant_info(type))
			continue;
		uint8_t *rows = make_rows(type, n_col, RANDOM), *w = pack_rows(type, rows, n_col, 16);
		enum act_kind kind = quant_info(type)->act;
		uint8_t *tile = aligned(act_tile_bytes(kind, 1, n_col));
		float x[512], y[N_ROW], deq[512];

		fill_x(x, n_col, RANDOM);
		k.act_pack[kind](tile, x, n_col, 1, n_col);
		k.matmul[type](y, N_ROW, w, tile, 1, n_col, 0, N_PANEL);
		for (size_t r = 0; r < N_ROW; r++) {
			double want = 0, slack = 0;

			quant_dequantize_row(type, deq, w, r, n_col);
			for (size_t i = 0; i < n_col; i++) {
				want += (double)deq[i] * x[i];
				slack += fabs((double)deq[i]) * (kind == ACT_F32 ? 1e-5 : 0.55 / 127);
			}
			assert_true(fabs(want - y[r]) <= slack + 1e-9);
		}
		free(rows);
		free(w);
		free(tile);
	}
}

static void unpack_is_the_inverse_of_pack(void **state)
{
	(void)state;
	for (uint32_t type = 0; type < QUANT_TYPE_MAX; type++) {
		const struct quant_info *q = quant_info(type);

		if (!q)
			continue;
		uint8_t *rows = make_rows(type, 256, RANDOM), *w = pack_rows(type, rows, 256, 16), block[1024];
		size_t n_block = 256 / q->block_len;

		for (size_t i = 0; i < N_ROW * n_block; i++) {
			size_t r = i / n_block, b = i % n_block;

			q->unpack(block, w + (r / 16 * n_block + b) * q->block_bytes * 16, (int)(r % 16));
			assert_memory_equal(block, rows + i * q->block_bytes, q->block_bytes);
		}
		free(rows);
		free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_isa_returns_the_bits_of_ref),
		cmocka_unit_test(ref_is_the_product_of_the_dequantized_matrix),
		cmocka_unit_test(unpack_is_the_inverse_of_pack),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
