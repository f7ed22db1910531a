/*
 * Why: on a shared node the daemon's memory is limited, and every user may connect. A client that could make the kernel charge pages to
 * gyred, by naming memory that it never wrote or by punching holes into what gyred polls, would have it killed, for everybody. Judged
 * by counts of pages: of the files that the two share, of the daemon, and of its memory cgroup.
 *
 * GYRE_HOSTILE_ENTRIES: refused entries to send (200,000).
 */
#include "shm/atomic.h"
#include "tests/system/memcg.h"
#include "tests/system/tinyd.h"
#include "tests/util/emulated.h"
#include "tests/util/hostile.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>

#define MIB         (1u << 20)
#define ARENA_BYTES (256 * MIB)
#define SLACK_BYTES (8ull * MIB) /* stacks, allocator and page tables of a daemon that begins to work */

static struct tinyd d;

static uint64_t n_entry(void)
{
	const char *n = getenv("GYRE_HOSTILE_ENTRIES");

	return n ? strtoull(n, NULL, 10) : 200000;
}

/* ---- what a process has ---- */

static uint64_t status_bytes(pid_t pid, const char *name)
{
	char path[64], line[256];
	uint64_t kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			kib = strtoull(line + strlen(name) + 1, NULL, 10);
	fclose(f);
	return kib << 10;
}

