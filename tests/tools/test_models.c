/*
 * Why: a model's name and state are what an administrator's scripts go by. What is listed is there, what is asked for is done before the
 * tool returns, and a refusal is gyred's own words with an exit status of its own.
 */
#include "tests/tools/verbs.h"

static json_t *only(const char *line)
{
	json_t *list = parse(line), *m = json_array_get(list, 0);

	assert_int_equal(json_array_size(list), 1);
	json_incref(m);
	json_decref(list);
	return m;
}

static void expect_state(const char *state)
{
	json_t *m = only("$G ls --json");

	assert_string_equal(json_string_value(json_object_get(m, "name")), "m");
	assert_string_equal(json_string_value(json_object_get(m, "state")), state);
	json_decref(m);
}

static void what_is_listed_is_there(void **state)
{
	json_t *m = only("$G ps --json");

	(void)state;
	assert_true(json_integer_value(json_object_get(m, "bytes")) > 0);
	assert_true(json_integer_value(json_object_get(m, "kv_bytes")) > 0);
	assert_string_equal(json_string_value(json_object_get(m, "file")), a.model);
	json_decref(m);
	expect("$G ls", 0);
	assert_non_null(strstr(out, a.model));
	expect("$G run -m m --max 2 hello", 0);
	expect_words("$G run -m nobody hello", 1, "no model is called 'nobody' here; there is m");
}

static void it_goes_and_comes_back(void **state)
{
	(void)state;
	expect("$G unload m", 0);
	expect_state("off");
	expect("$G ps", 0);
	assert_null(strstr(out, "\nm "));
	expect_words("$G run hello", 1, "m has been unloaded; gyre load m brings it back");
	expect("$G load $MODEL", 0); /* by its file, too */
	expect_state("ready");
	expect("$G run --max 2 hello", 0);
	expect_words("$G load nobody", 1, "no model is called 'nobody' here");
	expect_words("$G load /nowhere/m.gguf", 1, "/nowhere/m.gguf");
	expect_words("GYRE_SOCKET=$DIR/none $G ls", 3, "no gyred on ");
	expect_words("$G load", 2, "");
}

/* Before they are loaded; what does not fit ends with 1. */
static void memory_is_planned(void **state)
{
	json_t *j = parse("$G plan --memory --json $MODEL $MODEL"), *rows = json_object_get(j, "models");
	json_int_t least = json_integer_value(json_object_get(json_array_get(rows, 0), "least"));
	json_t *live = only("$G ps --json");

	(void)state;
	assert_int_equal(json_array_size(rows), 2);
	assert_true(least > 0);
	assert_int_equal(json_integer_value(json_object_get(j, "least")), 2 * least);
	/* The usual pool is the one that the daemon has taken. */
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 0), "position")) * 4 * TINY_SERVED_CTX,
			 json_integer_value(json_object_get(live, "kv_bytes")));
	json_decref(live);
	json_decref(j);
	expect("mkdir -p $DIR/r/proc $DIR/r/sys && cp -r /proc/cpuinfo $DIR/r/proc && "
	       "mkdir -p $DIR/r/sys/devices/system && cp -r /sys/devices/system/cpu $DIR/r/sys/devices/system "
	       "2>/dev/null; "
	       "printf 'MemTotal: 2048 kB\\nMemFree: 1024 kB\\nMemAvailable: 1024 kB\\n' >$DIR/r/proc/meminfo; true",
	       0);
	expect("$G plan --memory --root $DIR/r $MODEL", 1);
	assert_non_null(strstr(out, "does not fit"));
	expect("rm -rf $DIR/r", 0);
	expect_words("$G plan --memory", 2, "say which models");
	expect_words("$G plan $MODEL", 2, "say what to plan");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_listed_is_there),
		cmocka_unit_test(it_goes_and_comes_back),
		cmocka_unit_test(memory_is_planned),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
