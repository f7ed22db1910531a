/*
 * Why: what a README shows is typed by people who know nothing else yet. Every command in it, in BENCHMARKS.md and in gyre(1)'s examples, is run as it
 * stands there (tests/tools/run-readme), on the model that `make run` fetches.
 */
#include "tests/util/testmodel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void what_is_shown_runs_as_printed(void **state)
{
	const char *model = testmodel_path();
	char command[4352];

	(void)state;
	if (!model)
		skip();
	snprintf(command, sizeof(command), "tests/tools/run-readme '%s'", model);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_shown_runs_as_printed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
