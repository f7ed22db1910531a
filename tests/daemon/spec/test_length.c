/*
 * Why: guesses that do not pay make every stream slower, and nothing but a clock would notice. So how many are chosen is held against all
 * choices there are, on machines that are a formula; and what is expected of guesses against how often they are right.
 */
#include "daemon/spec/chance.h"
#include "daemon/spec/length.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- machines ---- */

/* Memory takes as long for any rows; arithmetic for each; rows come in tiles of four. */
struct machine {
	uint64_t read_ns, row_ns;
	uint32_t tile;
};

static uint64_t step_ns(const void *of, uint32_t n_row)
{
	const struct machine *m = of;
	uint64_t n = (n_row + m->tile - 1) / m->tile * m->tile, ns = n * m->row_ns;

	return ns > m->read_ns ? ns : m->read_ns;
}

static uint64_t unknown_ns(const void *of, uint32_t n_row)
{
	(void)of;
	return n_row > 1 ? 0 : 100;
}

static const struct machine wide = { 1000, 30, 1 }, narrow = { 1000, 900, 1 }, tiled = { 1000, 200, 4 };

static void random_streams(struct length_stream *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		float gain = 1;

		s[i].n = (uint32_t)rand() % 4;
		for (uint32_t k = 0; k < s[i].n; k++) /* the least likely are not looked at */
			s[i].gain[k] = gain *= 0.3f + 0.7f * (float)rand() / (float)RAND_MAX;
	}
}

/* The best rate of all numbers of guesses of up to three streams, n_row rows in all without them. */
static double best_rate(const struct length_stream *s, uint32_t n_row, uint32_t most, const struct machine *m)
{
	double best = 0;

	for (uint32_t c = 0; c < 64; c++) {
		uint32_t want[3] = { c & 3, c >> 2 & 3, c >> 4 }, n = want[0] + want[1] + want[2];
		double n_drawn = 3, rate;
		bool is_there = n <= most;

		for (uint32_t i = 0; i < 3; i++) {
			is_there &= want[i] <= s[i].n;
			for (uint32_t k = 0; k < want[i] && is_there; k++)
				n_drawn += (double)s[i].gain[k];
		}
		rate = n_drawn / (double)step_ns(m, n_row + n);
		if (is_there && rate > best)
			best = rate;
	}
	return best;
}

static double rate_of(const struct length_stream *s, uint32_t n_row, const struct machine *m, uint32_t *n)
{
	double n_drawn = 3;

	*n = 0;
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(s[i].n_chosen <= s[i].n);
		*n += s[i].n_chosen;
		for (uint32_t k = 0; k < s[i].n_chosen; k++)
			n_drawn += (double)s[i].gain[k];
	}
	return n_drawn / (double)step_ns(m, n_row + *n);
}

static void no_choice_draws_more(void **state)
{
	static const struct machine *const machine[] = { &wide, &narrow, &tiled };
	uint32_t n_with = 0, n_without = 0;

	(void)state;
	for (uint32_t i = 0; i < 6000; i++) {
		const struct machine *m = machine[i % 3];
		const struct length_cost cost = { step_ns, m };
		struct length_stream s[3];
		uint32_t most = (uint32_t)rand() % 10, n_row = 3 + (uint32_t)rand() % 30, n, chosen;
		double rate;

		random_streams(s, 3);
		chosen = length_choose(s, 3, n_row, 3, most, &cost);
		rate = rate_of(s, n_row, m, &n);
		assert_int_equal(n, chosen);
		assert_true(n <= most);
		assert_true(rate >= best_rate(s, n_row, most, m) * 0.9999);
		n_with += n > 0;
		n_without += !n;
	}
	assert_true(n_with > 500 && n_without > 500);
}

static void nothing_is_chosen_in_the_dark(void **state)
{
	const struct length_cost dark = { unknown_ns, NULL };
	struct length_stream s = { .n = 3, .gain = { 1, 1, 1 } };

	(void)state;
	assert_int_equal(length_choose(&s, 1, 1, 1, 16, &dark), 0);
	assert_int_equal(s.n_chosen, 0);
}

/* ---- chances ---- */

static void what_is_expected_comes_true(void **state)
{
	struct chance mine = { 0 }, all = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 4000; i++)
		chance_learn(&all, 3, rand() % 10 < 2);
	assert_true(chance_of(&mine, &all, 3) > 0.08f && chance_of(&mine, &all, 3) < 0.4f); /* the engine's stands in */
	for (uint32_t i = 0; i < 400; i++)
		chance_learn(&mine, 3, rand() % 10 < 9);
	assert_true(chance_of(&mine, &all, 3) > 0.75f);
	for (uint32_t i = 0; i < 200; i++)
		chance_learn(&mine, 3, false); /* the old ones fade */
	assert_true(chance_of(&mine, &all, 3) < 0.1f);
	assert_true(chance_of(&mine, &all, 4) == 0.5f); /* nothing is known of another kind */
}

static void kinds_are_by_length(void **state)
{
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 3; i < 200; i++) {
		assert_true(chance_kind(i, true) < CHANCE_KINDS);
		assert_int_equal(chance_kind(i, false) ^ 1, chance_kind(i, true));
		n += chance_kind(i, true) != chance_kind(i - 1, true);
		assert_true(chance_kind(i, true) >= chance_kind(i - 1, true));
	}
	assert_int_equal(n, CHANCE_KINDS / 2 - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(no_choice_draws_more),
					    cmocka_unit_test(nothing_is_chosen_in_the_dark),
					    cmocka_unit_test(what_is_expected_comes_true),
					    cmocka_unit_test(kinds_are_by_length) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
