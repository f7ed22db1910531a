/*
 * Why it matters: the seals are the trust boundary. If a client could write the daemon region it could forge completions for
 * itself at best and steer the daemon at worst; if it could shrink its own, the daemon's next load would be a SIGBUS.
 */
#include "shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

static int setup(void **state)
{
	static struct region r;
	struct region_layout l;

	assert_int_equal(region_layout_init(&l, 0, 0, 0), 0);
	assert_int_equal(region_create(&r, &l), 0);
	*state = &r;
	return 0;
}

static int teardown(void **state)
{
	region_deinit(*state);
	return 0;
}

static void test_client_cannot_write_daemon_region(void **state)
{
	struct region *r = *state;
	char byte = 1;

	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, r->daemon_fd, 0), MAP_FAILED);
	assert_int_equal(errno, EPERM);
	assert_int_equal(pwrite(r->daemon_fd, &byte, 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fallocate(r->daemon_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
	r->daemon->need_wakeup = 1; /* the daemon's own mapping lives on */
	assert_int_equal(r->daemon->need_wakeup, 1);
}

static void test_read_only_mapping_stays_so(void **state)
{
	struct region *r = *state;
	void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, r->daemon_fd, 0);

	assert_true(p != MAP_FAILED);
	assert_int_equal(mprotect(p, 4096, PROT_READ | PROT_WRITE), -1);
	munmap(p, 4096);
}

static void test_sizes_are_final(void **state)
{
	struct region *r = *state;
	const int fds[] = { r->client_fd, r->daemon_fd };

	for (int i = 0; i < 2; i++) {
		assert_int_equal(ftruncate(fds[i], 0), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(ftruncate(fds[i], 1 << 30), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(fcntl(fds[i], F_ADD_SEALS, F_SEAL_WRITE),
				 -1); /* F_SEAL_SEAL: no further seals either */
	}
}

/* A hole in the client region is the client's right, and reads as zeroes: no SIGBUS. */
static void test_hole_reads_as_zero(void **state)
{
	struct region *r = *state;
	uint32_t one = 1;

	assert_int_equal(pwrite(r->client_fd, &one, sizeof(one), 0), sizeof(one));
	assert_int_equal(r->client->sq_tail, 1);
	assert_int_equal(fallocate(r->client_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, r->layout.client_bytes),
			 0);
	assert_int_equal(r->client->sq_tail, 0);
}

static uint64_t n_allocated(const struct region *r)
{
	struct stat st;

	assert_int_equal(fstat(r->client_fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* A load from a hole would take a page, on the account of whoever loads: a client could name all of its arena and fill the daemon's. */
static void test_reading_the_arena_takes_no_page(void **state)
{
	struct region *r = *state;
	uint32_t n = r->layout.arena_bytes;
	uint8_t *all = malloc(n);
	uint64_t before = n_allocated(r);

	memset(all, 1, n);
	assert_int_equal(region_read_arena(r, 0, all, n), 0);
	for (uint32_t i = 0; i < n; i++)
		if (all[i])
			fail_msg("byte %u of a hole is %u", i, all[i]);
	assert_int_equal(n_allocated(r), before);
	assert_int_equal(pwrite(r->client_fd, "text", 4, (off_t)r->layout.arena_off + n - 4), 4);
	assert_int_equal(region_read_arena(r, n - 4, all, 4), 0);
	assert_memory_equal(all, "text", 4);
	assert_int_equal(region_read_arena(r, 0, all, 0), 0);
	/* What is not mapped is loaded from by nobody by mistake. */
	assert_int_equal(r->client_mapped, r->layout.arena_off);
	free(all);
}

static void test_daemon_maps_client_region_read_only(void **state)
{
	struct region *r = *state;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile uint32_t *)&r->client->sq_tail = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_mode_is_0600(void **state)
{
	struct region *r = *state;
	struct stat st;

	assert_int_equal(fstat(r->client_fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fstat(r->daemon_fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* Another uid that holds a descriptor can't turn it into one with more rights through /proc. */
static void test_reopening_is_refused(void **state)
{
	struct region *r = *state;
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip(); /* only root can become somebody else */
	pid = fork();
	if (pid == 0) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", r->daemon_fd);
		if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY) || prctl(PR_SET_DUMPABLE, 1))
			_exit(2);
		if (open("/proc/self/status", O_RDONLY) < 0)
			_exit(3);
		_exit(open(path, O_RDWR) < 0 && errno == EACCES ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_attach(void **state)
{
	struct region *r = *state, c;

	assert_int_equal(region_attach(&c, dup(r->client_fd), dup(r->daemon_fd)), 0);
	assert_memory_equal(&c.layout, &r->layout, sizeof(c.layout));
	c.client->sq_tail = 42;
	assert_int_equal(r->client->sq_tail, 42);
	region_deinit(&c);
	region_deinit(&c); /* twice is harmless */
}

static void test_attach_refuses(void **state)
{
	struct region *r = *state, c;
	int plain = memfd_create("plain", MFD_CLOEXEC);

	assert_int_equal(ftruncate(plain, r->layout.client_bytes), 0);
	assert_int_equal(region_attach(&c, plain, dup(r->daemon_fd)), -EPROTO);             /* not sealed */
	assert_int_equal(region_attach(&c, dup(r->client_fd), dup(r->client_fd)), -EPROTO); /* no magic */
	r->daemon->arena_off += 64;
	assert_int_equal(region_attach(&c, dup(r->client_fd), dup(r->daemon_fd)), -EPROTO);
	r->daemon->arena_off -= 64;
	r->daemon->cq_entries = 1u << 31;
	assert_int_equal(region_attach(&c, dup(r->client_fd), dup(r->daemon_fd)), -EPROTO);
	assert_int_equal(c.client_fd, -1);
}

static void test_layout_bounds(void **state)
{
	static const uint32_t bad[][3] = {
		{ 3, 4, 0 },
		{ 4, 6, 0 },
		{ GYRE_SQ_ENTRIES_MAX * 2, 4, 0 },
		{ 4, GYRE_CQ_ENTRIES_MAX * 2, 0 },
		{ 1u << 31, 4, 0 },
		{ 4, 4, GYRE_ARENA_BYTES_MIN - 1 },
		{ 4, 4, GYRE_ARENA_BYTES_MAX + 1 },
		{ 4, 4, UINT32_MAX },
	};
	struct region_layout l;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(region_layout_init(&l, bad[i][0], bad[i][1], bad[i][2]), -EINVAL);
	assert_int_equal(region_layout_init(&l, GYRE_SQ_ENTRIES_MAX, GYRE_CQ_ENTRIES_MAX, GYRE_ARENA_BYTES_MAX), 0);
	assert_true(l.arena_off > l.sqe_off && l.client_bytes > l.arena_off);
	assert_true(l.result_off > l.cqe_off && l.daemon_bytes > l.result_off);
	assert_int_equal(region_layout_init(&l, 1, 1, GYRE_ARENA_BYTES_MIN + 1), 0);
	assert_int_equal(l.arena_bytes, GYRE_ARENA_BYTES_MIN + 4096);
}

#define WITH_REGION(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_REGION(test_client_cannot_write_daemon_region),
		WITH_REGION(test_read_only_mapping_stays_so),
		WITH_REGION(test_sizes_are_final),
		WITH_REGION(test_hole_reads_as_zero),
		WITH_REGION(test_reading_the_arena_takes_no_page),
		WITH_REGION(test_daemon_maps_client_region_read_only),
		WITH_REGION(test_mode_is_0600),
		WITH_REGION(test_reopening_is_refused),
		WITH_REGION(test_attach),
		WITH_REGION(test_attach_refuses),
		cmocka_unit_test(test_layout_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
