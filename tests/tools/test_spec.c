/*
 * Why: whether guesses pay is decided by these figures. So both sides of a ratio have to be the same answers of the same daemon, what is
 * said of guesses has to be the daemon's own account, and an answer that differs has to be seen. The curve's two ends are known: where
 * no guess is right none is made, and where all are, a step gives one token more than it has guesses.
 */
#include "tests/tools/verbs.h"

#include <math.h>

#define TASKS 6

/* state: another architecture, or NULL. */
static int setup_guessing(void **state)
{
	struct tiny model = tiny_served;

	model.arch = *state;
	setup_with(&model, (char *const[]){ (char *)"--draft-min", (char *)"3", NULL });
	return 0;
}

static double counter(const char *name)
{
	json_t *j = parse("$G stat --json");
	double x = number(j, name);

	json_decref(j);
	return x;
}

static void check_row(const json_t *row)
{
	assert_true(json_is_true(json_object_get(row, "identical")));
	assert_true(number(row, "tokens") > 0 && number(row, "tokens_per_pass") >= 1);
	assert_true(number(row, "accepted") <= number(row, "guessed"));
	assert_true(number(row, "tokens_per_second") > 0 && number(row, "tokens_per_second_without") > 0);
	assert_true(number(row, "speedup_low") <= number(row, "speedup") &&
		    number(row, "speedup") <= number(row, "speedup_high"));
	assert_true(number(row, "speedup_expected") > 0);
}

static void figures_are_the_daemon_s_account(void **state)
{
	double guessed = 0, accepted = 0;
	const json_t *rows, *row;
	json_t *j;
	size_t i;

	(void)state;
	j = parse("$G bench spec --json --seed 7 -n 24 -r 2 --batch 1,3");
	rows = json_object_get(j, "results");
	assert_int_equal(json_array_size(rows), TASKS * 2 * 2);
	assert_true(number(j, "seed") == 7 && number(j, "max_tokens") == 24);
	json_array_foreach(rows, i, row)
	{
		check_row(row);
		assert_true(number(row, "batch") == (i < 2 * TASKS ? 1 : 3));
		guessed += number(row, "guessed");
		accepted += number(row, "accepted");
	}
	assert_true(guessed > 0);
	/* The first repetition of each batch is not told. */
	assert_in_range(guessed, counter("draft_guessed") * 0.6, counter("draft_guessed"));
	assert_in_range(accepted, counter("draft_hits") * 0.4, counter("draft_hits"));
	json_decref(j);
}

