/*
 * A gate is a counter that one thread raises and others wait for: they spin, then sleep on its word. Bit 0 of the word says
 * that somebody sleeps, so raising is one exchange, which tells whether to wake, and no wake-up can fall between two words.
 *
 * The barrier is by dissemination (Hensgen, Finkel, Manber 1988): in round k worker i raises a gate of worker i + 2^k and
 * waits for its own, which i - 2^k raises; after ceil(log2 n) rounds each has heard of all. Each gate has one raiser, one
 * waiter and a cache line of its own, so two workers meet in the time that one line takes each way, both at once.
 *
 * With several nodes their workers meet first, and then the nodes do, by dissemination again: in round k every worker of a node
 * hears from one of the node 2^k before, so that nothing has to be passed on within the node afterwards.
 */
#include "daemon/team/team.h"

#include "cpu.h"
#include "shm/atomic.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CACHE_LINE   64
#define SPIN_BARRIER 4000  /* pauses, 40..140 cycles each: 50..150 us, above the longest imbalance of one operation */
#define SPIN_RUN     20000 /* between two steps of a busy daemon */
#define YIELDS       16    /* instead, where workers share CPUs: each lets another one run */

#define ROUND_MAX      10 /* 2^10 = TEAM_MAX */
#define NODE_ROUND_MAX 3
_Static_assert(TEAM_MAX <= 1 << ROUND_MAX && NODE_MAX <= 1 << NODE_ROUND_MAX, "rounds of the barrier");

struct gate {
	_Alignas(CACHE_LINE) uint32_t word; /* 2 * times raised + somebody sleeps */
};

struct worker {
	_Alignas(CACHE_LINE) struct team *team;
	pthread_t thread;
	int index;
	uint32_t n_phase; /* barriers passed; the worker's own */
	struct profile profile;
	const struct team_node *node;
	struct gate heard[ROUND_MAX];           /* raised by the worker of its node 2^k before this one */
	struct gate heard_node[NODE_ROUND_MAX]; /* raised by a worker of the node 2^k before its own */
};

struct team {
	int n, n_thread; /* workers; threads made so far, the caller counted */
	bool has_cpus;   /* a CPU for each worker: spinning takes nobody's time */
	/* One line, the caller's: the gate that starts a run, and the function that it starts. */
	struct gate run;
	void (*fn)(void *arg, int worker); /* NULL: the workers end */
	void *arg;
	uint32_t n_run;
	uint32_t is_resting; /* atomic: workers park at once, because others want their CPUs between two runs */
	int n_node;
	struct team_node node[NODE_MAX];
	struct worker worker[];
};

/* Counters run free. A gate may be a step ahead of its waiter, never more than that. */
static bool is_raised(uint32_t word, uint32_t n)
{
	return (int32_t)(word - 2 * n) >= 0;
}

static void gate_sleep(struct gate *g, uint32_t n)
{
	uint32_t word = load_acquire(&g->word); /* pairs with gate_raise */

	while (!is_raised(word, n)) {
		if (word & 1 || compare_swap(&g->word, &word, word | 1)) {
			syscall(SYS_futex, &g->word, FUTEX_WAIT_PRIVATE, word | 1, NULL, NULL, 0);
			word = load_acquire(&g->word); /* pairs with gate_raise */
		}
	}
}

static bool gate_spin(const struct gate *g, uint32_t n, int n_spin)
{
	for (int i = 0; i < n_spin; i++) {
		if (is_raised(load_acquire(&g->word), n)) /* pairs with gate_raise */
			return true;
		cpu_relax();
	}
	return false;
}

static bool gate_yield(const struct gate *g, uint32_t n)
{
	for (int i = 0; i < YIELDS; i++) {
		if (is_raised(load_acquire(&g->word), n)) /* pairs with gate_raise */
			return true;
		sched_yield();
	}
	return false;
}

static void gate_wait(const struct team *t, struct gate *g, uint32_t n, int n_spin)
{
	if (!(t->has_cpus ? gate_spin(g, n, n_spin) : gate_yield(g, n)))
		gate_sleep(g, n);
}

