/*
 * Why: a guess changes no answer, so an index that finds the wrong place, or misses the right one, shows nowhere but in speed. What it
 * finds is held against a search through all places.
 */
#include "daemon/spec/suffix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_TOKEN 6000u

static int32_t token[N_TOKEN];
static struct suffix s;
static void *memory;

static void fill(uint32_t n, uint32_t n_letter)
{
	for (uint32_t i = 0; i < n; i++)
		token[i] = (int32_t)((uint32_t)rand() % n_letter);
}

static uint32_t length_at(uint32_t place, uint32_t n)
{
	uint32_t k = 0;

	while (k < place && k < SUFFIX_MAX && token[place - 1 - k] == token[n - 1 - k])
		k++;
	return k;
}

/* The longest match of all places. */
static uint32_t longest(uint32_t n)
{
	uint32_t most = 0;

	for (uint32_t i = SUFFIX_MIN; i < n; i++)
		if (length_at(i, n) > most)
			most = length_at(i, n);
	return most >= SUFFIX_MIN ? most : 0;
}

static void what_is_found_is_there(void **state)
{
	struct suffix_match m;
	uint32_t n_found = 0, n_longest = 0, n_all = 0;

	(void)state;
	for (uint32_t round = 0; round < 60; round++) {
		uint32_t n_letter = round % 3 ? 12 : 300, n;

		fill(N_TOKEN, n_letter);
		suffix_clear(&s);
		for (n = 1; n < 400; n++) {
			uint32_t want = longest(n);
			bool is_found;

			/* Now and then a longer piece comes again. */
			if (n > 60 && rand() % 16 == 0)
				memcpy(token + n, token + (uint32_t)rand() % (n - 40), 20 * sizeof(token[0]));
			assert_true(suffix_add(&s, token, n, UINT32_MAX));
			is_found = suffix_find(&s, token, token, n, &m);
			assert_int_equal(is_found, want > 0);
			if (!is_found)
				continue;
			assert_in_range(m.from, 1, n - 1);
			assert_int_equal(m.length, length_at(m.from, n));
			n_found++;
			n_all += want;
			n_longest += m.length;
		}
	}
	assert_true(n_found > 2000);
	/* Frequency may outweigh a little length, and sixteen places are not all. */
	assert_true(n_longest * 100.0 > n_all * 97.0);
}

/* However often its last three tokens stood there since. */
static void a_long_match_is_found_far_away(void **state)
{
	struct suffix_match m;

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		token[i] = 1000 + (int32_t)i;
	token[20] = 7777;
	for (uint32_t i = 21; i < 5000; i++)
		token[i] = (int32_t[]){ 1017, 1018, 1019, 5 }[i % 4];
	memcpy(token + 5000, token, 20 * sizeof(token[0]));
	suffix_clear(&s);
	assert_true(suffix_add(&s, token, 5020, UINT32_MAX));
	assert_true(suffix_find(&s, token, token, 5020, &m));
	assert_int_equal(m.from, 20);
	assert_int_equal(m.length, 20);
	assert_false(m.is_alone);
}

static void of_equals_the_frequent_one_follows(void **state)
{
	const int32_t text[] = {
		1, 2, 3, 50, 1, 2, 3, 60, 1, 2, 3, 50, 9, 9, 1, 2, 3, 60, 8, 8, 1, 2, 3, 50, 7, 1, 2, 3
	};
	const uint32_t n = sizeof(text) / sizeof(text[0]);
	struct suffix_match m;

	(void)state;
	memcpy(token, text, sizeof(text));
	suffix_clear(&s);
	assert_true(suffix_add(&s, token, n, UINT32_MAX));
	assert_true(suffix_find(&s, token, token, n, &m));
	assert_int_equal(token[m.from], 50);
	assert_false(m.is_alone);
}

/* In pieces, and of another text, it is the same; a tail that is no part of the text is found, too. */
static void pieces_and_tails_make_no_difference(void **state)
{
	static int32_t tail[40];
	struct suffix_match whole, piece;

	(void)state;
	fill(2000, 9);
	memcpy(tail, token + 700, sizeof(tail));
	suffix_clear(&s);
	assert_true(suffix_add(&s, token, 2000, UINT32_MAX));
	assert_true(suffix_find(&s, token, tail, 40, &whole));
	assert_int_equal(whole.from, 740);
	suffix_clear(&s);
	fill(0, 1);
	for (uint32_t i = 0; i < 2000 / 7; i++)
		assert_false(suffix_add(&s, token, 2000, 7));
	assert_true(suffix_add(&s, token, 2000, 7));
	assert_true(suffix_find(&s, token, tail, 40, &piece));
	assert_int_equal(piece.from, whole.from);
	assert_false(suffix_find(&s, token, tail, SUFFIX_MIN - 1, &piece));
	suffix_clear(&s);
	assert_false(suffix_find(&s, token, tail, 40, &piece));
}

static int setup(void **state)
{
	(void)state;
	memory = calloc(1, suffix_bytes(N_TOKEN));
	suffix_init(&s, memory, N_TOKEN);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(memory);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_found_is_there),
					    cmocka_unit_test(a_long_match_is_found_far_away),
					    cmocka_unit_test(of_equals_the_frequent_one_follows),
					    cmocka_unit_test(pieces_and_tails_make_no_difference) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
