/*
 * Why: a page that grows by a line a week is a diary in a year, and nobody counts columns by eye. The check must see one line or column
 * too many, and must count characters, since pages have arrows and boxes in them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* A page of so many lines, the last of which is `head` and then n times `sign`. */
static int check(int n_line, const char *head, const char *sign, int n)
{
	char path[] = "/tmp/gyre-test-readme-XXXXXX", command[128];
	FILE *f = fdopen(mkstemp(path), "w");
	int r;

	assert_non_null(f);
	for (int i = 1; i < n_line; i++)
		fputs("a line\n", f);
	fputs(head, f);
	while (n--)
		fputs(sign, f);
	fputs("\n", f);
	fclose(f);
	snprintf(command, sizeof(command), "tools/lint-readmes %s >/dev/null", path);
	r = system(command);
	unlink(path);
	return r;
}

static void one_line_or_column_too_many_is_found(void **state)
{
	(void)state;
	assert_int_equal(check(120, "", "a", 120), 0);
	assert_int_not_equal(check(121, "", "a", 1), 0);
	assert_int_not_equal(check(1, "", "a", 121), 0);
	assert_int_equal(check(1, "|", "a", 159), 0);
	assert_int_not_equal(check(1, "|", "a", 160), 0);
}

static void columns_are_characters(void **state)
{
	(void)state;
	assert_int_equal(check(1, "", "→", 120), 0);
	assert_int_not_equal(check(1, "", "→", 121), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line_or_column_too_many_is_found),
		cmocka_unit_test(columns_are_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
