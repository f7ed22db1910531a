/*
 * Why it matters: gyre.h is included first, alone, by programs in two languages and with warnings of their own. It must stand
 * on its own feet, and the version script must export what it declares and nothing more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PUBLIC_SYMBOLS                                                                                                 \
	"grep -E '^(int|void|ssize_t|struct|const) ?[^;]*gyre_[a-z_]+\\(' client/gyre.h | grep -oE 'gyre_[a-z_]+\\(' " \
	"| tr -d '(' | sort -u"

static void compiles(const char *command)
{
	if (system("test -f client/gyre.h") != 0)
		skip(); /* not run from the top of the tree */
	assert_int_equal(system(command), 0);
}

static void test_c11(void **state)
{
	(void)state;
	compiles("echo '#include \"client/gyre.h\"' | ${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror -I. -x c "
		 "-fsyntax-only -");
}

static void test_cxx17(void **state)
{
	(void)state;
	if (system("command -v ${CXX:-c++} >/dev/null") != 0)
		skip();
	compiles(
		"echo '#include \"client/gyre.h\"' | ${CXX:-c++} -std=c++17 -pedantic -Wall -Wextra -Werror -I. -x c++ "
		"-fsyntax-only -");
}

static void test_every_shm_header_alone(void **state)
{
	(void)state;
	compiles("for h in shm/*.h; do echo \"#include \\\"$h\\\"\" | ${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -I. "
		 "-x c "
		 "-fsyntax-only - || exit 1; done");
}

static void test_map_is_the_header(void **state)
{
	(void)state;
	compiles("test \"$(" PUBLIC_SYMBOLS
		 ")\" = \"$(grep -oE 'gyre_[a-z_]+;' client/gyre.map | tr -d ';' | sort -u)\"");
}

static void test_every_symbol_has_a_page(void **state)
{
	(void)state;
	compiles("for s in $(" PUBLIC_SYMBOLS
		 "); do test -f client/man/$s.3 || { echo $s: no man page; exit 1; }; done");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_c11),
		cmocka_unit_test(test_cxx17),
		cmocka_unit_test(test_every_shm_header_alone),
		cmocka_unit_test(test_map_is_the_header),
		cmocka_unit_test(test_every_symbol_has_a_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
