/* A stop string may lie across tokens: a byte that has gone out cannot be called back. */
#include "daemon/emit/hold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint32_t hold(const struct sampling *s, const char *text, bool *is_stop)
{
	return hold_stop(s, (const uint8_t *)text, (uint32_t)strlen(text), is_stop);
}

static void test_stop(void **state)
{
	struct sampling s = { .n_stop = 2, .stop = { "END", "\n\n" }, .stop_len = { 3, 2 } };
	bool stop;

	(void)state;
	assert_int_equal(hold(&s, "abc", &stop), 3);
	assert_false(stop);
	assert_int_equal(hold(&s, "abE", &stop), 2);
	assert_int_equal(hold(&s, "abEN", &stop), 2);
	assert_int_equal(hold(&s, "ab\n", &stop), 2);
	assert_false(stop);
	assert_int_equal(hold(&s, "a\n\nENDb", &stop), 1); /* the earlier of two */
	assert_true(stop);
}

static void test_char(void **state)
{
	(void)state;
	assert_int_equal(hold_char((const uint8_t *)"a\xc3", 2), 1);
	assert_int_equal(hold_char((const uint8_t *)"a\xc3\xa9", 3), 3);
	assert_int_equal(hold_char((const uint8_t *)"\xf0\x9f\x98", 3), 0);
	assert_int_equal(hold_char((const uint8_t *)"a\xff", 2), 2);
	assert_int_equal(hold_char((const uint8_t *)"\x80\x80\x80\x80", 4), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_stop), cmocka_unit_test(test_char) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