static uint64_t file_bytes(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* ---- the attack ---- */

/*
 * Options and prompts all over an arena that nobody has written, so that each entry is refused once it has been read: by the watch
 * where it is options, or as many ids as the context has positions, and by the helper where it is messages, the last of them cut short.
 */
static struct gyre_sqe hole_entry(uint64_t i)
{
	uint32_t page = (uint32_t)(i * 7919 % (ARENA_BYTES / 4096 - 2));
	struct gyre_sqe sqe = { .opcode = GYRE_OP_GENERATE, .user_data = i, .opts_off = page * 4096, .opts_len = 1024 };

	if (i % 2) {
		sqe.data_off = sqe.opts_off;
		sqe.opts_off = sqe.opts_len = 0;
		sqe.flags = i % 4 == 1 ? GYRE_SQE_TOKENS : GYRE_SQE_CHAT;
		sqe.data_len = i % 4 == 1 ? 4 * TINY_SERVED_CTX : 8196;
	}
	return sqe;
}

/* Anything else would be of an entry that was refused unread. */
static bool is_refused_as_read(const struct gyre_cqe *cqe)
{
	return cqe->res == (cqe->user_data % 4 == 1 ? -E2BIG : -EINVAL);
}

/* How many of n entries come back refused once they have been read. */
static uint64_t attack(struct raw *w, uint64_t n)
{
	uint32_t sq = w->region.layout.sq_entries, cq = w->region.layout.cq_entries;
	uint32_t first = load_relaxed(&w->region.client->sq_tail), head = load_relaxed(&w->region.client->cq_head);
	uint64_t sent = 0, seen = 0, refused = 0;

	while (seen < n) {
		uint32_t done = load_acquire(&w->region.daemon->sq_head), tail;

		while (sent < n && first + (uint32_t)sent - done < sq) {
			struct gyre_sqe sqe = hole_entry(sent++);

			raw_submit(w, &sqe, 1);
		}
		tail = load_acquire(&w->region.daemon->cq_tail);
		for (; head != tail; head++, seen++)
			refused += is_refused_as_read(&region_cqe(&w->region)[head & (cq - 1)]);
		store_release(&w->region.client->cq_head, head);
		if (seen < n && head == tail)
			usleep(50);
	}
	return refused;
}

static void start(const char *session_bytes, void (*before)(void *arg))
{
	char *argv[] = { (char *)"--threads", (char *)"1", (char *)"--session-bytes", (char *)session_bytes, NULL };

	tinyd_start(&d, argv, before, NULL);
	tinyd_wait_ready(&d);
}

static void is_served(void)
{
	struct gyre *g = tinyd_connect(&d, NULL);

	assert_true(tinyd_generate(g, "hello", 5) >= 0);
	gyre_close(g);
}

static void open_large(struct raw *w)
{
	struct abi_hello hello = raw_hello();

	hello.arena_bytes = ARENA_BYTES;
	hello.sq_entries = 64;
	hello.cq_entries = 256;
	assert_int_equal(raw_open(w, d.socket, &hello), 0);
}

static void entries_over_holes_cost_no_page(void **state)
{
	uint64_t shared, shmem, n = n_entry();
	struct raw w;

	(void)state;
	start("2G", NULL);
	is_served();
	open_large(&w);
	assert_int_equal(attack(&w, 1000), 1000); /* the rings' own pages are there now */
	shared = file_bytes(w.region.client_fd);
	shmem = status_bytes(d.pid, "RssShmem:");
	assert_int_equal(attack(&w, n), n);
	if (file_bytes(w.region.client_fd) != shared)
		fail_msg("the arena of holes has %llu more bytes",
			 (unsigned long long)(file_bytes(w.region.client_fd) - shared));
	assert_true(shared <= w.region.layout.arena_off);
	assert_true(status_bytes(d.pid, "RssShmem:") <= shmem + w.region.layout.daemon_bytes);
	printf("%llu entries: client region %llu KiB of %u, RssShmem %llu -> %llu KiB\n", (unsigned long long)n,
	       (unsigned long long)shared >> 10, w.region.layout.client_bytes >> 10, (unsigned long long)shmem >> 10,
	       (unsigned long long)status_bytes(d.pid, "RssShmem:") >> 10);
	raw_close(&w);
	is_served();
	assert_int_equal(tinyd_stop(&d), 0);
}

static void nobody_gets_the_daemon_killed_in_its_cgroup(void **state)
{
	uint64_t n = n_entry(), before, after, rss;
	struct raw w;

	(void)state;
	memcg_make();
	if (!*memcg.dir) {
		puts(MEMCG_SKIP);
		skip();
	}
	start("2G", memcg_enter);
	is_served();
	before = memcg_bytes();
	memcg_limit(before + 64 * MIB);
	rss = status_bytes(d.pid, "VmRSS:");
	open_large(&w);
	assert_int_equal(attack(&w, n), n);
	after = memcg_bytes();
	assert_true(tinyd_is_running(&d));
	if (after > before + SLACK_BYTES)
		fail_msg("the daemon's cgroup grew from %llu to %llu KiB", (unsigned long long)before >> 10,
			 (unsigned long long)after >> 10);
	printf("%llu entries in a cgroup of %llu MiB: %llu -> %llu KiB, VmRSS %llu -> %llu KiB\n",
	       (unsigned long long)n, (unsigned long long)(before >> 20) + 64, (unsigned long long)before >> 10,
	       (unsigned long long)after >> 10, (unsigned long long)rss >> 10,
	       (unsigned long long)status_bytes(d.pid, "VmRSS:") >> 10);
	raw_close(&w);
	is_served();
	assert_int_equal(tinyd_stop(&d), 0);
	memcg_remove();
}

/* What is polled is mapped: a hole there is filled by the daemon's look. It is filled once, and holds no more than the ring does. */
static void holes_in_the_ring_cost_the_ring(void **state)
{
	struct raw w;

	(void)state;
	start("2G", NULL);
	open_large(&w);
	for (int i = 0; i < 2000; i++) {
		struct gyre_sqe sqe = hole_entry((uint64_t)i);

		raw_submit(&w, &sqe, 1);
		assert_int_equal(fallocate(w.region.client_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
					   w.region.layout.client_bytes),
				 0);
	}
	assert_true(file_bytes(w.region.client_fd) <= w.region.layout.arena_off);
	raw_close(&w);
	is_served();
	assert_int_equal(tinyd_stop(&d), 0);
}

/* ---- the budget ---- */

/* Sessions of 16 MiB arenas until one is refused: how many; why[] says why. */
static int open_many(struct gyre **g, int n_max, char *why, size_t n_why)
{
	struct gyre_params p = { .arena_bytes = 16 * MIB, .error = why, .error_bytes = n_why };
	int n = 0, r = 0;

	while (n < n_max && (r = gyre_connect(&g[n], d.socket, &p)) == 0)
		n++;
	return n < n_max && r != -EDQUOT ? r : n;
}

static void a_uid_has_half_of_what_others_leave(void **state)
{
	char why[256] = "";
	struct gyre *g[8], *one;
	int n, status;
	pid_t pid;

	(void)state;
	start("64M", NULL);
	n = open_many(g, 8, why, sizeof(why));
	assert_int_equal(n, 1); /* a second would leave others less than it has */
	assert_non_null(strstr(why, "raise session-bytes"));
	one = tinyd_connect(&d, NULL); /* an ordinary one still fits the half */
	gyre_close(one);
	pid = fork();
	if (pid == 0) { /* another uid has its own half of the rest, and one ordinary session in any case */
		struct gyre *other[8];

		_exit(setuid(65534)                                                                           ? 77
		      : open_many(other, 8, why, sizeof(why)) == 1 && gyre_connect(&one, d.socket, NULL) == 0 ? 0
													      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		puts("skip: another uid's half needs root");
	else
		assert_int_equal(WEXITSTATUS(status), 0);
	gyre_close(g[0]);
	for (int i = 0; i < 30000 && (n = open_many(g, 1, why, sizeof(why))) != 1;
	     i++) /* it comes back with the session */
		usleep(10000);
	assert_int_equal(n, 1);
	gyre_close(g[0]);
	assert_int_equal(tinyd_stop(&d), 0);
}

/* ---- the log ---- */

static unsigned count_lines(const char *text, const char *words)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, words)); at++)
		n++;
	return n;
}

