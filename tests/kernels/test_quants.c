/*
 * Why it matters: every product and every embedding starts from the bits of a file that another program wrote. What they
 * mean is ggml's to say, so the values here come from the gguf package (tools/golden/quants.py), and must match bit for bit.
 */
#include "kernels/quant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/quants.bin"

/* One type's blocks and values, inside the file's bytes. */
struct golden {
	uint32_t type, n_block;
	const struct quant_info *q;
	const uint8_t *block, *value;
};

static uint8_t *file;
static size_t file_bytes;

static const uint8_t *golden_next(struct golden *g, const uint8_t *p)
{
	memcpy(&g->type, p, 4);
	memcpy(&g->n_block, p + 4, 4);
	g->q = quant_info(g->type);
	if (!g->q)
		fail_msg("type %u of " GOLDEN " is not one gyre reads", g->type);
	g->block = p + 8;
	g->value = g->block + (size_t)g->n_block * g->q->block_bytes;
	p = g->value + (size_t)g->n_block * g->q->block_len * sizeof(float);
	assert_true(p <= file + file_bytes);
	return p;
}

static void each_type(void (*check)(const struct golden *g))
{
	struct golden g;

	for (const uint8_t *p = file; p < file + file_bytes;) {
		p = golden_next(&g, p);
		check(&g);
	}
}

static bool seen[QUANT_TYPE_MAX];

static void check_dequantize(const struct golden *g)
{
	float y[256];

	seen[g->type] = true;
	assert_true(g->n_block > 0);
	for (uint32_t b = 0; b < g->n_block; b++) {
		size_t bytes = g->q->block_len * sizeof(float);

		g->q->dequantize(y, g->block + (size_t)b * g->q->block_bytes);
		if (memcmp(y, g->value + b * bytes, bytes))
			fail_msg("%s: block %u of " GOLDEN " is not what the gguf package makes of it", g->q->name, b);
	}
}

static void test_every_type_dequantizes_as_ggml(void **state)
{
	(void)state;
	each_type(check_dequantize);
	for (uint32_t t = 0; t < QUANT_TYPE_MAX; t++)
		if (quant_info(t) && !seen[t])
			fail_msg("%s is not in " GOLDEN " (make golden)", quant_info(t)->name);
}

#define N_ROW (2 * PANEL_ROWS + 1)

/* A matrix of one block a row: rows come back from their lanes bit for bit, and the rows that pad the last panel are zero,
 * scales and all. */
static void check_packing(const struct golden *g)
{
	static _Alignas(64) uint8_t src[N_ROW * 256], w[3 * PANEL_ROWS * 256];
	size_t bytes = g->q->block_bytes, value_bytes = g->q->block_len * sizeof(float);
	uint8_t block[256];
	float y[256];

	assert_true(quant_packed_bytes(g->type, N_ROW, g->q->block_len) <= sizeof(w));
	for (size_t r = 0; r < N_ROW; r++)
		memcpy(src + r * bytes, g->block + r % g->n_block * bytes, bytes);
	for (size_t r = 0; r < N_ROW; r += PANEL_ROWS)
		quant_pack_panel(g->type, w + r * bytes, src + r * bytes, bytes,
				 r + PANEL_ROWS < N_ROW ? PANEL_ROWS : 1, g->q->block_len);
	for (size_t r = 0; r < 3 * PANEL_ROWS; r++) {
		const uint8_t zero[256] = { 0 }, *want = r < N_ROW ? src + r * bytes : zero;

		g->q->unpack(block, w + r / PANEL_ROWS * PANEL_ROWS * bytes, (int)(r % PANEL_ROWS));
		assert_memory_equal(block, want, bytes);
		if (r >= N_ROW)
			continue;
		quant_dequantize_row(g->type, y, w, r, g->q->block_len);
		assert_memory_equal(y, g->value + r % g->n_block * value_bytes, value_bytes);
	}
}

static void test_rows_survive_packing(void **state)
{
	(void)state;
	each_type(check_packing);
}

static int read_golden(void **state)
{
	FILE *f = fopen(GOLDEN, "rb");

	(void)state;
	if (!f || fseek(f, 0, SEEK_END))
		return -1;
	file_bytes = (size_t)ftell(f);
	rewind(f);
	file = malloc(file_bytes);
	if (!file || fread(file, 1, file_bytes, f) != file_bytes)
		return -1;
	return fclose(f);
}

static int free_golden(void **state)
{
	(void)state;
	free(file);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type_dequantizes_as_ggml),
		cmocka_unit_test(test_rows_survive_packing),
	};

	return cmocka_run_group_tests(tests, read_golden, free_golden);
}
