/*
 * Why it matters: a client that waits for an answer sleeps. It must lose no wake-up, take no longer than it was told, and notice a daemon
 * that dies.
 */
#include "tests/client/fake.h"

static void test_wait_times_out(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	const struct gyre_cqe *cqe;
	uint64_t start_ns = clock_ns();

	(void)state;
	assert_int_equal(gyre_wait_cqe(g, &cqe, 0), -ETIMEDOUT);
	assert_int_equal(gyre_wait_cqe(g, &cqe, 30000000), -ETIMEDOUT);
	assert_true(clock_ns() - start_ns >= 30000000);
	end(&f, g);
}

static void *serve_soon(void *arg)
{
	usleep(10000);
	store_release(&((struct fake *)arg)->mode, MODE_SERVE);
	return NULL;
}

/* A client that sleeps is woken, and does not find the completion when it next looks for a hang-up. */
static void test_sleeper_is_woken(void **state)
{
	const struct gyre_params p = { .spin_ns = 1 };
	uint64_t best_ns = UINT64_MAX;
	struct fake f = { .mode = MODE_HOLD };
	struct gyre *g;

	(void)state;
	fake_start(&f);
	assert_int_equal(gyre_connect(&g, f.path, &p), 0);
	for (int i = 0; i < 300 && best_ns >= SECOND / 12; i++) { /* until one is in time */
		const struct gyre_cqe *cqe;
		uint64_t begin_ns = clock_ns(), spent_ns;
		pthread_t thread;

		store_release(&f.mode, MODE_HOLD);
		gyre_prep_nop(gyre_get_sqe(g));
		gyre_submit(g);
		pthread_create(&thread, NULL, serve_soon, &f);
		assert_int_equal(gyre_wait_cqe(g, &cqe, 300 * SECOND), 0);
		spent_ns = clock_ns() - begin_ns;
		best_ns = spent_ns < best_ns ? spent_ns : best_ns;
		gyre_cqe_seen(g, cqe);
		pthread_join(thread, NULL);
	}
	assert_true(best_ns < SECOND / 12);
	end(&f, g);
}

static void test_death_is_noticed(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	const struct gyre_cqe *cqe;

	(void)state;
	gyre_get_sqe(g);
	gyre_submit(g);
	assert_int_equal(gyre_wait_cqe(g, &cqe, 300 * SECOND), 0);
	store_release(&f.mode, MODE_DIE);
	pthread_join(f.thread, NULL);
	assert_int_equal(gyre_peek_cqe(g, &cqe), 0); /* what it had written is still delivered */
	gyre_cqe_seen(g, cqe);
	assert_int_equal(gyre_wait_cqe(g, &cqe, GYRE_TIMEOUT_NONE), -ECONNRESET);
	assert_int_equal(gyre_event_clear(g), -ECONNRESET);
	gyre_close(g);
	close(f.listen_fd);
	unlink(f.path);
}

static void test_event_fd(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	struct pollfd p = { .fd = gyre_event_fd(g), .events = POLLIN };
	const struct gyre_cqe *cqe;

	(void)state;
	assert_int_equal(gyre_peek_cqe(g, &cqe), -EAGAIN);
	assert_int_equal(poll(&p, 1, 0), 0);
	for (int i = 0; i < 20; i++) {
		gyre_get_sqe(g);
		gyre_submit(g);
		assert_int_equal(poll(&p, 1, 300000), 1);
		assert_int_equal(gyre_event_clear(g), 0);
		assert_int_equal(gyre_peek_cqe(g, &cqe), 0);
		gyre_cqe_seen(g, cqe);
	}
	end(&f, g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait_times_out),
		cmocka_unit_test(test_sleeper_is_woken),
		cmocka_unit_test(test_death_is_noticed),
		cmocka_unit_test(test_event_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
