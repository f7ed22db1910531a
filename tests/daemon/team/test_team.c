/*
 * Why: the forward pass writes plain memory between barriers. If one worker could pass a barrier early, or a run could
 * return before its last worker, logits would be wrong once in a million tokens and nowhere else. And a worker that the kernel
 * has put aside must not keep others busy waiting for it, least of all where they want the same CPU.
 */
#include "daemon/team/team.h"
#include "tests/util/emulated.h"
#include "tests/util/teams.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define N_MAX   8
#define N_ROUND 300

struct work {
	struct team *team;
	uint32_t cell[N_MAX][16]; /* plain memory: a barrier that does not order is a race here, which TSan names */
	uint32_t n_bad[N_MAX];
};

static void rounds(void *arg, int worker)
{
	struct work *w = arg;

	for (uint32_t r = 1; r <= N_ROUND; r++) {
		w->cell[worker][0] = r;
		team_barrier(w->team, worker);
		for (int i = 0; i < team_size(w->team); i++)
			w->n_bad[worker] += w->cell[i][0] != r;
		team_barrier(w->team, worker);
	}
}

static void barriers_order_plain_memory(void **state)
{
	(void)state;
	for (int n = 1; n <= N_MAX; n++)
		for (int n_node = 1; n_node <= n; n_node += n > 4 ? 3 : 1) {
			struct work w = { 0 };

			assert_int_equal(team_even(&w.team, n, n_node), 0);
			assert_int_equal(team_size(w.team), n);
			for (int run = 0; run < 5; run++)
				team_run(w.team, rounds, &w);
			for (int i = 0; i < n; i++)
				assert_int_equal(w.n_bad[i], 0);
			team_free(w.team);
		}
}

static void count_self(void *arg, int worker)
{
	((uint32_t(*)[16])arg)[worker][0]++;
}

static void a_run_ends_after_its_last_worker(void **state)
{
	static uint32_t cell[3][16];
	struct team *t;

	(void)state;
	assert_int_equal(team_even(&t, 3, 1), 0);
	for (uint32_t run = 1; run <= 2000; run++) {
		team_run(t, count_self, cell);
		for (int i = 0; i < 3; i++)
			assert_int_equal(cell[i][0], run);
	}
	team_free(t);
}

static void parked_workers_wake(void **state)
{
	static uint32_t cell[2][16];
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	struct team *t;

	(void)state;
	assert_int_equal(team_even(&t, 2, 1), 0);
	for (uint32_t run = 1; run <= 5; run++) {
		nanosleep(&pause, NULL); /* far beyond the spin */
		team_run(t, count_self, cell);
		assert_int_equal(cell[1][0], run);
	}
	team_free(t);
}

#define LATE_MS 5
#define N_LATE  20
#define LATE_S  (N_LATE * LATE_MS * 1e-3) /* what there is to wait for at least, by any clock */

struct late {
	struct team *team;
	double waited_s; /* CPU time of worker 0 at barriers */
};

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void one_comes_late(void *arg, int worker)
{
	const struct timespec pause = { .tv_nsec = LATE_MS * 1000 * 1000 };
	struct late *l = arg;
	double begin;

	for (int i = 0; i < N_LATE; i++) {
		if (worker == 1)
			nanosleep(&pause, NULL);
		begin = cpu_s();
		team_barrier(l->team, worker);
		if (worker == 0)
			l->waited_s += cpu_s() - begin;
	}
}

#define N_TRY 20 /* on a busy host a spin is cut short, and a sleep is what costs */

static double waited_s(bool is_crowded)
{
	struct layout layout = layout_even(2, 1);
	struct late l = { 0 };

	layout.is_crowded = is_crowded;
	assert_int_equal(team_new(&l.team, &layout, NULL), 0);
	team_run(l.team, one_comes_late, &l);
	team_free(l.team);
	return l.waited_s;
}

/* Of 100 ms the late one sleeps: 20 spins of 50 to 150 us; some yields each where other teams want the CPUs, too. */
static void who_waits_soon_sleeps(void **state)
{
	bool is_sooner = false;
	cpu_set_t set;

	(void)state;
	if (is_emulated("what a pause takes beside a system call is"))
		skip();
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int i = 0; i < N_TRY && !is_sooner; i++) {
		double spinning = waited_s(false), crowded = waited_s(true);

		/* The other one comes after 5 ms each: who slept has not used a third of that. */
		assert_true(spinning < LATE_S / 3 && crowded < LATE_S / 3);
		is_sooner = CPU_COUNT(&set) < 2 || crowded < spinning / 2;
	}
	assert_true(is_sooner);
	if (CPU_COUNT(&set) < 2)
		puts("skip: one CPU, where nobody spins");
}

static void every_barrier_is_counted(void **state)
{
	struct profile_sum sum;

	(void)state;
	for (int n = 2; n <= 3; n++) {
		struct work w = { 0 };

		assert_int_equal(team_even(&w.team, n, 1), 0);
		for (int run = 0; run < 2; run++)
			team_run(w.team, rounds, &w);
		profile_read(team_profile(w.team, 0), &sum);
		assert_int_equal(sum.n[PROFILE_BARRIER], 2 * (2 * N_ROUND + 1)); /* a run's end is one, too */
		team_free(w.team);
	}
	profile_lap(PROFILE_EMIT); /* of a thread whose team is gone */
}

/* Uneven nodes: 2, 2 and 1 workers. */
static void workers_go_node_by_node(void **state)
{
	static const int node[5] = { 0, 0, 1, 1, 2 };
	struct team *t;

	(void)state;
	assert_int_equal(team_even(&t, 5, 3), 0);
	assert_int_equal(team_n_node(t), 3);
	for (int i = 0; i < 5; i++) {
		const struct team_node *n = team_node(t, i);

		assert_int_equal(n->index, node[i]);
		assert_ptr_equal(n, team_node_at(t, node[i]));
		assert_true(i >= n->first && i < n->first + n->n);
	}
	team_free(t);
}

static void ranges_cover_without_overlap(void **state)
{
	(void)state;
	for (size_t n = 0; n < 70; n++)
		for (int n_worker = 1; n_worker < 9; n_worker++)
			for (size_t align = 1; align < 17; align += 3) {
				size_t at = 0, b, e;

				for (int i = 0; i < n_worker; i++) {
					team_range(n, n_worker, i, align, &b, &e);
					assert_int_equal(b, at);
					assert_true(e >= b && (e % align == 0 || e == n));
					at = e;
				}
				assert_int_equal(at, n);
			}
}

static void impossible_teams_are_refused(void **state)
{
	struct layout l = layout_even(0, 1);
	struct error e;
	struct team *t;

	(void)state;
	assert_int_equal(team_new(&t, &l, &e), -EINVAL);
	l = layout_even(TEAM_MAX + 1, 1);
	assert_int_equal(team_new(&t, &l, &e), -EINVAL);
	l = layout_even(2, 1);
	l.is_pinned = true;
	l.cpu[1] = 1023;
	assert_int_equal(team_new(&t, &l, &e), -EINVAL);
	assert_non_null(e.text[0] ? e.text : NULL);
	assert_null(team_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(barriers_order_plain_memory),  cmocka_unit_test(a_run_ends_after_its_last_worker),
		cmocka_unit_test(parked_workers_wake),          cmocka_unit_test(ranges_cover_without_overlap),
		cmocka_unit_test(every_barrier_is_counted),     cmocka_unit_test(workers_go_node_by_node),
		cmocka_unit_test(impossible_teams_are_refused), cmocka_unit_test(who_waits_soon_sleeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
