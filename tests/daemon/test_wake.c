/*
 * Why: a client that sleeps must hear of its completions from gyred itself: in the futex, where libgyre would find them a tenth of a
 * second later by looking for a hang-up, and in poll(2), where nobody would. The whole daemon with a leader of its own.
 */
#include "shm/doorbell.h"
#include "shm/clock.h"
#include "tests/daemon/appliance.h"

#include <poll.h>

#define N_ROUND  300 /* until one is in time: on a busy host a thread that was woken waits for its turn */
#define N_TOKEN  20
#define LATE_NS  80000000ull /* libgyre looks every 100 ms */
#define POLL_MS  300000
#define NEVER_NS 300000000000ull

static struct appliance a;

static int setup(void **state)
{
	(void)state;
	appliance_open(&a, &tiny_served, NULL, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	appliance_close(&a);
	return 0;
}

static struct gyre *connect_sleeper(void)
{
	const struct gyre_params p = { .spin_ns = 1 };
	struct gyre *g;

	assert_int_equal(gyre_connect(&g, a.socket, &p), 0);
	return g;
}

static void submit(struct gyre *g)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	assert_int_equal(gyre_prep_generate(g, sqe, "hello", 5, N_TOKEN), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	assert_int_equal(gyre_submit(g), 1);
}

/* true: it was the request's last. */
static bool take(struct gyre *g, const struct gyre_cqe *cqe)
{
	bool is_last = !(cqe->flags & GYRE_CQE_MORE);

	assert_true(cqe->res >= 0);
	gyre_cqe_seen(g, cqe);
	return is_last;
}

static void a_client_in_the_futex_is_woken(void **state)
{
	struct gyre *g = connect_sleeper();
	uint64_t best_ns = UINT64_MAX;

	(void)state;
	for (int i = 0; i < N_ROUND && best_ns >= LATE_NS; i++) {
		uint64_t begin_ns = clock_ns(), spent_ns;
		const struct gyre_cqe *cqe;

		submit(g);
		do {
			assert_int_equal(gyre_wait_cqe(g, &cqe, NEVER_NS), 0);
		} while (!take(g, cqe));
		spent_ns = clock_ns() - begin_ns;
		best_ns = spent_ns < best_ns ? spent_ns : best_ns;
	}
	assert_true(best_ns < LATE_NS);
	gyre_close(g);
}

static void a_client_in_poll_is_woken(void **state)
{
	struct gyre *g = connect_sleeper();
	struct pollfd p = { .fd = gyre_event_fd(g), .events = POLLIN };

	(void)state;
	for (int i = 0; i < N_ROUND; i++) {
		const struct gyre_cqe *cqe;
		bool is_ended = false;

		submit(g);
		while (!is_ended) {
			assert_int_equal(poll(&p, 1, POLL_MS), 1);
			assert_int_equal(gyre_event_clear(g), 0);
			while (gyre_peek_cqe(g, &cqe) == 0)
				is_ended |= take(g, cqe);
		}
	}
	gyre_close(g);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { CASE(a_client_in_the_futex_is_woken), CASE(a_client_in_poll_is_woken) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
