/*
 * Why it matters: the explorer assumes that steps are atomic and ordered; only real cores (and ThreadSanitizer, under
 * `make tsan`) can say that the release and acquire pairs make them so. And a peer may be killed between any two
 * instructions: what it had published must stay whole.
 */
#include "shm/atomic.h"
#include "shm/clock.h"
#include "shm/doorbell.h"
#include "shm/region.h"
#include "shm/ring.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ENTRIES   4u
#define N_MESSAGE 100000u
#define N_LEAST   1000u /* where TIME_NS is over: on a loaded host each four wait for their turn at a core */
#define TIME_NS   4000000000ull
#define N_KILL    20

struct ends {
	struct region region;           /* the daemon's */
	struct abi_client_page *client; /* the client's writable mapping */
	uint32_t n_message;             /* lowered by the client's thread when its time is over */
	uint64_t n_bad;                 /* counted by the client's thread */
};

static void ends_init(struct ends *e, uint32_t n_message)
{
	struct region_layout l;

	assert_int_equal(region_layout_init(&l, ENTRIES, ENTRIES, GYRE_ARENA_BYTES_MIN), 0);
	assert_int_equal(region_create(&e->region, &l), 0);
	/* One address for both sides, so that TSan sees one memory: the client's mapping stands in for the daemon's. */
	e->client = mmap(NULL, l.client_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, e->region.client_fd, 0);
	assert_true(e->client != MAP_FAILED);
	munmap(e->region.client, e->region.client_mapped);
	e->region.client = e->client;
	e->region.client_mapped = l.client_bytes;
	e->n_message = n_message;
	e->n_bad = 0;
}

static void client_submit(struct ends *e, uint32_t i)
{
	struct gyre_sqe *sqe = &region_sqe(&e->region)[i & (ENTRIES - 1)];

	while (i - load_acquire(&e->region.daemon->sq_head) >= ENTRIES)
		sched_yield();
	*sqe = (struct gyre_sqe){ .user_data = i, .target = ~(uint64_t)i };
	store_release(&e->client->sq_tail, i + 1);
}

static uint32_t client_reap(struct ends *e, uint32_t got)
{
	while (load_acquire(&e->region.daemon->cq_tail) != got) {
		const struct gyre_cqe *cqe = &region_cqe(&e->region)[got & (ENTRIES - 1)];

		e->n_bad += cqe->user_data != got || cqe->time_ns != ~(uint64_t)got;
		e->n_bad += memcmp(region_result(&e->region, got), &got, sizeof(got)) != 0;
		store_release(&e->client->cq_head, ++got);
	}
	return got;
}

static void *client_main(void *arg)
{
	struct ends *e = arg;
	uint32_t sent = 0, got = 0, n = e->n_message;
	uint64_t end_ns = clock_ns() + TIME_NS;

	while (got < n) {
		uint32_t before = got;

		if (sent < n && sent - got < ENTRIES)
			client_submit(e, sent++);
		if (sent < n && sent >= N_LEAST && clock_ns() > end_ns)
			store_relaxed(&e->n_message, n = sent);
		got = client_reap(e, got);
		if (got == before) /* with one core for both, the other side would wait for the end of a time slice */
			sched_yield();
	}
	return NULL;
}

/* The daemon's loop: echoes every entry. Returns what it could not: 0, or a lie. */
static int serve(struct sq_consumer *sq, struct cq_producer *cq)
{
	struct gyre_sqe copy;
	int n = sq_consumer_load(sq), space = cq_producer_space(cq);

	if (n < 0 || space < 0)
		return -1;
	for (; space > 0 && sq_consumer_peek(sq, &copy); space--) {
		uint8_t *result;
		struct gyre_cqe *cqe = cq_producer_reserve(cq, &result);
		uint32_t i = (uint32_t)copy.user_data;

		if (copy.target != ~copy.user_data)
			return -1;
		cqe->user_data = copy.user_data;
		cqe->time_ns = ~copy.user_data;
		memcpy(result, &i, sizeof(i));
		sq_consumer_advance(sq);
	}
	sq_consumer_commit(sq);
	cq_producer_commit(cq);
	return 0;
}

