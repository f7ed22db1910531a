/*
 * Why: the default pool is computed where memory is short, which is where nobody tries it; and a pool with slots but no blocks, or blocks
 * but no slots, runs nothing. The arithmetic, alone.
 */
#include "daemon/kv/fit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BLOCK   ((size_t)1 << 20)
#define RESERVE ((size_t)64 << 20)
#define CONTEXT 100u
#define WANTED  400u

static const struct kv_cost paged = { BLOCK, 0 }, hybrid = { BLOCK, 20 * BLOCK }, recurrent = { 0, 20 * BLOCK };

static size_t fit(size_t mib)
{
	const struct kv_room room = { BLOCK, 0, mib << 20 };

	return kv_fit(WANTED, CONTEXT, &paged, &room, 1, RESERVE);
}

static void a_pool_is_what_fits(void **state)
{
	(void)state;
	assert_int_equal(fit(10000), WANTED);
	assert_int_equal(fit(WANTED + 128), WANTED);
	assert_int_equal(fit(WANTED + 127), WANTED - 1);
	assert_int_equal(fit(CONTEXT + 128), CONTEXT);
	assert_int_equal(fit(CONTEXT + 100), CONTEXT); /* a whole context before comfort */
	assert_int_equal(fit(CONTEXT + 64), CONTEXT);
	assert_int_equal(fit(CONTEXT + 63), CONTEXT - 1);
	assert_int_equal(fit(65), 1);
	assert_int_equal(fit(64), 0);
	assert_int_equal(fit(0), 0);
}

/* The narrowest place decides; one that has no part of a block does not count. */
static void the_narrowest_node_decides(void **state)
{
	const struct kv_room room[] = {
		{ BLOCK / 2, 0, 1000u << 20 }, { BLOCK / 2, 0, 178u << 20 }, { 0, 0, 0 }, { BLOCK, 0, SIZE_MAX }
	};

	(void)state;
	assert_int_equal(kv_fit(WANTED, CONTEXT, &paged, room, 4, RESERVE), 100);
	assert_int_equal(kv_fit(WANTED, CONTEXT, &paged, room, 1, RESERVE), WANTED);
}

static void slots_follow_from_blocks(void **state)
{
	(void)state;
	assert_int_equal(kv_n_slot(&paged, 1000), 0);
	assert_int_equal(kv_n_slot(&hybrid, 0), 0);
	assert_int_equal(kv_n_slot(&hybrid, 1), 1);
	assert_int_equal(kv_n_slot(&hybrid, KV_SLOT_FEW_BLOCKS + 1), 2);
	assert_int_equal(kv_n_slot(&hybrid, KV_SLOT_FEW * KV_SLOT_BLOCKS), KV_SLOT_FEW);
	assert_int_equal(kv_n_slot(&hybrid, 1024), 32);
	assert_int_equal(kv_n_slot(&hybrid, 1000000), KV_SLOT_MAX);
	assert_int_equal(kv_n_slot(&recurrent, 7), 7);
	assert_int_equal(kv_n_slot(&recurrent, 1000), KV_SLOT_MAX);
}

/* Of any number of bytes as many blocks as there can be, and never more bytes than that. */
static void bytes_are_divided(void **state)
{
	const struct kv_cost *cost[] = { &paged, &hybrid, &recurrent };

	(void)state;
	assert_int_equal(kv_divide(&paged, 100 * BLOCK + 1), 100);
	assert_int_equal(kv_divide(&hybrid, 20 * BLOCK), 0); /* a state and no block */
	assert_int_equal(kv_divide(&hybrid, 21 * BLOCK), 1);
	assert_int_equal(kv_divide(&hybrid, 32 * 52 * BLOCK), 1024);
	assert_int_equal(kv_divide(&recurrent, 20 * BLOCK - 1), 0);
	assert_int_equal(kv_divide(&recurrent, 65 * BLOCK), 3);
	for (size_t i = 0; i < 3; i++)
		for (size_t n = 0; n < 3000; n++) {
			size_t n_block = kv_divide(cost[i], n * BLOCK);

			assert_true(kv_pool_bytes(cost[i], n_block) <= n * BLOCK);
			assert_true(kv_pool_bytes(cost[i], n_block + 1) > n * BLOCK);
		}
}

/* Each node has room for its part of the blocks and of the slots. */
static void slots_fit_their_node(void **state)
{
	const struct kv_room room[] = { { BLOCK / 4, 15 * BLOCK, 700u << 20 },
					{ BLOCK * 3 / 4, 5 * BLOCK, 800u << 20 } };

	(void)state;
	/* 572 MiB beside comfort for 400 / 4 MiB of blocks and 12 slots of 15; 672 for 300 MiB and 12 slots of 5. */
	assert_int_equal(kv_fit(WANTED, CONTEXT, &hybrid, room, 2, RESERVE), WANTED);
	/* 799 / 4 and 24 of 15; a block more has a slot more. The same of 636 MiB, without comfort. */
	assert_int_equal(kv_fit(10000, CONTEXT, &hybrid, room, 1, RESERVE), 799);
	assert_int_equal(kv_fit(10000, 1024, &hybrid, room, 1, RESERVE), 895);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_is_what_fits),      cmocka_unit_test(the_narrowest_node_decides),
		cmocka_unit_test(slots_follow_from_blocks), cmocka_unit_test(bytes_are_divided),
		cmocka_unit_test(slots_fit_their_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
