/*
 * Why: a probe is a note in the program's file, and nothing fails when it is not there: who traces a daemon in trouble would find that
 * out then. Each probe that its header lists is in gyred, and has an example that names it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char notes[1 << 20];

static bool read_all(FILE *f, char *text, size_t size)
{
	size_t n = f ? fread(text, 1, size - 1, f) : 0;

	text[n] = 0;
	return n > 0;
}

/* " *	name(…)" in the comment of probe.h: the next one's name. */
static const char *next_probe(const char *at, char *name, size_t size)
{
	while ((at = strstr(at, " *\t"))) {
		size_t n = strspn(at += 3, "abcdefghijklmnopqrstuvwxyz_");

		if (n && at[n] == '(') {
			snprintf(name, size, "%.*s", (int)n, at);
			return at;
		}
	}
	return NULL;
}

static void each_probe_is_in_gyred_and_has_an_example(void **state)
{
	const char *build = getenv("BUILD");
	char command[4096], header[8192], name[64], word[128], path[128], example[4096];
	int n = 0;
	FILE *f;

	(void)state;
	if (system("command -v readelf >/dev/null") != 0) {
		puts("skip: readelf (binutils) is not installed");
		skip();
	}
	snprintf(command, sizeof(command), "readelf -n %s/gyred 2>/dev/null", build ? build : "build");
	f = popen(command, "r");
	assert_true(read_all(f, notes, sizeof(notes)));
	pclose(f);
	assert_non_null(strstr(notes, "Provider: gyre\n"));
	f = fopen("daemon/util/probe.h", "r");
	assert_true(read_all(f, header, sizeof(header)));
	fclose(f);
	for (const char *at = header; (at = next_probe(at, name, sizeof(name))); n++) {
		snprintf(word, sizeof(word), "Name: %s\n", name);
		if (!strstr(notes, word))
			fail_msg("gyred has no probe %s", name);
		snprintf(path, sizeof(path), "tools/bpftrace/%s.bt", name);
		f = fopen(path, "r");
		if (!f || !read_all(f, example, sizeof(example)))
			fail_msg("%s is not there", path);
		fclose(f);
		snprintf(word, sizeof(word), ":gyre:%s", name);
		assert_non_null(strstr(example, word));
	}
	assert_int_equal(n, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_probe_is_in_gyred_and_has_an_example) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
