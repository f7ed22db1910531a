/*
 * Why: a limit on the positions that a user holds is a third thing, beside blocks and rows, that its requests wait for, on several engines
 * at once. None may wait for another that waits for it; the limit must hold at every moment; and who has no limit must be served as if
 * nobody had one.
 */
#include "daemon/flow/request_pool.h"
#include "daemon/op/op.h"
#include "daemon/sched/blocks.h"
#include "daemon/sched/claim.h"
#include "daemon/util/minmax.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define N_CTX    512
#define LEN      32
#define N_BLOCK  24
#define N_ENGINE 2
#define N_USER   3
#define LIMIT    300

static struct request_pool pool;
static struct engine {
	struct queue q;
	struct batch b;
	struct kv kv;
	struct sched s;
} engine[N_ENGINE];
static struct user user[N_USER];
static _Alignas(64) uint8_t mem[64];
static const struct kv_mem node = { .base = mem };
static uint32_t seed = 1;

static uint32_t below(uint32_t n)
{
	return ((seed = seed * 1664525u + 1013904223u) >> 8) % n;
}

static int open_engines(void **state)
{
	const struct sched_options o = { .n_row = 64, .block_len = LEN };

	(void)state;
	assert_int_equal(request_pool_init(&pool, 64, N_CTX, LEN, true), 0);
	for (int i = 0; i < N_ENGINE; i++) {
		queue_init(&engine[i].q, true);
		assert_int_equal(batch_init(&engine[i].b, 64, 32, 16), 0);
		assert_int_equal(kv_init(&engine[i].kv, &node, 1, N_BLOCK, 0), 0);
		sched_init(&engine[i].s, &engine[i].kv, &o);
		for (int k = 0; k < 100; k++)
			cost_learn(&engine[i].s.cost, &(struct cost_work){ .n_row = 1 + k % 16 }, 1000);
	}
	for (uint32_t i = 0; i < N_USER; i++)
		user[i] = (struct user){ .uid = i, .index = i };
	return 0;
}

static int close_engines(void **state)
{
	(void)state;
	request_pool_deinit(&pool);
	for (int i = 0; i < N_ENGINE; i++) {
		queue_deinit(&engine[i].q);
		batch_deinit(&engine[i].b);
		kv_deinit(&engine[i].kv);
	}
	return 0;
}

static struct request *add(struct engine *e, uint32_t u, uint32_t n_prompt, uint32_t n_answer, uint32_t limit)
{
	struct request *r = request_pool_get(&pool);

	assert_non_null(r);
	r->user = &user[u];
	r->op = &op_generate;
	r->kept.n_prompt = r->kept.n_token = n_prompt;
	r->kept.max_tokens = n_answer;
	r->n_claim = n_prompt + n_answer;
	r->n_claim_max = limit;
	r->grant = 4;
	r->n_room = 1;
	r->kept.state = REQUEST_WAITING;
	queue_put(&e->q, r);
	queue_take(&e->q);
	return r;
}

static void run_seq(const struct batch_seq *seq)
{
	struct request *r = seq->request;

	r->kept.n_past += seq->n_row;
	if (r->kept.n_past < r->kept.n_token)
		return;
	r->token[r->kept.n_token++] = 1;
	if (r->kept.n_token - r->kept.n_prompt >= r->kept.max_tokens)
		r->kept.state = REQUEST_DONE;
}

/* Positions of a user that the engines' blocks hold. */
static uint32_t held(uint32_t u)
{
	uint32_t n = 0;

	for (int i = 0; i < N_ENGINE; i++)
		for (uint32_t k = 0; k < engine[i].q.n_live; k++)
			if (engine[i].q.live[k]->user == &user[u])
				n += min_u32(blocks_held(engine[i].q.live[k]) * LEN, engine[i].q.live[k]->n_claim);
	return n;
}

/* true: a row ran. */
static bool step(struct engine *e)
{
	sched_plan(&e->s, &e->q, &e->b);
	for (uint32_t i = 0; i < e->b.n_seq; i++)
		run_seq(&e->b.seq[i]);
	while (e->q.done) {
		struct request *r = e->q.done;

		e->q.done = r->next;
		request_pool_put(&pool, r);
	}
	return e->b.n_seq;
}

static void one_waits_for_its_users_own(void **state)
{
	struct engine *e = &engine[0];
	struct request *first = add(e, 0, 100, 100, LIMIT), *second = add(e, 0, 100, 60, LIMIT),
		       *third = add(e, 0, 10, 10, LIMIT), *other = add(e, 1, 100, 400, 0);

	(void)state;
	while (first->kept.state != REQUEST_DONE) {
		assert_false(second->has_claim); /* 360 in all */
		assert_false(third->has_claim);  /* though it would fit: who comes later passes nobody */
		assert_int_equal(blocks_held(second), 0);
		step(e);
		assert_true(other->has_claim);
	}
	while (e->q.n_live)
		assert_true(step(e) || !e->q.n_live);
	assert_int_equal(user[0].n_position, 0);
	assert_int_equal(user[1].n_position, 0);
}

/* Whatever comes on two engines, with pools so small that requests are preempted, all end, and the limit holds throughout. */
static void all_end_within_the_limit(void **state)
{
	uint32_t n_left = 400, n_idle = 0;

	(void)state;
	while (n_left || engine[0].q.n_live || engine[1].q.n_live) {
		bool has_run;

		for (uint32_t n = below(3); n_left && n && pool.n_live < 50; n--, n_left--) {
			uint32_t u = below(N_USER), n_prompt = 1 + below(200);

			add(&engine[below(N_ENGINE)], u, n_prompt, 1 + below(LIMIT - n_prompt), u < 2 ? LIMIT : 0);
		}
		has_run = step(&engine[0]);
		has_run |= step(&engine[1]);
		n_idle = has_run ? 0 : n_idle + 1;
		assert_in_range(n_idle, 0, 3);
		for (uint32_t u = 0; u < 2; u++) {
			assert_in_range(user[u].n_position, 0, LIMIT);
			assert_in_range(held(u), 0, user[u].n_position);
		}
	}
	assert_true(engine[0].s.n_preempted + engine[1].s.n_preempted > 0);
	for (uint32_t u = 0; u < N_USER; u++)
		assert_int_equal(user[u].n_position, 0);
}

/* One that is not told how long it may go on ends where its user's limit does. */
static void check_open_end(uint32_t n_state)
{
	struct engine *e = &engine[0];
	struct request *r = add(e, 0, 100, 400, LIMIT);

	e->s.o.n_state = n_state;
	r->n_claim = LIMIT;
	for (int i = 0; i < 1000 && r->kept.state < REQUEST_ENDED; i++)
		step(e);
	assert_int_equal(r->kept.state, REQUEST_ENDED);
	assert_int_equal(r->kept.res, -EFBIG);
	assert_int_equal(r->kept.n_token, LIMIT - n_state + 1);
	assert_non_null(strstr(r->kept.why.text, "(max-positions)"));
	r->kept.state = REQUEST_DONE;
	step(e);
	assert_int_equal(user[0].n_position, 0);
}

static void an_open_end_is_the_limit(void **state)
{
	(void)state;
	check_open_end(0);
	check_open_end(60); /* what its state counts as is not there for tokens */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_waits_for_its_users_own, open_engines, close_engines),
		cmocka_unit_test_setup_teardown(all_end_within_the_limit, open_engines, close_engines),
		cmocka_unit_test_setup_teardown(an_open_end_is_the_limit, open_engines, close_engines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
