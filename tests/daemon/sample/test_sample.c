/* A sample depends on logits, options, seed and position alone; drafts and restarts rely on it. */
#include "daemon/sample/log.h"
#include "daemon/sample/philox.h"
#include "daemon/sample/sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Known answers of the Random123 distribution. */
static void test_philox(void **state)
{
	uint32_t zero[4] = { 0 }, ones[4] = { ~0u, ~0u, ~0u, ~0u }, out[4];
	const uint32_t want0[4] = { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 };
	const uint32_t want1[4] = { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd };

	(void)state;
	philox4x32(out, zero, zero);
	assert_memory_equal(out, want0, sizeof(out));
	philox4x32(out, ones, ones);
	assert_memory_equal(out, want1, sizeof(out));
}

static void test_log(void **state)
{
	(void)state;
	for (float x = 1e-30f; x < 1e30f; x *= 1.37f)
		assert_true(fabs(sample_log(x) - log(x)) <= 1e-7 * (1 + fabs(log(x))));
	assert_true(sample_log(1) == 0);
}

static void test_filters(void **state)
{
	struct sampling o = { .repetition_penalty = 1, .temperature = 1, .top_k = 2 };
	const float base[4] = { 1, 3, 2, 0 };
	struct kernels k;
	struct sample s;
	float x[4];

	(void)state;
	kernels_select(&k, ISA_REF);
	assert_int_equal(sample_init(&s, &k, 4, 0), 0);
	for (uint64_t pos = 0; pos < 200; pos++) {
		int32_t id, again;

		memcpy(x, base, sizeof(x));
		id = sample_row(&s, x, &o, NULL, 0, pos);
		assert_true(id == 1 || id == 2);
		memcpy(x, base, sizeof(x));
		again = sample_row(&s, x, &o, NULL, 0, pos);
		assert_int_equal(id, again);
	}
	o.top_k = 0;
	o.top_p = 0.5f; /* the first alone holds 0.64 */
	memcpy(x, base, sizeof(x));
	assert_int_equal(sample_row(&s, x, &o, NULL, 0, 7), 1);
	sample_deinit(&s);
}

/* Frequencies of an unfiltered draw follow the softmax: a wrong cumulative sum shows here. */
static void test_distribution(void **state)
{
	struct sampling o = { .repetition_penalty = 1, .temperature = 1 };
	uint32_t count[2] = { 0 };
	struct kernels k;
	struct sample s;

	(void)state;
	kernels_select(&k, ISA_REF);
	assert_int_equal(sample_init(&s, &k, 2, 0), 0);
	for (uint64_t pos = 0; pos < 20000; pos++) {
		float x[2] = { 1.0986123f, 0 }; /* 3 : 1 */

		count[sample_row(&s, x, &o, NULL, 0, pos)]++;
	}
	assert_in_range(count[0], 14700, 15300);
	sample_deinit(&s);
}

static void test_greedy_penalty(void **state)
{
	struct sampling o = { .repetition_penalty = 2 };
	float x[3] = { 3, 2, 1 };
	int32_t window[2] = { 0, 0 };
	struct kernels k;
	struct sample s;

	(void)state;
	kernels_select(&k, ISA_REF);
	assert_int_equal(sample_init(&s, &k, 3, 0), 0);
	assert_int_equal(sample_row(&s, x, &o, window, 2, 0), 1);
	assert_true(x[0] == 1.5f); /* once, though it stands twice in the window */
	sample_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_philox), cmocka_unit_test(test_log),
					    cmocka_unit_test(test_filters), cmocka_unit_test(test_distribution),
					    cmocka_unit_test(test_greedy_penalty) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