static void test_two_threads(void **state)
{
	struct ends e;
	struct sq_consumer sq;
	struct cq_producer cq;
	pthread_t thread;

	(void)state;
	ends_init(&e, N_MESSAGE);
	sq_consumer_init(&sq, &e.region);
	cq_producer_init(&cq, &e.region);
	assert_int_equal(pthread_create(&thread, NULL, client_main, &e), 0);
	while (cq.tail != load_relaxed(&e.n_message)) {
		uint32_t before = cq.tail;

		assert_int_equal(serve(&sq, &cq), 0);
		if (cq.tail == before)
			sched_yield();
	}
	pthread_join(thread, NULL);
	assert_int_equal(e.n_bad, 0);
	region_deinit(&e.region);
}

/* SIGKILL at a random instant, N_KILL times: what is in the ring is a prefix of what the client sent, each entry whole. */
static void test_fork_and_kill(void **state)
{
	(void)state;
	srandom(1);
	for (int i = 0; i < N_KILL; i++) {
		struct ends e;
		struct sq_consumer sq;
		struct cq_producer cq;
		uint64_t end_ns;
		pid_t pid;

		ends_init(&e, UINT32_MAX);
		sq_consumer_init(&sq, &e.region);
		cq_producer_init(&cq, &e.region);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			client_main(&e);
			_exit(0);
		}
		end_ns = clock_ns() + (uint64_t)(random() % 10000) * 1000;
		while (clock_ns() < end_ns)
			assert_int_equal(serve(&sq, &cq), 0);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		for (int round = 0; round < 3; round++)
			assert_int_equal(serve(&sq, &cq), 0);
		assert_true(sq.head == sq.tail || cq.tail - cq.head == ENTRIES);
		region_deinit(&e.region);
	}
}

struct waiter {
	const uint32_t *word;
	uint32_t seen;
	struct ends *ends;
	int res;
};

static void *waiter_main(void *arg)
{
	struct waiter *w = arg;

	store_relaxed(&w->ends->client->parked, GYRE_PARKED_FUTEX);
	fence();
	w->res = doorbell_park(w->word, w->seen, 5000000000ull);
	return NULL;
}

/* No wake-up is lost, whichever of commit and park comes first; and it works on a mapping without write permission. */
static void test_park_and_wake(void **state)
{
	struct ends e;
	struct cq_producer cq;
	const struct abi_daemon_page *ro;

	(void)state;
	ends_init(&e, 0);
	cq_producer_init(&cq, &e.region);
	ro = mmap(NULL, 4096, PROT_READ, MAP_SHARED, e.region.daemon_fd, 0);
	assert_true(ro != MAP_FAILED);
	assert_int_equal(doorbell_park(&ro->cq_tail, 0, 1000000), -ETIMEDOUT);
	for (uint32_t i = 0; i < 200; i++) {
		struct waiter w = { .word = &ro->cq_tail, .seen = i, .ends = &e, .res = -1 };
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, waiter_main, &w), 0);
		if (i & 1)
			nanosleep(&(struct timespec){ .tv_nsec = (long)i * 1000 }, NULL);
		assert_true(cq_producer_space(&cq) > 0);
		assert_non_null(cq_producer_reserve(&cq, NULL));
		cq_producer_commit(&cq);
		assert_in_range(doorbell_wake_client(e.region.client, e.region.daemon), GYRE_PARKED_SPIN,
				GYRE_PARKED_FUTEX);
		pthread_join(thread, NULL);
		assert_int_equal(w.res, 0);
		store_release(&e.client->cq_head, i + 1);
		store_relaxed(&e.client->parked, 0);
	}
	store_relaxed(&e.client->parked, GYRE_PARKED_SOCKET);
	assert_int_equal(doorbell_wake_client(e.region.client, e.region.daemon), GYRE_PARKED_SOCKET);
	munmap((void *)ro, 4096);
	region_deinit(&e.region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_threads),
		cmocka_unit_test(test_fork_and_kill),
		cmocka_unit_test(test_park_and_wake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
