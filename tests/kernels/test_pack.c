/*
 * Why it matters: what packing misplaces, every product of that row gets wrong, on every ISA alike, so that comparing them
 * shows nothing. Each fast form is held to its definition, byte by byte.
 */
#include "kernels/ref/panel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define CANARY 0x5a

static uint64_t rng_state = 1;

static uint8_t rng(void)
{
	rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
	return (uint8_t)(rng_state >> 56);
}

/* Every width, and counts of groups around what is transposed at a time; nothing is written past the end. */
static void test_interleave_is_its_definition(void **state)
{
	enum { OFF = 3, BYTES = 256 };
	static uint8_t src[PANEL_ROWS][OFF + BYTES], dst[PANEL_ROWS * BYTES + 1];

	(void)state;
	for (int r = 0; r < PANEL_ROWS; r++)
		for (size_t i = 0; i < sizeof(src[r]); i++)
			src[r][i] = rng();
	for (size_t width = 1; width <= 4; width *= 2) {
		for (size_t n = 0; n * width <= BYTES; n++) {
			size_t end = n * width * PANEL_ROWS;

			dst[end] = CANARY;
			assert_ptr_equal(panel_interleave(dst, src[0] + OFF, sizeof(src[0]), width, n), dst + end);
			for (size_t i = 0; i < end; i++)
				assert_int_equal(
					dst[i],
					src[i / width % PANEL_ROWS][OFF + i / width / PANEL_ROWS * width + i % width]);
			assert_int_equal(dst[end], CANARY);
		}
	}
}

static void test_bits_spread_is_its_definition(void **state)
{
	(void)state;
	for (int k = 0; k < 32; k++) {
		uint32_t v = 1u << k;

		assert_int_equal(panel_bits_spread(v), 1u << (8 * (k % 4) + k / 4));
		assert_int_equal(panel_bits_gather(panel_bits_spread(v)), v);
		assert_int_equal(panel_bits_gather(panel_bits_spread(~v)), ~v);
	}
}

/* Each row of each type comes back, and rows past the end of the matrix are blocks of zero bytes. */
static void panel_case(uint32_t type, size_t n_block, int n_row)
{
	const struct quant_info *q = quant_info(type);
	size_t row_bytes = n_block * q->block_bytes, bytes = row_bytes * PANEL_ROWS;
	uint8_t *src = malloc(bytes), *panel = aligned_alloc(64, (bytes + 64) / 64 * 64 + 64), block[256], want[256];

	for (size_t i = 0; i < bytes; i++)
		src[i] = rng();
	memset(panel + bytes, CANARY, 16);
	quant_pack_panel(type, panel, src, row_bytes, n_row, n_block * q->block_len);
	for (int r = 0; r < PANEL_ROWS; r++) {
		for (size_t b = 0; b < n_block; b++) {
			memset(want, 0, sizeof(want));
			if (r < n_row)
				memcpy(want, src + (size_t)r * row_bytes + b * q->block_bytes, q->block_bytes);
			q->unpack(block, panel + b * q->block_bytes * PANEL_ROWS, r);
			assert_memory_equal(block, want, q->block_bytes);
		}
	}
	for (int i = 0; i < 16; i++)
		assert_int_equal(panel[bytes + (size_t)i], CANARY);
	free(src), free(panel);
}

static void test_panels_of_every_type(void **state)
{
	static const size_t n_block[] = { 1, 2, 37, 64, 128 }; /* below, in and over the runs that quant.c packs */

	(void)state;
	for (uint32_t type = 0; type < QUANT_TYPE_MAX; type++)
		for (int n_row = 1; n_row <= PANEL_ROWS; n_row += 5)
			for (size_t i = 0; quant_info(type) && i < sizeof(n_block) / sizeof(n_block[0]); i++)
				panel_case(type, n_block[i], n_row);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_interleave_is_its_definition),
					    cmocka_unit_test(test_bits_spread_is_its_definition),
					    cmocka_unit_test(test_panels_of_every_type) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
