/*
 * Why: shares of "what the machine can read" are flattery when the loop that measures it skips bytes. Whatever the ISA and
 * the number of streams, a read returns the xor of every word.
 */
#include "kernels/limits.h"
#include "tests/util/levels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS (LIMIT_ALIGN * 3 / sizeof(uint64_t))

static void reads_meet_every_word(void **state)
{
	static uint64_t x[WORDS] __attribute__((aligned(64)));
	static const size_t ahead[] = { 0, 256, 16384 };
	struct limits l;

	(void)state;
	for (int isa = ISA_REF; isa < ISA_MAX; isa++) {
		if (!level_runs(isa))
			continue;
		kernels_limits(&l, (enum kernels_isa)isa);
		for (size_t i = 0; i < WORDS; i++)
			for (int n_stream = 1; n_stream <= LIMIT_STREAMS; n_stream *= 2)
				for (size_t a = 0; a < 3; a++) {
					memset(x, 0, sizeof(x));
					x[i] = 0x123456789abcdefull + i;
					assert_int_equal(l.read(x, sizeof(x), n_stream, ahead[a]), x[i]);
				}
	}
}

static void multiply_adds_are_counted(void **state)
{
	struct limits l;

	(void)state;
	for (int isa = ISA_REF; isa < ISA_MAX; isa++) {
		uint64_t one;

		if (!level_runs(isa))
			continue;
		kernels_limits(&l, (enum kernels_isa)isa);
		one = l.mul_add(1);
		assert_true(one > 0);
		assert_int_equal(l.mul_add(100), 100 * one);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_meet_every_word),
		cmocka_unit_test(multiply_adds_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
