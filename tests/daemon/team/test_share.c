/*
 * Why: an item done twice adds a product to the residual stream twice, one left out leaves last step's numbers there, and
 * either shows only in the minute in which one core was slower than another.
 */
#include "daemon/team/share.h"
#include "tests/util/teams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define N_MAX     5
#define N_ITEM    203
#define N_ROUND   40
#define SLEEPY_MS 30

struct work {
	struct team *team;
	struct share_slot slot[N_MAX];
	uint32_t run;
	size_t n_items, n_piece;        /* items of each node */
	int sleepy;                     /* worker that sleeps over its first piece; -1: none */
	uint32_t n_done[N_MAX][N_ITEM]; /* of a node, by whom ever */
	uint32_t by[N_MAX][N_ITEM];     /* by this worker */
};

static void share_out(void *arg, int worker)
{
	struct work *w = arg;

	int node = team_node(w->team, worker)->index;

	share_run(w->slot, worker, w->run);
	for (uint32_t r = 0; r < N_ROUND; r++) {
		struct share s;
		size_t begin, end;

		share_begin(&s, w->slot, w->team, worker, w->n_items, w->n_piece);
		while (share_next(&s, &begin, &end)) {
			for (size_t i = begin; i < end; i++) {
				__atomic_fetch_add(&w->n_done[node][i], 1, __ATOMIC_RELAXED);
				w->by[worker][i]++;
			}
			if (worker == w->sleepy && r == 0)
				nanosleep(&(struct timespec){ .tv_nsec = SLEEPY_MS * 1000000l }, NULL);
		}
		team_barrier(w->team, worker);
	}
}

static void run(struct work *w, int n_worker, int n_node, size_t n_items, size_t n_piece, int sleepy)
{
	*w = (struct work){ .run = 7, .n_items = n_items, .n_piece = n_piece, .sleepy = sleepy };
	assert_int_equal(team_even(&w->team, n_worker, n_node), 0);
	team_run(w->team, share_out, w);
	w->run++;
	team_run(w->team, share_out, w);
	team_free(w->team);
}

static void every_item_is_done_once_a_round(void **state)
{
	static const size_t n_items[] = { 0, 1, 2, 7, 64, N_ITEM }, n_piece[] = { 1, 2, 8, SHARE_PIECE_MAX };
	static struct work w;

	(void)state;
	for (int n = 1; n <= N_MAX; n++)
		for (int n_node = 1; n_node <= n; n_node += 2)
			for (size_t a = 0; a < sizeof(n_items) / sizeof(n_items[0]); a++)
				for (size_t b = 0; b < sizeof(n_piece) / sizeof(n_piece[0]); b++) {
					run(&w, n, n_node, n_items[a], n_piece[b], -1);
					for (size_t i = 0; i < (size_t)n_node * N_ITEM; i++)
						assert_int_equal(w.n_done[i / N_ITEM][i % N_ITEM],
								 i % N_ITEM < n_items[a] ? 2 * N_ROUND : 0);
				}
}

/* Pieces stay on their node, whoever sleeps there. */
static void nodes_keep_their_own(void **state)
{
	static struct work w;

	(void)state;
	run(&w, 4, 2, 160, 8, 3);
	for (size_t i = 0; i < 160; i++) {
		assert_int_equal(w.by[0][i] + w.by[1][i], 2 * N_ROUND);
		assert_int_equal(w.by[2][i] + w.by[3][i], 2 * N_ROUND);
	}
}

/* Asleep over the first of its eight pieces, its other seven are done by the worker that is awake. */
static void a_slow_worker_holds_nobody_up(void **state)
{
	static struct work w;
	uint32_t n = 0;

	(void)state;
	run(&w, 2, 1, 160, 8, 1);
	for (size_t i = 80; i < 160; i++)
		n += w.by[0][i] > 0;
	assert_true(n >= 70);
}

/* With one piece nothing changes hands, whoever sleeps. */
static void one_piece_stays_its_owners(void **state)
{
	static struct work w;

	(void)state;
	run(&w, 2, 1, 160, 1, 1);
	for (size_t i = 0; i < 160; i++)
		assert_int_equal(w.by[i / 80][i], 2 * N_ROUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_item_is_done_once_a_round),
		cmocka_unit_test(a_slow_worker_holds_nobody_up),
		cmocka_unit_test(one_piece_stays_its_owners),
		cmocka_unit_test(nodes_keep_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
