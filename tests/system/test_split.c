/*
 * Why: whoever downloads a model in parts gives gyred one of their names and expects the model. The real daemon serves it under the
 * model's name and gives the bytes that the whole file gives; what is missing is named.
 */
#include "tests/system/tinyd.h"
#include "tests/util/split.h"

#define N 3

static struct tinyd d;
static char stem[96];

static int setup(void **state)
{
	(void)state;
	tinyd_setup(&d, &tiny_served);
	snprintf(stem, sizeof(stem), "%s/m", d.dir);
	split_write(d.model, stem, N, 0, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	split_unlink(stem, N);
	snprintf(d.model, sizeof(d.model), "%s/m.gguf", d.dir);
	tinyd_teardown(&d);
	return 0;
}

static void use_part(uint32_t i)
{
	char path[SPLIT_PATH_BYTES];

	split_path(path, stem, i, N);
	snprintf(d.model, sizeof(d.model), "%.90s", path);
}

static void served(char *text, size_t size, struct gyre_info *info)
{
	struct gyre *g;
	int r;

	tinyd_start(&d, (char *[]){ (char *)"--threads", (char *)"2", NULL }, NULL, NULL);
	tinyd_wait_ready(&d);
	g = tinyd_connect(&d, NULL);
	gyre_info(g, info);
	r = (int)gyre_generate(g, "Tell me", NULL, 60, text, size);
	assert_true(r > 0);
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
}

static void parts_are_served_as_the_whole_is(void **state)
{
	char whole[4096] = "", parts[4096] = "";
	struct gyre_info info, same;

	(void)state;
	served(whole, sizeof(whole), &info);
	assert_null(strstr(tinyd_said(&d), "files"));
	for (uint32_t i = 0; i < N; i++) {
		use_part(i);
		served(parts, sizeof(parts), &same);
		assert_string_equal(parts, whole);
		assert_string_equal(same.model, info.model);
		assert_non_null(strstr(tinyd_said(&d), ": tiny from 3 files, "));
	}
}

static void a_missing_part_is_named(void **state)
{
	char path[SPLIT_PATH_BYTES];

	(void)state;
	use_part(0);
	split_path(path, stem, 1, N);
	unlink(path);
	tinyd_start(&d, NULL, NULL, NULL);
	assert_int_equal(tinyd_wait(&d), 1);
	assert_non_null(strstr(tinyd_said(&d), "part 2 of the model is missing"));
	assert_non_null(strstr(d.said, path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_served_as_the_whole_is),
		cmocka_unit_test(a_missing_part_is_named),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
