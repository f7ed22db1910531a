/*
 * Why: the default pool is computed where memory is short, which is where nobody tries it. Its arithmetic, alone.
 */
#include "daemon/kv/fit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BLOCK   ((size_t)1 << 20)
#define RESERVE ((size_t)64 << 20)
#define CONTEXT 100u
#define WANTED  400u

static size_t fit(size_t mib)
{
	const struct kv_room room = { BLOCK, mib << 20 };

	return kv_fit(WANTED, CONTEXT, &room, 1, RESERVE);
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
		{ BLOCK / 2, 1000u << 20 }, { BLOCK / 2, 178u << 20 }, { 0, 0 }, { BLOCK, SIZE_MAX }
	};

	(void)state;
	assert_int_equal(kv_fit(WANTED, CONTEXT, room, 4, RESERVE), 100);
	assert_int_equal(kv_fit(WANTED, CONTEXT, room, 1, RESERVE), WANTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_is_what_fits),
		cmocka_unit_test(the_narrowest_node_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
