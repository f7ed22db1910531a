/*
 * Why: a check that sees nothing passes for ever. Each is shown a small tree that keeps its rule, and the same with the rule broken.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char top[PATH_MAX], tree[64];

static int setup(void **state)
{
	(void)state;
	strcpy(tree, "/tmp/gyre-test-lint-XXXXXX");
	return !getcwd(top, sizeof(top)) || !mkdtemp(tree) || chdir(tree) || mkdir("tools", 0700) ||
	       mkdir("daemon", 0700) || mkdir("daemon/stage", 0700) || mkdir("daemon/other", 0700);
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", tree);
	return chdir(top) || system(command);
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Does the check find something in the file? Status 1 says so; any other but 0 says that it has failed. */
static bool finds(const char *check, const char *path, const char *text)
{
	char command[2 * PATH_MAX];
	int status;

	put(path, text);
	snprintf(command, sizeof(command), "%s/tools/lint-%s %s >/dev/null", top, check, path);
	status = system(command);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
	return WEXITSTATUS(status);
}

static void an_include_against_the_rules_is_found(void **state)
{
	(void)state;
	put("tools/include-rules", "daemon/stage: daemon/util\ndaemon: daemon/stage\n");
	assert_false(
		finds("includes", "daemon/stage/a.c", "#include \"daemon/util/b.h\"\n#include \"daemon/stage/c.h\"\n"));
	assert_true(finds("includes", "daemon/stage/a.c", "#include \"daemon/control/b.h\"\n"));
	assert_true(finds("includes", "daemon/stage/a.c", "#include \"daemon/daemon.h\"\n"));
	assert_false(finds("includes", "daemon/daemon.c", "#include \"daemon/stage/b.h\"\n"));
}

static void a_folder_without_a_rule_is_found(void **state)
{
	(void)state;
	put("tools/include-rules", "daemon/stage: daemon/util\ndaemon: daemon/stage\n");
	assert_true(finds("includes", "daemon/other/a.c", "int other;\n"));
}

static void a_name_from_elsewhere_is_found(void **state)
{
	(void)state;
	assert_false(finds("names", "daemon/stage/part_of.c",
			   "void stage_a(void)\n{\n}\n\nint part_b(int c)\n{\n}\n\n"
			   "static void own(void)\n{\n}\n"));
	assert_true(finds("names", "daemon/stage/part_of.c", "void stranger_a(void)\n{\n}\n"));
	put("daemon/stage/stranger.h", "void stranger_a(void);\n");
	assert_false(finds("names", "daemon/stage/part_of.c", "void stranger_a(void)\n{\n}\n"));
}

#define PAIR(of_store, of_load)                                                                 \
	"void a_put(void)\n{\n\tstore_release(&x, 1); " of_store "\n}\n\nvoid a_get(void)\n{\n" \
	"\treturn load_acquire(&x); " of_load "\n}\n"

static void an_atomic_without_its_partner_is_found(void **state)
{
	(void)state;
	assert_false(finds("pairs", "daemon/stage/a.c", PAIR("/* pairs with a_get */", "/* pairs with a_put */")));
	assert_true(finds("pairs", "daemon/stage/a.c", PAIR("/* pairs with a_get */", "")));
	assert_true(
		finds("pairs", "daemon/stage/a.c", PAIR("/* pairs with a_get_of_old */", "/* pairs with a_put */")));
	assert_true(finds("pairs", "daemon/stage/a.c", PAIR("/* pairs with a_put */", "/* pairs with a_put */")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_include_against_the_rules_is_found),
		cmocka_unit_test(a_folder_without_a_rule_is_found),
		cmocka_unit_test(a_name_from_elsewhere_is_found),
		cmocka_unit_test(an_atomic_without_its_partner_is_found),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
