/*
 * Why: shares of a step's time are only true if no moment is lost between two laps or counted twice, and if a thread that
 * was never attached (a test, a tool) can run the same code.
 */
#include "daemon/model/arch.h"
#include "daemon/util/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void spend(long ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

static void parts_sum_to_all_of_the_time(void **state)
{
	static struct profile p;
	uint64_t sum = 0;

	(void)state;
	profile_attach(&p);
	for (int i = 0; i < 20 * PROFILE_PART_MAX; i++)
		profile_lap((enum profile_part)(i % PROFILE_PART_MAX));
	for (int i = 0; i < PROFILE_PART_MAX; i++) {
		assert_int_equal(p.n[i], 20);
		sum += p.ticks[i];
	}
	assert_true(sum > 0);
	assert_int_equal(sum, p.last_ticks - p.begin_ticks);
	profile_attach(NULL);
}

static void a_reading_is_in_nanoseconds_since_another(void **state)
{
	static struct profile p;
	struct profile_sum before, after;

	(void)state;
	profile_attach(&p);
	profile_lap(PROFILE_EMIT);
	profile_read(&p, &before);
	spend(20000000);
	profile_rows(7);
	profile_lap(PROFILE_MODEL);
	profile_read(&p, &after);
	profile_subtract(&after, &before);
	assert_int_equal(after.n_row, 7);
	assert_int_equal(after.n[PROFILE_MODEL], 1);
	assert_int_equal(after.n[PROFILE_EMIT], 0);
	assert_true(after.ns[PROFILE_MODEL] > 19e6 && after.ns[PROFILE_MODEL] < 10e9);
	profile_attach(NULL);
}

static void laps_of_a_detached_thread_go_nowhere(void **state)
{
	static struct profile p;

	(void)state;
	profile_attach(&p);
	profile_attach(NULL);
	profile_lap(PROFILE_MODEL);
	profile_rows(3);
	assert_int_equal(p.n[PROFILE_MODEL], 0);
	assert_int_equal(p.n_row, 0);
}

static void every_part_has_a_name(void **state)
{
	(void)state;
	for (size_t a = 0; arch_at(a); a++)
		for (int i = 0; i < PROFILE_PART_MAX; i++) {
			const char *name = profile_part_name((enum profile_part)i, arch_at(a)->pass->lap);

			assert_true(name || (i > PROFILE_MODEL && i < PROFILE_HEAD));
			for (int k = 0; k < i && name; k++)
				if (profile_part_name((enum profile_part)k, arch_at(a)->pass->lap))
					assert_string_not_equal(
						name, profile_part_name((enum profile_part)k, arch_at(a)->pass->lap));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_sum_to_all_of_the_time),
		cmocka_unit_test(a_reading_is_in_nanoseconds_since_another),
		cmocka_unit_test(laps_of_a_detached_thread_go_nowhere),
		cmocka_unit_test(every_part_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