/* A refusal costs its client nothing: told a line each, it would fill the disk. The first is told, and how many more there were. */
static void refused_connections_are_counted_not_told_each(void **state)
{
	enum { N = 1500 }; /* more than a uid may have of 2,048 */
	unsigned n_told, n_more = 0, n;
	const struct rlimit l = { 4096, 4096 };
	int fd[N];

	(void)state;
	if (setrlimit(RLIMIT_NOFILE, &l) < 0) {
		puts("skip: as many connections need 4096 descriptors");
		skip();
	}
	start("64M", NULL);
	for (int i = 0; i < N; i++)
		fd[i] = raw_connect(d.socket);
	for (int i = 0; i < N; i++) {
		char byte;

		if (i >= N - 10) /* those that were refused have been hung up on */
			assert_true(recv(fd[i], &byte, 1, 0) <= 0);
	}
	assert_int_equal(tinyd_stop(&d), 0);
	n_told = count_lines(tinyd_said(&d), "connections refused: uid");
	for (const char *at = d.said; (at = strstr(at, "connections refused, of uid")); n_more += n, at++)
		assert_int_equal(sscanf(strchr(at, ':'), ": %u more in", &n), 1);
	assert_in_range(n_told, 1, N / 10); /* one in ten seconds: how long this takes is the host's affair */
	assert_true(n_told + n_more > N / 5);
	for (int i = 0; i < N; i++)
		close(fd[i]);
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
	memcg_remove();
	tinyd_teardown(&d);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_over_holes_cost_no_page),
		cmocka_unit_test(nobody_gets_the_daemon_killed_in_its_cgroup),
		cmocka_unit_test(holes_in_the_ring_cost_the_ring),
		cmocka_unit_test(a_uid_has_half_of_what_others_leave),
		cmocka_unit_test(refused_connections_are_counted_not_told_each),
	};

	if (is_emulated("memory is"))
		return 0;
	return cmocka_run_group_tests(tests, setup, teardown);
}
