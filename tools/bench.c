#include "tools/bench.h"
#include "daemon/weights/pool.h"
#include "shm/atomic.h"
#include "tools/tool.h"

#include <errno.h>
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define READ_BYTES_MIN (512ull << 20)
#define READ_BYTES_MAX (4ull << 30)
#define READ_RUNS      5
#define GROUPS         11 /* of round trips; the median of their means, for a group that was interrupted is no figure */
#define GROUP          5000
#define EVENT_GROUP    1000

int bench_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return -pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

typedef uint64_t wide __attribute__((vector_size(32)));

struct read_job {
	const wide *data;
	size_t n; /* of wide, a multiple of 4 */
	struct team *team;
	uint64_t sum[TEAM_MAX]; /* keeps the loads alive */
};

/* The same loop at two widths, for a load of 16 bytes can be too narrow to fill the memory's pipes. */
static inline __attribute__((always_inline)) uint64_t sum_range(const wide *p, size_t n)
{
	wide a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };

	for (size_t i = 0; i < n; i += 4) {
		a += p[i];
		b += p[i + 1];
		c += p[i + 2];
		d += p[i + 3];
	}
	a += b + c + d;
	return a[0] + a[1] + a[2] + a[3];
}

static __attribute__((target("avx2"))) uint64_t sum_avx2(const wide *p, size_t n)
{
	return sum_range(p, n);
}

static uint64_t sum_any(const wide *p, size_t n)
{
	return sum_range(p, n);
}

static void read_share(void *arg, int worker)
{
	struct read_job *j = arg;
	size_t begin, end;

	team_range(j->n, team_size(j->team), worker, 4, &begin, &end);
	j->sum[worker] += __builtin_cpu_supports("avx2") ? sum_avx2(j->data + begin, end - begin)
							 : sum_any(j->data + begin, end - begin);
}

static size_t read_bytes(void)
{
	long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
	unsigned long long want = cache > 0 ? 4ull * (unsigned long long)cache : 0;

	if (want < READ_BYTES_MIN)
		want = READ_BYTES_MIN;
	return want > READ_BYTES_MAX ? READ_BYTES_MAX : want;
}

double bench_read_gbps(struct team *t, struct error *e)
{
	static struct read_job j;
	double x[READ_RUNS];
	struct pool p;
	int r = pool_map(&p, read_bytes(), "gyre-bench", e);

	if (r < 0)
		return r;
	memset(p.base, 1, p.bytes); /* zero pages might all be the same one */
	j = (struct read_job){ .data = (const wide *)p.base, .n = p.bytes / sizeof(wide), .team = t };
	team_run(t, read_share, &j);
	for (int i = 0; i < READ_RUNS; i++) {
		double begin = now_s();

		team_run(t, read_share, &j);
		x[i] = (double)p.bytes / (now_s() - begin) / 1e9;
	}
	pool_unmap(&p);
	return median(x, READ_RUNS);
}

struct peer {
	uint32_t there __attribute__((aligned(64))); /* written by the caller */
	uint32_t back __attribute__((aligned(64)));  /* written by the peer */
	int fd_there, fd_back, cpu;
};

static void *pong_line(void *arg)
{
	struct peer *p = arg;

	bench_pin(p->cpu);
	for (uint32_t i = 1; i <= GROUPS * GROUP; i++) {
		while (load_acquire(&p->there) != i)
			_mm_pause();
		/* Pairs with the load in bench_pingpong_ns. */
		store_release(&p->back, i);
	}
	return NULL;
}

double bench_pingpong_ns(int cpu_a, int cpu_b)
{
	struct peer p = { .cpu = cpu_b };
	pthread_t thread;
	double x[GROUPS];
	uint32_t round = 0;

	bench_pin(cpu_a);
	if (pthread_create(&thread, NULL, pong_line, &p))
		return 0;
	for (int group = 0; group < GROUPS; group++) {
		double begin = now_s();

		for (int i = 0; i < GROUP; i++) {
			/* Pairs with the load in pong_line. */
			store_release(&p.there, ++round);
			while (load_acquire(&p.back) != round)
				_mm_pause();
		}
		x[group] = (now_s() - begin) * 1e9 / GROUP;
	}
	pthread_join(thread, NULL);
	return median(x, GROUPS);
}

static void *pong_event(void *arg)
{
	struct peer *p = arg;
	eventfd_t n;

	bench_pin(p->cpu);
	for (int i = 0; i < GROUPS * EVENT_GROUP; i++) {
		eventfd_read(p->fd_there, &n);
		eventfd_write(p->fd_back, 1);
	}
	return NULL;
}

double bench_eventfd_ns(int cpu_a, int cpu_b)
{
	struct peer p = { .cpu = cpu_b, .fd_there = eventfd(0, EFD_CLOEXEC), .fd_back = eventfd(0, EFD_CLOEXEC) };
	pthread_t thread;
	double x[GROUPS];
	eventfd_t n;

	bench_pin(cpu_a);
	if (p.fd_there < 0 || p.fd_back < 0 || pthread_create(&thread, NULL, pong_event, &p))
		return 0;
	for (int group = 0; group < GROUPS; group++) {
		double begin = now_s();

		for (int i = 0; i < EVENT_GROUP; i++) {
			eventfd_write(p.fd_there, 1);
			eventfd_read(p.fd_back, &n);
		}
		x[group] = (now_s() - begin) * 1e9 / EVENT_GROUP;
	}
	pthread_join(thread, NULL);
	close(p.fd_there);
	close(p.fd_back);
	return median(x, GROUPS);
}