/* One seed, one load: as many tokens. And nobody's prompts are in anybody's memory afterwards. */
static void the_seed_makes_the_load(void **state)
{
	static const char *const line[] = { "$G bench spec --json --seed 7 -n 9 -r 1",
					    "$G bench spec --json --seed 7 -n 9 -r 1",
					    "$G bench spec --json -n 9 -r 1" };
	json_t *j[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		j[i] = parse(line[i]);
	for (size_t i = 0; i < TASKS * 2; i++)
		assert_true(number(json_array_get(json_object_get(j[0], "results"), i), "tokens") ==
			    number(json_array_get(json_object_get(j[1], "results"), i), "tokens"));
	assert_true(number(j[2], "seed") > 0); /* the clock's */
	for (int i = 0; i < 3; i++)
		json_decref(j[i]);
	assert_true(counter("live") == 0);
}

/* The prompts that are kept need more states than there are beside the answers': they are read again. */
static void states_are_few(void **state)
{
	json_t *j;

	(void)state;
	j = parse("$G bench spec --json --seed 7 -n 20 -r 1 --batch 3");
	assert_int_equal(json_array_size(json_object_get(j, "results")), TASKS * 2);
	check_row(json_array_get(json_object_get(j, "results"), TASKS * 2 - 1)); /* no end token ends those */
	json_decref(j);
}

/* Answers of one step have no speed, but tokens. */
static void what_cannot_be_timed_is_counted(void **state)
{
	const json_t *row;
	json_t *j;
	size_t i;

	(void)state;
	j = parse("$G bench spec --json --seed 7 -n 1 -r 2");
	json_array_foreach(json_object_get(j, "results"), i, row)
	{
		assert_true(json_is_null(json_object_get(row, "speedup")));
		assert_true(number(row, "tokens") == 2 && number(row, "tokens_per_pass") == 1);
	}
	assert_int_equal(i, TASKS * 2);
	json_decref(j);
}

static void the_table_has_a_line_for_each(void **state)
{
	static const char *const name[] = { "summary", "code edit", "extraction", "chat", "story", "random" };

	(void)state;
	expect("$G bench spec -n 6 -r 1", 0);
	for (size_t i = 0; i < TASKS; i++) {
		char line[32];

		snprintf(line, sizeof(line), "\n%-11s     1 lookup", name[i]);
		if (!strstr(out, line))
			fail_msg("no '%s' in:\n%s", line + 1, out);
	}
	assert_string_equal(err, "");
}

static void check_plot(void)
{
	static char text[1 << 16];
	const char *at = text;
	uint32_t n = 0;

	read_file("plot", text, sizeof(text));
	assert_ptr_equal(strstr(text, "<svg "), text);
	assert_string_equal(text + strlen(text) - 7, "</svg>\n");
	for (; (at = strstr(at, "<polyline ")); n++, at++) {
		const char *points = strstr(at, "points=\""), *end = points ? strstr(points + 8, "\"") : NULL;
		uint32_t n_comma = 0;

		assert_non_null(end);
		for (const char *p = points; p < end; p++)
			n_comma += *p == ',';
		assert_int_equal(n_comma, 11);
	}
	assert_int_equal(n, 2);
	assert_null(strstr(text, "nan"));
}

static void the_curve_ends_where_it_must(void **state)
{
	const json_t *curve, *p;
	json_t *j, *stat;
	size_t i;

	(void)state;
	stat = parse("$G stat --json");
	j = parse("$G bench spec --curve --json --model $MODEL -t 1 -n 30 -r 1 -d 40 --svg $DIR/plot");
	assert_true(json_equal(json_object_get(j, "isa"), json_object_get(stat, "isa"))); /* as gyred runs it */
	json_decref(stat);
	curve = json_object_get(j, "curve");
	assert_int_equal(json_array_size(curve), 11);
	assert_int_equal(json_array_size(json_object_get(j, "step_ms")), 17);
	json_array_foreach(curve, i, p)
	{
		assert_true(fabs(number(p, "alpha") - (double)i / 10) < 1e-9);
		assert_true(number(p, "speedup") > 0 && number(p, "speedup_expected") > 0);
		assert_true(number(p, "tokens_per_pass") <= 1 + number(p, "guesses") + 1e-3);
	}
	p = json_array_get(curve, 0);
	assert_true(number(p, "guesses") == 0 && number(p, "tokens_per_pass") == 1);
	p = json_array_get(curve, 10);
	assert_true(fabs(number(p, "tokens_per_pass") - 1 - number(p, "guesses")) < 1e-3);
	check_plot();
	json_decref(j);
}

static void what_cannot_be_is_refused(void **state)
{
	(void)state;
	expect_words("$G bench spec --svg $DIR/plot", 2, "give --curve, too");
	expect_words("$G bench spec --depth 5", 2, "give --curve, too");
	expect_words("$G bench spec --batch 33", 2, "at most 32 answers at once");
	expect_words("$G bench spec -n 5000", 2, "at most 4096 tokens");
	expect_words("$G bench spec --curve", 2, "give -m FILE.gguf");
	expect_words("$G bench spec --curve --batch 2 --model $MODEL", 2, "leave it out");
	expect_words("$G bench spec --curve --model $MODEL -t 1 -n 1 -r 1 --svg $DIR/no/plot", 1, "cannot write");
	expect_words("$G bench spec --curve --model $DIR/none.gguf", 1, "none.gguf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(figures_are_the_daemon_s_account, setup_guessing, teardown),
		cmocka_unit_test_setup_teardown(the_seed_makes_the_load, setup_guessing, teardown),
		cmocka_unit_test_prestate_setup_teardown(states_are_few, setup_guessing, teardown, (void *)"mamba"),
		CASE(what_cannot_be_timed_is_counted),
		CASE(the_table_has_a_line_for_each),
		CASE(the_curve_ends_where_it_must),
		CASE(what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
