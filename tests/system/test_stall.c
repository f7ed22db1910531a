/*
 * Why: a daemon that welcomes clients and answers questions about itself while no token moves looks healthy to everybody but its users.
 * One thread of the real gyred is stopped, by ptrace, as a page that does not come or a host that starves it would: within a second
 * statistics and log must say which engine stands, and both must say when it goes on.
 */
#include "shm/clock.h"
#include "tests/system/stop.h"
#include "tests/util/emulated.h"

#include <errno.h>
#include <sched.h>
#include <sys/ptrace.h>

static struct tinyd d;

static uint64_t stat_of(struct gyre *g, const char *key)
{
	static char text[65536];
	char word[64];
	const char *at;

	assert_true(gyre_query_stats(g, text, sizeof(text)) > 0);
	snprintf(word, sizeof(word), "\"%s\":", key);
	at = strstr(text, word);
	assert_non_null(at);
	return strtoull(at + strlen(word), NULL, 10);
}

/* A stream that goes on for long: its first token has come. */
static struct gyre *begin_stream(void)
{
	const struct gyre_params p = { .cq_entries = 8192 };
	struct gyre *g = tinyd_connect(&d, &p);
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	const struct gyre_cqe *cqe;

	assert_int_equal(gyre_prep_generate(g, sqe, "hello", 5, 900), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	assert_int_equal(gyre_submit(g), 1);
	assert_int_equal(gyre_wait_cqe(g, &cqe, TINYD_WAIT_NS), 0);
	gyre_cqe_seen(g, cqe);
	return g;
}

static void end_stream(struct gyre *g)
{
	const struct gyre_cqe *cqe;
	bool has_more;

	do {
		assert_int_equal(gyre_wait_cqe(g, &cqe, TINYD_WAIT_NS), 0);
		has_more = cqe->flags & GYRE_CQE_MORE;
		gyre_cqe_seen(g, cqe);
	} while (has_more);
	gyre_close(g);
}

/* Another thread of this kind is stopped while a request is in the works; everybody is told until it goes on. */
static void stall(const char *thread)
{
	struct gyre *watcher = tinyd_connect(&d, NULL), *g;
	uint64_t ms = 0, n_before = stat_of(watcher, "stalls"), n_stall;
	bool is_logged, counts_on = false;
	pid_t tid;

	if (is_emulated("which thread stands is") || !stop_is_possible())
		skip();
	tid = stop_find(&d, thread);
	if (!stop_begin(tid)) {
		printf("skip: ptrace: %s\n", strerror(errno));
		skip();
	}
	/* Submitted after the stop, so that it is in the works for as long as the thread stands. */
	g = tinyd_connect(&d, NULL);
	assert_int_equal(gyre_prep_generate(g, gyre_get_sqe(g), "hello", 5, 5), 0);
	assert_int_equal(gyre_submit(g), 1);
	for (int i = 0; i < 3000 && !ms; i++) {
		usleep(10000);
		ms = stat_of(watcher, "stalled_ms");
	}
	is_logged = strstr(tinyd_said(&d), "engine 0 makes no progress for");
	n_stall = stat_of(watcher, "stalls");
	for (int i = 0; i < 100 && ms && !counts_on; i++) {
		usleep(50000);
		counts_on = stat_of(watcher, "stalled_ms") > ms;
	}
	/* Before anything fails: nobody can wait for a process of which a thread is traced. */
	assert_int_equal(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
	if (ms < 550 || !is_logged)
		fail_msg("%s stopped, and stat says %llu ms, the log: %s", thread, (unsigned long long)ms, d.said);
	assert_true(n_stall > n_before); /* on a busy host a thread may have been starved as well */
	assert_true(counts_on);
	end_stream(g);
	for (int i = 0; i < 3000 && stat_of(watcher, "stalled_ms"); i++)
		usleep(10000);
	assert_non_null(strstr(tinyd_said(&d), "engine 0 goes on after"));
	gyre_close(watcher);
}

static void start(void)
{
	char *argv[] = { (char *)"--threads", (char *)"2", (char *)"--core-dumps", (char *)"1", NULL };

	tinyd_start(&d, argv, NULL, NULL); /* core-dumps: or ptrace would take root */
	tinyd_wait_ready(&d);
}

static void a_worker_that_stands_is_seen(void **state)
{
	(void)state;
	start();
	stall("gyred");
	assert_int_equal(tinyd_stop(&d), 0);
}

static void a_leader_that_stands_is_seen(void **state)
{
	(void)state;
	start();
	stall("gyred-leader");
	assert_int_equal(tinyd_stop(&d), 0);
}

/* Whether somebody stood in two seconds in which one client's ring was full and nobody else wanted anything. */
static bool has_stood(void)
{
	const struct gyre_params p = { .cq_entries = 8 };
	struct gyre *g, *busy;
	struct gyre_sqe *sqe;
	bool has_stood = false;

	start();
	busy = begin_stream();
	g = tinyd_connect(&d, &p);
	sqe = gyre_get_sqe(g);
	assert_int_equal(gyre_prep_generate(g, sqe, "hello", 5, 900), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	assert_int_equal(gyre_submit(g), 1);
	end_stream(busy);
	for (int i = 0; i < 20; i++) { /* paused by its full ring, for many looks */
		usleep(100000);
		has_stood |= stat_of(g, "stalled_ms") > 0;
	}
	has_stood |= stat_of(g, "stalls") > 0;
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
	assert_int_equal(strstr(tinyd_said(&d), "no progress") != NULL, has_stood);
	return has_stood;
}

/* Neither an idle daemon, nor one whose client does not read, stands. One that a busy host starves does: it is not so each time. */
static void who_has_nothing_to_do_does_not_stand(void **state)
{
	int n = 0;

	(void)state;
	while (has_stood())
		assert_true(++n < 20);
}

#define STARVED_NS \
	850000000 /* longer than what stands may; within a period of real-time throttling, which gives others 50 ms then */

/* Takes a CPU from everybody who is not real-time, for so long. Says why not. */
static bool take_cpu(size_t cpu)
{
	const struct sched_param first = { .sched_priority = 50 }, none = { 0 };
	cpu_set_t set, old;
	uint64_t end_ns;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_getaffinity(0, sizeof(old), &old) || sched_setaffinity(0, sizeof(set), &set) ||
	    sched_setscheduler(0, SCHED_FIFO, &first)) {
		printf("skip: a real-time thread: %s\n", strerror(errno));
		return false;
	}
	for (end_ns = clock_ns() + STARVED_NS; clock_ns() < end_ns;)
		continue;
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &none), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(old), &old), 0);
	return true;
}

/* A host that gives a worker no CPU is what stands: to start gyred anew would not help. */
static void a_worker_without_a_cpu_does_not_stand(void **state)
{
	cpu_set_t set;
	struct gyre *g;
	bool is_taken;

	(void)state;
	if (is_emulated("who gets a CPU is") || !stop_is_possible())
		skip();
	start();
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(stop_find(&d, "gyred"), sizeof(set), &set)) {
		printf("skip: CPU 0: %s\n", strerror(errno));
		tinyd_stop(&d);
		skip();
	}
	g = begin_stream();
	is_taken = take_cpu(0);
	end_stream(g);
	assert_int_equal(tinyd_stop(&d), 0);
	if (!is_taken)
		skip();
	assert_null(strstr(tinyd_said(&d), "no progress"));
}

static int setup(void **state)
{
	(void)state;
	tinyd_setup(&d, &tiny_served);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tinyd_teardown(&d);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_that_stands_is_seen),
		cmocka_unit_test(a_leader_that_stands_is_seen),
		cmocka_unit_test(a_worker_without_a_cpu_does_not_stand),
		cmocka_unit_test(who_has_nothing_to_do_does_not_stand),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
