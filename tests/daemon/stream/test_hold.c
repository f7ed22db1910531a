/* A stop string may lie across tokens, and across what is not shown: a byte that has gone out cannot be called back. */
#include "daemon/stream/hold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct hold h;

/* What goes out when text joins. */
static uint32_t join(const struct sampling *s, const char *text, bool is_hidden, bool *is_stop)
{
	uint32_t n = hold_join(&h, s, text, (uint32_t)strlen(text), is_hidden, is_stop);

	hold_drop(&h, n);
	return n;
}

static uint32_t fresh(const struct sampling *s, const char *text, bool *is_stop)
{
	h = (struct hold){ 0 };
	return join(s, text, false, is_stop);
}

static void test_stop(void **state)
{
	struct sampling s = { .n_stop = 2, .stop = { "END", "\n\n" }, .stop_len = { 3, 2 } };
	bool stop;

	(void)state;
	assert_int_equal(fresh(&s, "abc", &stop), 3);
	assert_false(stop);
	assert_int_equal(fresh(&s, "abE", &stop), 2);
	assert_int_equal(join(&s, "N", false, &stop), 0);
	assert_int_equal(join(&s, "E", false, &stop), 2); /* "EN" of "ENE" */
	assert_int_equal(h.n, 1);
	assert_int_equal(fresh(&s, "ab\n", &stop), 2);
	assert_false(stop);
	assert_int_equal(fresh(&s, "a\n\nENDb", &stop), 1); /* the earlier of two */
	assert_true(stop);
}

/* Of the stream "ab<t>cd" with <t> not shown: what ends it, and how much of "abcd" goes out. */
static void what_is_not_shown_counts_as_text_and_as_nothing(void **state)
{
	static const struct {
		const char *stop;
		int n_shown; /* before the stop; -1: none comes */
	} row[] = { { "<t>", 2 }, { "b<t>", 1 }, { "<t>c", 2 },  { "ab<t>cd", 0 }, { "bc", 1 },     { "abcd", 0 },
		    { "t", 2 },   { "cd", 2 },   { "d<t>", -1 }, { "bd", -1 },     { "abc<t>", -1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct sampling s = { .n_stop = 1 };
		static const char *const token[] = { "a", "b", "<t>", "c", "d" };
		uint32_t n = 0;
		bool stop = false;

		h = (struct hold){ 0 };
		strcpy((char *)s.stop[0], row[i].stop);
		s.stop_len[0] = (uint8_t)strlen(row[i].stop);
		for (int k = 0; k < 5 && !stop; k++)
			n += join(&s, token[k], k == 2, &stop);
		if (stop != (row[i].n_shown >= 0) || n != (stop ? (uint32_t)row[i].n_shown : 4 - h.n))
			fail_msg("stop string %s: %s after %u bytes", row[i].stop, stop ? "ended" : "no end", n);
	}
}

/* However many marks stand between: they take no room. */
static void marks_without_end_are_held_in_bounded_space(void **state)
{
	struct sampling s = { .n_stop = 1, .stop = { "start<|mark|>" }, .stop_len = { 13 } };
	bool stop;

	(void)state;
	fresh(&s, "star", &stop);
	for (int i = 0; i < 10000; i++) {
		join(&s, "<|mark|>", true, &stop);
		assert_false(stop);
		assert_true(h.n == 4 && h.n_tail < GYRE_STOP_BYTES_MAX);
	}
	assert_int_equal(join(&s, "t", false, &stop), 0); /* as shown, it may still begin there */
	join(&s, "<|mark|>", true, &stop);
	assert_false(stop);
}

static void test_char(void **state)
{
	(void)state;
	assert_int_equal(hold_char((const uint8_t *)"a\xc3", 2), 1);
	assert_int_equal(hold_char((const uint8_t *)"a\xc3\xa9", 3), 3);
	assert_int_equal(hold_char((const uint8_t *)"\xf0\x9f\x98", 3), 0);
	assert_int_equal(hold_char((const uint8_t *)"a\xff", 2), 2);
	assert_int_equal(hold_char((const uint8_t *)"a\xf5", 2), 2); /* opens nothing since RFC 3629 */
	assert_int_equal(hold_char((const uint8_t *)"\x80\x80\x80\x80", 4), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_stop),
					    cmocka_unit_test(what_is_not_shown_counts_as_text_and_as_nothing),
					    cmocka_unit_test(marks_without_end_are_held_in_bounded_space),
					    cmocka_unit_test(test_char) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
