/*
 * Why: what the tool measures is quoted. A figure is of the daemon's making, of as much as was made, and null where nothing was measured.
 */
#include "tests/tools/verbs.h"

/* A rate is of two tokens at least, and of steps that were made. */
static void what_was_not_measured_is_null(void **state)
{
	static const char *const figure[] = { "step_us", "own_share", "rows", "barriers_per_layer" };
	const char *key;
	json_t *j = parse("$G run --json --max 1 hello"), *value;

	(void)state;
	assert_true(json_is_null(json_object_get(j, "tokens_per_second")));
	assert_true(json_number_value(json_object_get(j, "first_token_ms")) > 0);
	json_decref(j);
	expect("$G run --max 1 --verbose hello", 0);
	assert_non_null(strstr(err, "answer: 1 token\n"));
	j = parse("$G stat --steps --json");
	assert_int_equal(json_integer_value(json_object_get(j, "steps")), 0);
	assert_non_null(json_object_get(json_object_get(j, "share"), "gate_up")); /* a name that the daemon tells */
	for (size_t i = 0; i < sizeof(figure) / sizeof(figure[0]); i++)
		assert_true(json_is_null(json_object_get(j, figure[i])));
	json_object_foreach(json_object_get(j, "share"), key, value) assert_true(json_is_null(value));
	assert_true(json_array_size(json_object_get(j, "barrier_share")) > 0);
	assert_true(json_is_null(json_array_get(json_object_get(j, "barrier_share"), 0)));
	json_decref(j);
	expect("$G stat --steps", 0);
	assert_string_equal(out, "  no step was made\n");
}

/* By the daemon's stamps: tokens that lie ready before the client looks were not made in no time. A step takes over 10 us. */
static void a_rate_is_of_the_daemons_making(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		json_t *j = parse("$G run --json --max 2 hello");

		assert_true(json_number_value(json_object_get(j, "tokens_per_second")) > 0);
		assert_true(json_number_value(json_object_get(j, "tokens_per_second")) < 1e5);
		json_decref(j);
	}
}

/* A step reads its context as well as the weights; a share lies between its quarters, a row's time is over the first's. */
static void model_figures_are_of_what_a_step_does(void **state)
{
	static const char *const share[] = { "decode_share", "prefill_share" };
	json_int_t bytes[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char line[128];
		json_t *j, *rows;

		snprintf(line, sizeof(line), "$G bench model --json -m $MODEL -p 8 -n 2 -r 2 --rows 1,3 -d %zu",
			 64 * i);
		j = parse(line);
		bytes[i] = json_integer_value(json_object_get(j, "token_bytes"));
		for (size_t k = 0; k < sizeof(share) / sizeof(share[0]); k++) {
			char low[32], high[32];
			double x = json_number_value(json_object_get(j, share[k]));

			snprintf(low, sizeof(low), "%s_low", share[k]);
			snprintf(high, sizeof(high), "%s_high", share[k]);
			assert_true(json_number_value(json_object_get(j, low)) > 0);
			assert_true(json_number_value(json_object_get(j, low)) <= x);
			assert_true(json_number_value(json_object_get(j, high)) >= x);
		}
		rows = json_object_get(j, "rows");
		assert_int_equal(json_array_size(rows), 2);
		assert_true(json_number_value(json_object_get(json_array_get(rows, 0), "seqs_x")) == 1);
		assert_true(json_number_value(json_object_get(json_array_get(rows, 1), "prompt_x_roof")) > 0);
		json_decref(j);
	}
	assert_true(bytes[1] > bytes[0]);
	assert_int_equal(bytes[2] - bytes[1], bytes[1] - bytes[0]);
}

/* The first is what the others are over, in each round; few rounds have no interval but their range. */
static void layouts_are_compared_with_the_first(void **state)
{
	json_t *j = parse("$G bench layouts --json -m $MODEL -n 16 -r 7 1:1 2:2 2:1"), *list;

	(void)state;
	list = json_object_get(j, "layouts");
	assert_int_equal(json_array_size(list), 3);
	for (size_t i = 0; i < 3; i++) {
		json_t *one = json_array_get(list, i);
		double x = json_number_value(json_object_get(one, "ratio"));
		double low = json_number_value(json_object_get(one, "ratio_low"));
		double high = json_number_value(json_object_get(one, "ratio_high"));

		assert_true(json_number_value(json_object_get(one, "token_ms")) > 0);
		assert_true(i ? low > 0 && low <= x && x <= high : low == 1 && x == 1 && high == 1);
		assert_int_equal(json_integer_value(json_object_get(one, "threads")), i ? 2 : 1);
		assert_int_equal(json_integer_value(json_object_get(one, "nodes")), i == 1 ? 2 : 1);
	}
	json_decref(j);
	expect("$G bench layouts -m $MODEL -n 1 -r 1 1:1 2:1", 0);
	expect("$G bench layouts -m $MODEL -n 1 -r 1 1:1 2:8", 1);
	assert_non_null(strstr(err, "lower --nodes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_was_not_measured_is_null),
		CASE(a_rate_is_of_the_daemons_making),
		CASE(model_figures_are_of_what_a_step_does),
		CASE(layouts_are_compared_with_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
