/*
 * Why: "this CPU has no avx512vnni" sends its owner to look for a flag that is there. Of a level that needs eight flags the missing ones
 * are named: Skylake-SP lacks one of them.
 */
#include "kernels/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_missing_flag_is_named(void **state)
{
	const char *name[KERNELS_FLAG_MAX];
	uint32_t n_all = kernels_missing(ISA_MAX, 0, name), all = (1u << KERNELS_FLAG_MAX) - 1;

	(void)state;
	assert_int_equal(n_all, KERNELS_FLAG_MAX);
	assert_int_equal(kernels_missing(ISA_MAX, all, name), 0);
	for (uint32_t i = 0; i < KERNELS_FLAG_MAX; i++) {
		const char *one[KERNELS_FLAG_MAX];

		assert_int_equal(kernels_missing(ISA_MAX, all & ~(1u << i), one), 1);
		kernels_missing(ISA_MAX, 0, name);
		assert_string_equal(one[0], name[i]);
	}
	assert_int_equal(kernels_missing(ISA_REF, 0, name), 0);
}

/* A level can run exactly where nothing is missing. */
static void levels_agree_with_the_flags(void **state)
{
	const char *name[KERNELS_FLAG_MAX];

	(void)state;
	for (int isa = ISA_REF; isa < ISA_MAX; isa++)
		assert_int_equal(kernels_missing((enum kernels_isa)isa, kernels_flags(), name) == 0,
				 kernels_available() >> isa & 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_missing_flag_is_named),
		cmocka_unit_test(levels_agree_with_the_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
