/*
 * Why: what a machine cannot test is not tested, and a green last line must not hide it. So tools/run-tests names in its last lines
 * what was skipped and why, each reason once, and counts a program that dies as a failure. Here it runs programs that only speak.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/gyre-run-tests-XXXXXX";

static void write_program(const char *name, const char *lines)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", lines);
	fclose(f);
	chmod(path, 0700);
}

static const char *run(const char *programs)
{
	static char output[4096];
	char command[256];
	FILE *p;

	snprintf(command, sizeof(command), "cd %s && BUILD=none \"$OLDPWD/tools/run-tests\" %s 2>&1", folder, programs);
	p = popen(command, "r");
	assert_non_null(p);
	output[fread(output, 1, sizeof(output) - 1, p)] = 0;
	pclose(p);
	return output;
}

/* The end of what is printed. */
static void expect_last(const char *programs, const char *lines)
{
	const char *said = run(programs);
	size_t n = strlen(said), want = strlen(lines);

	if (n < want || strcmp(said + n - want, lines))
		fail_msg("'%s' does not end with '%s'", said, lines);
}

static void skips_are_among_the_last_lines(void **state)
{
	(void)state;
	write_program(
		"levels",
		"echo 'skip: amx needs amx_int8'\necho 'skip: amx needs amx_int8'\necho 'SKIP zen4: no'\n"
		"echo '[       OK ] a'\necho '[  SKIPPED ] b on amx'\necho '[  SKIPPED ] 1 test(s), listed below:'");
	write_program("silent",
		      "echo '[       OK ] a'\necho '[  SKIPPED ] c'\necho '[  SKIPPED ] 1 test(s), listed below:'");
	write_program("fine", "echo '[       OK ] a'");
	expect_last("./levels ./fine ./silent", "skipped:\n  ./levels: amx needs amx_int8\n  ./levels: zen4: no\n"
						"  ./silent: c\n3 passed, 0 failed\n");
	expect_last("./fine", "1 passed   0 failed\n1 passed, 0 failed\n");
}

static void a_program_that_dies_has_failed(void **state)
{
	(void)state;
	write_program("dies", "echo '[       OK ] a'\nkill -SEGV $$");
	expect_last("./dies", "1 passed, 1 failed\n");
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(skips_are_among_the_last_lines),
		cmocka_unit_test(a_program_that_dies_has_failed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
