/*
 * Why: what a FORK goes on from is found by one thread and let go of by another. Found after it was let go of, it would be somebody else's
 * by the time that the fork begins, and that one would never leave.
 */
#include "daemon/intake/source.h"

#include "daemon/flow/queue.h"
#include "daemon/op/op.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct session s;
static struct queue q;
static struct request one, child;

static void begin(enum request_state state)
{
	memset(&s, 0, sizeof(s));
	lock_init(&s.lock, false);
	queue_init(&q, false);
	one = (struct request){ .session = &s,
				.op = &op_prefill,
				.place = REQUEST_SHARED_PLACE,
				.outcome = REQUEST_SETTLED,
				.kept = { .user_data = 7, .state = state } };
	child = (struct request){ .session = &s };
	s.youngest = &one;
	q.live[0] = &one;
	q.n_live = 1;
}

static int find(uint64_t target)
{
	uint32_t n_looked = 0;

	return source_find(&child, target, &n_looked, NULL);
}

static void who_waits_keeps_it(void **state)
{
	(void)state;
	begin(REQUEST_DONE);
	assert_int_equal(find(8), -ENOENT);
	assert_int_equal(find(7), 0);
	assert_ptr_equal(child.source, &one);
	queue_reap(&q);
	assert_int_equal(q.n_live, 1);
	request_await_no_more(&child.source);
	queue_reap(&q);
	assert_int_equal(q.n_live, 0);
	assert_ptr_equal(q.done, &one);
}

/* Its session has it until it is back in the pool: that is some microseconds later. */
static void what_has_been_let_go_of_is_not_found(void **state)
{
	(void)state;
	begin(REQUEST_DONE);
	queue_reap(&q);
	assert_ptr_equal(q.done, &one);
	assert_int_equal(find(7), -ENOENT);
	assert_null(child.source);
}

static void what_is_cancelled_is_not_found(void **state)
{
	(void)state;
	begin(REQUEST_KEPT);
	one.outcome = REQUEST_CANCELLED;
	assert_int_equal(find(7), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(who_waits_keeps_it),
					    cmocka_unit_test(what_has_been_let_go_of_is_not_found),
					    cmocka_unit_test(what_is_cancelled_is_not_found) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
