/*
 * Why: tokens a second are counted by user, not by session, so they must be counted on when a user goes and comes back: else a new
 * connection for each request is a way around the limit. And whoever waits must be owed tokens again at the time he was told.
 */
#include "daemon/flow/user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000000ull
#define START  (1000 * SECOND)

static struct user_table table;

static void a_bucket_holds_ten_seconds(void **state)
{
	struct user *u = user_get(&table, 7);

	(void)state;
	user_charge(u, 0, 1000000, START); /* without a limit nothing is counted */
	assert_true(user_wait_ns(u, START) == 0);
	user_charge(u, 100, 1000, START);
	assert_true(user_wait_ns(u, START) == 0);
	user_charge(u, 100, 1, START);
	assert_true(user_wait_ns(u, START) == SECOND / 100);
	assert_true(user_wait_ns(u, START + SECOND / 100) == 0);
	/* What a stream goes on to generate is owed. */
	user_charge(u, 100, 500, START + SECOND);
	assert_true(user_wait_ns(u, START + SECOND) == 4 * SECOND + SECOND / 100);
	/* Nobody saves more than ten seconds' worth. */
	user_charge(u, 100, 1000, START + 1000 * SECOND);
	user_charge(u, 100, 100, START + 1000 * SECOND);
	assert_true(user_wait_ns(u, START + 1000 * SECOND) == SECOND);
	user_put(u);
}

static void who_comes_back_is_known(void **state)
{
	struct user *u, *other;

	(void)state;
	u = user_get(&table, 8);
	user_charge(u, 1, 100, START);
	user_put(u);
	other = user_get(&table, 9);
	assert_true(user_wait_ns(other, START) == 0);
	u = user_get(&table, 8);
	assert_true(user_wait_ns(u, START) == 90 * SECOND);
	user_put(u);
	user_put(other);
}

/* More users than slots: those that have been charged least are forgotten first. */
static void the_table_never_runs_out(void **state)
{
	struct user *u;

	(void)state;
	memset(&table, 0, sizeof(table));
	for (uint32_t i = 0; i < USER_MAX; i++) {
		u = user_get(&table, 100 + i);
		user_charge(u, 1, 20 + i, START);
		user_put(u);
	}
	assert_int_equal(table.n, USER_MAX);
	u = user_get(&table, 5000);
	assert_true(user_wait_ns(u, START) == 0);
	assert_int_equal(u->index, 0);
	assert_true(user_wait_ns(user_get(&table, 101), START) == 11 * SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_bucket_holds_ten_seconds),
					    cmocka_unit_test(who_comes_back_is_known),
					    cmocka_unit_test(the_table_never_runs_out) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
