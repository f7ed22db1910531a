/*
 * One counter barrier serves both the steps inside a run and the end of it. A waiter spins SPIN_* times, then sleeps on
 * the word it watches. Sleeping and waking meet as in Dekker's algorithm: the sleeper raises n_asleep, then the kernel
 * compares the word; the waker changes the word, then reads n_asleep. Both are seq_cst, so one of the two sees the other.
 */
#include "daemon/team/team.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CACHE_LINE   64
#define SPIN_BARRIER 4000  /* pauses, 40..140 cycles each: 50..150 us, above the longest imbalance of one operation */
#define SPIN_RUN     20000 /* between two steps of a busy daemon */

/* A word that many wait on and one changes. */
struct gate {
	_Alignas(CACHE_LINE) _Atomic uint32_t word;
	_Atomic uint32_t n_asleep;
};

struct worker {
	_Alignas(CACHE_LINE) struct team *team;
	pthread_t thread;
	int index;
	uint32_t phase; /* barriers passed; the worker's own */
	struct profile profile;
};

struct team {
	struct gate run;   /* the caller raises word once per run */
	struct gate phase; /* the last to arrive raises word once per barrier */
	_Alignas(CACHE_LINE) _Atomic uint32_t n_arrived;
	_Alignas(CACHE_LINE) void (*fn)(void *arg, int worker); /* NULL: the workers end */
	void *arg;
	int n, n_thread; /* workers; threads made so far, the caller counted */
	bool has_cpus;   /* a CPU for each worker: spinning takes nobody's time */
	struct worker worker[];
};

static void gate_wait(struct gate *g, uint32_t old, int n_spin)
{
	for (int i = 0; i < n_spin; i++) {
		if (atomic_load_explicit(&g->word, memory_order_acquire) != old) /* pairs with gate_raise */
			return;
		__builtin_ia32_pause();
	}
	atomic_fetch_add(&g->n_asleep, 1);
	while (atomic_load(&g->word) == old)
		syscall(SYS_futex, &g->word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
	atomic_fetch_sub(&g->n_asleep, 1);
}

static void gate_raise(struct gate *g)
{
	atomic_fetch_add(&g->word, 1); /* pairs with the loads of gate_wait */
	if (atomic_load(&g->n_asleep) > 0)
		syscall(SYS_futex, &g->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void team_barrier(struct team *t, int worker)
{
	uint32_t phase = t->worker[worker].phase++;

	if (t->n == 1)
		return;
	if (atomic_fetch_add(&t->n_arrived, 1) == (uint32_t)t->n - 1) {
		/* Nobody arrives again before the gate is raised, so the plain order of these two is enough. */
		atomic_store_explicit(&t->n_arrived, 0, memory_order_relaxed);
		gate_raise(&t->phase);
	} else {
		gate_wait(&t->phase, phase, t->has_cpus ? SPIN_BARRIER : 0);
	}
	profile_lap(PROFILE_BARRIER);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct team *t = w->team;

	profile_attach(&w->profile);
	for (uint32_t run = 0;; run++) {
		gate_wait(&t->run, run, t->has_cpus ? SPIN_RUN : 0);
		if (!t->fn)
			return NULL;
		profile_lap(PROFILE_IDLE);
		t->fn(t->arg, w->index);
		team_barrier(t, w->index);
	}
}

void team_run(struct team *t, void (*fn)(void *arg, int worker), void *arg)
{
	profile_attach(&t->worker[0].profile);
	if (t->n > 1) {
		t->fn = fn;
		t->arg = arg;
		gate_raise(&t->run);
	}
	fn(arg, 0);
	team_barrier(t, 0);
}

static int thread_start(struct worker *w, const int *cpu)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r = pthread_attr_init(&attr);

	if (r)
		return -r;
	if (cpu) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)*cpu, &set);
		r = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	/* Signals are the control thread's: a worker never runs a handler. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!r)
		r = pthread_create(&w->thread, &attr, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

static bool has_cpus(int n_thread)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) >= n_thread;
}

int team_new(struct team **tp, int n_thread, const int *cpu, struct error *e)
{
	struct team *t;
	size_t bytes;

	if (n_thread < 1 || n_thread > TEAM_MAX)
		return error_set(e, -EINVAL, "%d threads: 1..%d are possible", n_thread, TEAM_MAX);
	bytes = sizeof(*t) + (size_t)n_thread * sizeof(t->worker[0]);
	t = aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
	if (!t)
		return error_set(e, -ENOMEM, "no memory for a team of %d", n_thread);
	memset(t, 0, bytes);
	t->n = n_thread;
	t->has_cpus = has_cpus(n_thread);
	for (t->n_thread = 1; t->n_thread < n_thread; t->n_thread++) {
		struct worker *w = &t->worker[t->n_thread];
		int r;

		w->team = t;
		w->index = t->n_thread;
		r = thread_start(w, cpu ? &cpu[w->index] : NULL);
		if (r < 0) {
			error_set(e, r, "cannot start thread %d of %d%s: %s", w->index + 1, n_thread,
				  cpu ? " on its CPU" : "", strerror(-r));
			team_free(t);
			return r;
		}
	}
	*tp = t;
	return 0;
}

struct team *team_free(struct team *t)
{
	if (!t)
		return NULL;
	if (profile_mine == &t->worker[0].profile)
		profile_attach(NULL);
	t->fn = NULL;
	gate_raise(&t->run);
	for (int i = 1; i < t->n_thread; i++)
		pthread_join(t->worker[i].thread, NULL);
	free(t);
	return NULL;
}

int team_size(const struct team *t)
{
	return t->n;
}

const struct profile *team_profile(const struct team *t, int worker)
{
	return &t->worker[worker].profile;
}

void team_range(size_t n_items, int n_worker, int worker, size_t align, size_t *begin, size_t *end)
{
	size_t n_unit = (n_items + align - 1) / align, n = (size_t)n_worker, i = (size_t)worker;
	size_t share = n_unit / n, rest = n_unit % n;
	size_t first = i * share + (i < rest ? i : rest), last = first + share + (i < rest);

	*begin = first * align < n_items ? first * align : n_items;
	*end = last * align < n_items ? last * align : n_items;
}
