/*
 * The step path must never fault, so a pool is present in full when pool_map returns; and a host that is short of memory
 * must hear how to fix it instead of meeting the OOM killer.
 */
#include "daemon/machine/placement.h"
#include "daemon/weights/pool.h"
#include "tests/util/emulated.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>

#include <pthread.h>

static void test_present_and_zero(void **state)
{
	struct pool p = { 0 };
	struct error e;
	size_t n_page;
	unsigned char *present;

	(void)state;
	if (is_emulated("which pages are present is"))
		skip();
	if (pool_map(&p, (5u << 20) + 1, -1, "test", &e))
		fail_msg("%s", e.text);
	assert_true(p.bytes > 5u << 20);
	assert_true(p.kind != POOL_NONE);
	n_page = p.bytes / 4096;
	present = malloc(n_page);
	assert_int_equal(mincore(p.base, p.bytes, present), 0);
	for (size_t i = 0; i < n_page; i++) {
		assert_int_equal(present[i] & 1, 1);
		assert_int_equal(p.base[i * 4096], 0);
	}
	free(present);
	pool_unmap(&p);
	assert_null(p.base);
	pool_unmap(&p);
}

static bool is_page_present(const uint8_t *page)
{
	unsigned char present = 0;

	assert_int_equal(mincore((void *)(uintptr_t)page, 4096, &present), 0);
	return present & 1;
}

/* What a loader populates is there, and what it has not is not, unless the pool is of hugetlb pages. */
static void test_reserved_pages_come_when_asked(void **state)
{
	const size_t mib = 1u << 20;
	struct pool p = { 0 };
	struct error e;

	(void)state;
	if (is_emulated("which pages are present is"))
		skip();
	if (pool_reserve(&p, 16 * mib, -1, "test", &e))
		fail_msg("%s", e.text);
	assert_int_equal(is_page_present(p.base + 5 * mib), p.is_present);
	assert_int_equal(pool_populate(&p, p.base + 5 * mib, p.base + 5 * mib + 1), 0);
	assert_true(is_page_present(p.base + 5 * mib));
	assert_int_equal(is_page_present(p.base + 12 * mib), p.is_present);
	assert_int_equal(pool_populate(&p, p.base, p.base + p.bytes), 0);
	for (size_t at = 0; at < p.bytes; at += 4096)
		assert_true(is_page_present(p.base + at));
	pool_unmap(&p);
}

static void test_too_large(void **state)
{
	struct pool p = { 0 };
	struct error e;

	(void)state;
	assert_int_equal(pool_map(&p, (size_t)1 << 46, -1, "test", &e), -ENOMEM);
	assert_non_null(strstr(e.text, "vm.nr_hugepages=33554432"));
	assert_int_equal(pool_map(&p, SIZE_MAX, -1, "test", &e), -ENOMEM);
}

/* Start-up maps pools while another thread makes the vocabulary: a failed attempt must not take that thread's memory along. */
#define NEIGHBOUR_BYTES (8u << 20)
#define NEIGHBOUR_STEP  4096u

/* Pools that each fit are not reserved until their pages are touched: together they may be too large. */
static void test_too_large_together(void **state)
{
	size_t half = placement_available("", -1) / 8 * 5;
	struct pool p[2] = { { .bytes = half }, { .bytes = half } };
	struct error e = { "" };

	(void)state;
	assert_int_equal(pool_suffice(p, 1, "test", &e), 0);
	assert_int_equal(pool_suffice(p, 2, "test", &e), -ENOMEM);
	assert_non_null(strstr(e.text, "sysctl vm.nr_hugepages="));
	p[1].is_present = true; /* what is there is no longer available */
	assert_int_equal(pool_suffice(p, 2, "test", &e), 0);
}

/* Memory there is; what the process may have of it is less. */
static void test_limits_of_the_process(void **state)
{
	const struct rlimit no_files = { 0, 0 };
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		struct pool p;
		struct error e = { "" };

		setrlimit(RLIMIT_NOFILE, &no_files);
		_exit(pool_map(&p, 1 << 20, -1, "test", &e) == -EMFILE && strstr(e.text, "ulimit -n") ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void *map_and_write(void *arg)
{
	while (!__atomic_load_n((int *)arg, __ATOMIC_RELAXED)) {
		uint8_t *p = mmap(NULL, NEIGHBOUR_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return arg;
		for (int k = 0; k < 20; k++) /* dies here if somebody unmapped it */
			p[k * NEIGHBOUR_STEP] = 1;
		munmap(p, NEIGHBOUR_BYTES);
	}
	return NULL;
}

static void test_neighbours_memory_stays(void **state)
{
	struct error e;
	pthread_t thread;
	int is_done = 0;
	void *failed;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, map_and_write, &is_done), 0);
	for (int i = 0; i < 5000; i++) {
		struct pool p;

		assert_int_equal(pool_reserve(&p, 64 << 20, -1, "test", &e), 0);
		pool_unmap(&p);
	}
	__atomic_store_n(&is_done, 1, __ATOMIC_RELAXED);
	pthread_join(thread, &failed);
	assert_null(failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_present_and_zero),
		cmocka_unit_test(test_reserved_pages_come_when_asked),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_too_large_together),
		cmocka_unit_test(test_limits_of_the_process),
		cmocka_unit_test(test_neighbours_memory_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
