/* Why: an option misread is a daemon of another size, and nobody is told. What is no plain number is refused, never guessed at. */
#include "daemon/util/nearest.h"
#include "daemon/util/number.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void whole_numbers_are_digits(void **state)
{
	static const char *const bad[] = { "", " 1", "1 ", "+1", "-1", "0x10", "1e3", "1.0", "1_000", "one", "1K" };
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(number_whole(bad[i], &v), -EINVAL);
	assert_int_equal(number_whole("18446744073709551615", &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(number_whole("18446744073709551616", &v), -ERANGE);
	assert_int_equal(number_whole("99999999999999999999x", &v), -EINVAL);
	assert_int_equal(number_whole("007", &v), 0);
	assert_int_equal(v, 7);
}

static void sizes_have_units_of_1024(void **state)
{
	static const char *const bad[] = { "", "M", "1MM", "1 M", "1MB", "1Mi", "-1M", "1.5G", "1P", "1Mx", "0x1G" };
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = { { "0", 0 },
		     { "512M", 512ull << 20 },
		     { "512m", 512ull << 20 },
		     { "4GiB", 4ull << 30 },
		     { "4gib", 4ull << 30 },
		     { "1K", 1024 },
		     { "2T", 2ull << 40 },
		     { "16777215T", 16777215ull << 40 } };
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (number_bytes(bad[i], &v) != -EINVAL)
			fail_msg("'%s' is a size?", bad[i]);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(number_bytes(good[i].text, &v), 0);
		assert_true(v == good[i].bytes);
	}
	assert_int_equal(number_bytes("16777216T", &v), -ERANGE);
	assert_int_equal(number_bytes("18446744073709551616K", &v), -ERANGE);
}

static void real_numbers_are_finite_and_decimal(void **state)
{
	static const char *const bad[] = { "", "nan", "inf", "0x1p3", " 1", "1 ", "1,5", ".", "e", "1e", "--1", "-" };
	double v;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (number_real(bad[i], &v) != -EINVAL)
			fail_msg("'%s' is a number?", bad[i]);
	assert_int_equal(number_real("1e999", &v), -ERANGE);
	assert_int_equal(number_real("1e-999", &v), 0);
	assert_int_equal(number_real("-.5e1", &v), 0);
	assert_true(v == -5);
}

static void ranges_are_exact(void **state)
{
	char text[64];

	(void)state;
	assert_string_equal(number_range(text, sizeof(text), 1, 1u << 30), "from 1 to 1073741824");
	assert_string_equal(number_range(text, sizeof(text), 0, UINT64_MAX), "of 0 at least");
	assert_string_equal(number_size(text, sizeof(text), 900ull << 30), "900.0 GiB");
	assert_string_equal(number_size(text, sizeof(text), 1023), "1023 bytes");
}

static const char *nearest(const char *word)
{
	static const char *const known[] = { "max", "min-p", "model", "verbose", "threads" };
	struct nearest n;

	nearest_begin(&n, word, strlen(word));
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		nearest_offer(&n, known[i]);
	return n.best;
}

static void a_typing_error_is_near_what_was_meant(void **state)
{
	(void)state;
	assert_string_equal(nearest("mxa"), "max");
	assert_string_equal(nearest("mx"), "max");
	assert_string_equal(nearest("maxx"), "max");
	assert_string_equal(nearest("thraeds"), "threads");
	assert_string_equal(nearest("modle"), "model");
	assert_null(nearest("colour"));
	assert_null(nearest(""));
	assert_null(nearest("a-word-much-longer-than-any-option-there-is"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(whole_numbers_are_digits),
					    cmocka_unit_test(sizes_have_units_of_1024),
					    cmocka_unit_test(real_numbers_are_finite_and_decimal),
					    cmocka_unit_test(ranges_are_exact),
					    cmocka_unit_test(a_typing_error_is_near_what_was_meant) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
