/* `gyre` as a script calls it, beside a daemon on a tiny model: for the tests of its verbs. */
#ifndef GYRE_TESTS_TOOLS_VERBS_H
#define GYRE_TESTS_TOOLS_VERBS_H

#include "tests/daemon/appliance.h"

#include <jansson.h>
#include <sys/wait.h>

static struct appliance a;
static char out[65536], err[65536];

static inline void setup_with(const struct tiny *model, char *const *options)
{
	appliance_open(&a, model, options, true);
	setenv("GYRE_SOCKET", a.socket, 1);
	setenv("XDG_RUNTIME_DIR", a.dir, 1);
	setenv("DIR", a.dir, 1);
	setenv("MODEL", a.model, 1);
}

static inline int setup(void **state)
{
	(void)state;
	setup_with(&tiny_served, NULL);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	appliance_close(&a);
	return 0;
}

static inline void read_file(const char *name, char *text, size_t size)
{
	char path[160];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", a.dir, name);
	f = fopen(path, "r");
	if (f) {
		n = fread(text, 1, size - 1, f);
		fclose(f);
	}
	text[n] = 0;
	unlink(path);
}

/* A shell line in which $G is gyre; the exit status. What it printed is in out and err. */
static inline int sh(const char *line)
{
	const char *build = getenv("BUILD");
	char command[2048], gyre[512];
	int status;

	snprintf(gyre, sizeof(gyre), "%s/gyre", build ? build : "build");
	setenv("G", gyre, 1);
	snprintf(command, sizeof(command), "{ %s; } >$DIR/out 2>$DIR/err", line);
	status = system(command);
	read_file("out", out, sizeof(out));
	read_file("err", err, sizeof(err));
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static inline void expect(const char *line, int code)
{
	int got = sh(line);

	if (got != code)
		fail_msg("%s: exit %d, not %d: %s", line, got, code, err);
}

static inline void expect_words(const char *line, int code, const char *words)
{
	expect(line, code);
	if (!strstr(err, words))
		fail_msg("%s: %s", line, err);
}

static inline json_t *parse(const char *line)
{
	json_error_t e;
	json_t *j;

	expect(line, 0);
	j = json_loads(out, JSON_REJECT_DUPLICATES, &e);
	if (!j)
		fail_msg("%s: %s: %s", line, e.text, out);
	return j;
}

static inline double number(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	if (!json_is_number(v))
		fail_msg("%s is no number: %s", key, out);
	return json_number_value(v);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