/* Its n-th time. */
static void gate_raise(struct gate *g, uint32_t n)
{
	/* Pairs with gate_spin, gate_yield and gate_sleep: the sleeper's exchange is before this one, or fails. */
	if (swap(&g->word, 2 * n) & 1)
		syscall(SYS_futex, &g->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* The workers of a node. */
static void meet_node(struct team *t, struct worker *w, uint32_t n)
{
	const struct team_node *node = w->node;
	int i = w->index - node->first;

	for (int k = 0; 1 << k < node->n; k++) {
		gate_raise(&t->worker[node->first + (i + (1 << k)) % node->n].heard[k], n);
		gate_wait(t, &w->heard[k], n, SPIN_BARRIER);
	}
}

/* All nodes, each of which is complete. Worker i raises the gates of workers i, i + n, ... of the other node, so each has one
 * raiser. */
static void meet_nodes(struct team *t, struct worker *w, uint32_t n)
{
	for (int k = 0; 1 << k < t->n_node; k++) {
		const struct team_node *to = &t->node[(w->node->index + (1 << k)) % t->n_node];

		for (int i = w->index - w->node->first; i < to->n; i += w->node->n)
			gate_raise(&t->worker[to->first + i].heard_node[k], n);
		gate_wait(t, &w->heard_node[k], n, SPIN_BARRIER);
	}
}

void team_barrier(struct team *t, int worker)
{
	struct worker *w = &t->worker[worker];
	uint32_t n = ++w->n_phase;

	if (t->n == 1)
		return;
	meet_node(t, w, n);
	meet_nodes(t, w, n);
	profile_lap(PROFILE_BARRIER);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct team *t = w->team;

	profile_attach(&w->profile);
	for (uint32_t run = 1;; run++) {
		gate_wait(t, &t->run, run, load_relaxed(&t->is_resting) ? 0 : SPIN_RUN);
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
		gate_raise(&t->run, ++t->n_run);
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
	sigdelset(&all, SIGSYS); /* but for the one that names a call that the sandbox refuses */
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

static void set_nodes(struct team *t, const struct layout *l)
{
	int first = 0;

	t->n_node = l->n_node;
	for (int i = 0; i < l->n_node; i++) {
		t->node[i] = (struct team_node){ i, first, l->node[i].n_worker };
		for (int k = 0; k < l->node[i].n_worker; k++)
			t->worker[first++].node = &t->node[i];
	}
	assert(first == l->n_worker);
}

int team_new(struct team **tp, const struct layout *l, struct error *e)
{
	struct team *t;
	size_t bytes;

	if (l->n_worker < 1 || l->n_worker > TEAM_MAX)
		return error_set(e, -EINVAL, "%d threads: 1..%d are possible", l->n_worker, TEAM_MAX);
	bytes = sizeof(*t) + (size_t)l->n_worker * sizeof(t->worker[0]);
	t = aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
	if (!t)
		return error_set(e, -ENOMEM, "no memory for a team of %d; lower --threads", l->n_worker);
	memset(t, 0, bytes);
	t->n = l->n_worker;
	/* The caller may be pinned already: its mask says nothing then. */
	t->has_cpus = l->is_pinned || (!l->is_crowded && has_cpus(l->n_worker));
	set_nodes(t, l);
	for (t->n_thread = 1; t->n_thread < t->n; t->n_thread++) {
		struct worker *w = &t->worker[t->n_thread];
		int r;

		w->team = t;
		w->index = t->n_thread;
		r = thread_start(w, l->is_pinned ? &l->cpu[w->index] : NULL);
		if (r < 0) {
			error_set(e, r, "cannot start thread %d of %d%s: %s; lower --threads", w->index + 1, t->n,
				  l->is_pinned ? " on its CPU" : "", strerror(-r));
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
	gate_raise(&t->run, ++t->n_run);
	for (int i = 1; i < t->n_thread; i++)
		pthread_join(t->worker[i].thread, NULL);
	free(t);
	return NULL;
}

void team_set_spin(struct team *t, bool is_spinning)
{
	store_relaxed(&t->is_resting, !is_spinning);
}

int team_size(const struct team *t)
{
	return t->n;
}

int team_n_node(const struct team *t)
{
	return t->n_node;
}

const struct team_node *team_node(const struct team *t, int worker)
{
	return t->worker[worker].node;
}

const struct team_node *team_node_at(const struct team *t, int i)
{
	return &t->node[i];
}

const struct profile *team_profile(const struct team *t, int worker)
{
	return &t->worker[worker].profile;
}

uint64_t team_cpu_ns(const struct team *t)
{
	uint64_t ns = 0;

	for (int i = 1; i < t->n_thread; i++) {
		struct timespec used;
		clockid_t clock;

		if (pthread_getcpuclockid(t->worker[i].thread, &clock) == 0 && clock_gettime(clock, &used) == 0)
			ns += (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
	}
	return ns;
}

pthread_t team_thread(const struct team *t, int worker)
{
	return t->worker[worker].thread;
}

void team_range(size_t n_items, int n_worker, int worker, size_t align, size_t *begin, size_t *end)
{
	size_t n_unit = (n_items + align - 1) / align, n = (size_t)n_worker, i = (size_t)worker;
	size_t share = n_unit / n, rest = n_unit % n;
	size_t first = i * share + (i < rest ? i : rest), last = first + share + (i < rest);

	*begin = first * align < n_items ? first * align : n_items;
	*end = last * align < n_items ? last * align : n_items;
}
