#include "tools/bench.h"
#include "cpu.h"
#include "daemon/machine/layout.h"
#include "daemon/weights/pool.h"
#include "shm/atomic.h"
#include "tools/tool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define GROUPS      11 /* of round trips; the median of their means, for a group that was interrupted is no figure */
#define GROUP       5000
#define EVENT_GROUP 1000
#define WAKE_ROUNDS 30

int bench_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return -pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
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
		while (load_acquire(&p->there) != i) /* pairs with bench_pingpong_ns */
			cpu_relax();
		store_release(&p->back, i); /* pairs with bench_pingpong_ns */
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
			store_release(&p.there, ++round);      /* pairs with pong_line */
			while (load_acquire(&p.back) != round) /* pairs with pong_line */
				cpu_relax();
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

static void *answer_event(void *arg)
{
	struct peer *p = arg;
	eventfd_t n;

	bench_pin(p->cpu);
	for (uint32_t i = 1; i <= WAKE_ROUNDS; i++) {
		eventfd_read(p->fd_there, &n);
		store_release(&p->back, i); /* pairs with bench_wake_ns */
	}
	return NULL;
}

double bench_wake_ns(int cpu_a, int cpu_b, double idle_s)
{
	struct peer p = { .cpu = cpu_b, .fd_there = eventfd(0, EFD_CLOEXEC) };
	pthread_t thread;
	double x[WAKE_ROUNDS];

	bench_pin(cpu_a);
	if (p.fd_there < 0 || pthread_create(&thread, NULL, answer_event, &p))
		return 0;
	for (uint32_t i = 1; i <= WAKE_ROUNDS; i++) {
		double until = now_s() + idle_s, begin;

		while ((begin = now_s()) < until)
			cpu_relax();
		eventfd_write(p.fd_there, 1);
		while (load_acquire(&p.back) != i) /* pairs with answer_event */
			cpu_relax();
		x[i - 1] = (now_s() - begin) * 1e9;
	}
	pthread_join(thread, NULL);
	close(p.fd_there);
	return median(x, WAKE_ROUNDS);
}

static cpu_set_t mask; /* before the caller was pinned */

void bench_seat(const struct layout *l)
{
	if (l->is_pinned)
		bench_pin(l->cpu[0]);
	else
		(void)sched_setaffinity(0, sizeof(mask), &mask);
}

int bench_team(struct team **team, struct layout *l, uint32_t n, uint32_t n_node, struct error *e)
{
	static struct topology t;
	int r;

	if (!CPU_COUNT(&mask) && sched_getaffinity(0, sizeof(mask), &mask))
		return error_set(e, -errno, "the CPU mask cannot be read: %s", strerror(errno));
	r = topology_read(&t, "", &mask);
	if (r < 0)
		return error_set(e, r, "the CPU mask cannot be read: %s", strerror(-r));
	r = layout_make(l, &t, (int)n, (int)n_node, e);
	if (r < 0)
		return r;
	pool_relax(l);
	bench_seat(l);
	return team_new(team, l, e);
}
