/*
 * Why: anybody may send anything, so what one user sends must not decide what another gets. One user floods an engine with streams and
 * long prompts at the highest priority; another has one request. What is counted is steps, rows and blocks, never time.
 */
#include "tests/daemon/sched/harness.h"

#define N_CTX   2048
#define N_ROW   512
#define LEN     32
#define CONTEXT (N_CTX / LEN) /* blocks */
#define N_POOL  400
#define N_FLOOD 383 /* what one uid can hold: 255 sessions, and half of what is shared */
#define SHARE   3u  /* rows of each of two users in a step of theirs, which takes twice as long as one row of each; */
#define ALONE   34u /* of one alone, twelve times as long as one row */
#define CREDIT  28u /* what a newcomer may take before the others have more */

static uint64_t n_row_of[8];

static void open_sched(uint32_t n_row, uint32_t n_block, uint32_t n_draft)
{
	harness_open(&(struct sched_harness){ .o = { .n_row = n_row, .block_len = LEN, .n_draft = n_draft },
					      .n_request = N_POOL,
					      .n_ctx = N_CTX,
					      .n_block = n_block,
					      .user_step = 61 });
	memset(n_row_of, 0, sizeof(n_row_of));
}

static struct request *add(uint32_t u, uint32_t n_prompt, uint16_t priority, uint32_t n_answer)
{
	return harness_add(u, n_prompt, n_answer, priority, 1);
}

/* What the other stages do; every block is where it should be. One that has ended gives its slot back. */
static void step(void)
{
	sched_plan(&s, &q, &b);
	assert_true(b.n_row <= s.o.n_row && b.n_seq <= BATCH_SEQ_MAX && b.n_logit <= b.n_logit_max);
	for (uint32_t i = 0; i < b.n_seq; i++) {
		struct request *r = b.seq[i].request;

		assert_int_equal(b.seq[i].n_past, r->kept.n_past);
		assert_true(r->kept.n_block * LEN >= r->kept.n_past + b.seq[i].n_row);
		n_row_of[r->user->uid] += b.seq[i].n_row;
		r->kept.n_past += b.seq[i].n_row;
		if (r->kept.n_past == r->kept.n_token && r->kept.n_token - r->kept.n_prompt < r->kept.max_tokens &&
		    r->kept.n_token < N_CTX)
			r->token[r->kept.n_token++] = 1;
		else if (r->kept.n_past == r->kept.n_token)
			r->kept.state = REQUEST_DONE;
	}
	harness_end_step();
}

/* Steps until r is no longer in the engine. */
static uint32_t steps_to_end(const struct request *r, uint32_t most)
{
	uint32_t n = 0;

	for (; r->kept.state != REQUEST_DONE && r->kept.state != REQUEST_FREE; n++) {
		assert_true(n < most);
		step();
	}
	return n;
}

/* A flood at priority 0 of prompts of a full context, none of which ends. */
static void flood(uint32_t u, uint32_t n, uint32_t n_prompt)
{
	for (uint32_t i = 0; i < n; i++)
		add(u, n_prompt, 0, N_CTX);
}

static void a_priority_orders_its_own_user_only(void **state)
{
	struct request *mine;

	(void)state;
	open_sched(N_ROW, 4 * CONTEXT, 0);
	flood(0, N_FLOOD, 1000);
	for (int i = 0; i < 50; i++)
		step();
	mine = add(1, 24, 255, 100);
	step();
	assert_in_range(mine->kept.n_past, 2 * SHARE - 2,
			2 * SHARE - 1); /* at once, all but the other's row, and each step from now on */
	assert_in_range(steps_to_end(mine, 200), 4 + 100 - 1, 4 + 100 + 4);
	harness_close();
}

/* Streams of another, not prompts: every seat taken, every logit row, and all of the pool. */
static void streams_of_another_keep_nobody_out(void **state)
{
	struct request *mine;

	(void)state;
	open_sched(N_ROW, 4 * CONTEXT, 0);
	flood(0, N_FLOOD, 1);
	for (int i = 0; i < 100; i++)
		step();
	assert_int_equal(kv_n_free(&kv), 0);
	mine = add(1, 24, 128, 60);
	assert_in_range(steps_to_end(mine, 200), 5 + 60 - 1, 5 + 60 + 4);
	assert_true(n_row_of[1] >= 24 + 59);
	harness_close();
}

/* Two that want all they can get: half of the rows each, however many requests one of them has. */
static void rows_are_divided_between_users(void **state)
{
	uint64_t before[8];

	(void)state;
	open_sched(N_ROW, 8 * CONTEXT, 0);
	flood(0, 300, 900);
	step();
	flood(1, 1, 900);
	memcpy(before, n_row_of, sizeof(before));
	for (int i = 0; i < 100; i++)
		step();
	assert_in_range(n_row_of[1] - before[1] + n_row_of[0] - before[0], 95 * 2 * SHARE, 100 * 2 * SHARE);
	assert_in_range(n_row_of[1] - before[1], 95 * SHARE, 100 * SHARE + CREDIT);
	/* Alone again, the machine is its own. */
	for (uint32_t i = 0; i < q.n_live; i++)
		if (q.live[i]->user == &user[1])
			request_cancel(q.live[i]);
	step();
	memcpy(before, n_row_of, sizeof(before));
	step();
	assert_int_equal(n_row_of[0] - before[0], ALONE);
	harness_close();
}

/* A newcomer waits for no more than a step of so many rows, prompts' or streams'; a step that is shared has a share of each. */
static void a_step_is_never_long_because_of_another(void **state)
{
	(void)state;
	open_sched(N_ROW, 8 * CONTEXT, 3);
	flood(0, 100, 900);
	flood(0, 200, 1);
	for (int i = 0; i < 200; i++) {
		step();
		assert_true(b.n_row <= ALONE);
	}
	add(1, 1, 128, 1000);
	for (int i = 0; i < 200; i++) {
		uint32_t n_spare = 0;

		step();
		for (uint32_t k = 0; k < b.n_seq; k++)
			n_spare += b.seq[k].request->user == &user[0] ? b.seq[k].n_row + b.seq[k].n_spare : 0;
		assert_in_range(n_spare, 1, 2 * SHARE - 1); /* guesses count */
		assert_true(b.n_row <= 2 * SHARE);
	}
	harness_close();
}

/* Who was served lately is expected back, and then waits for a step as short as if it had been there. */
static void who_comes_back_waits_for_a_share(void **state)
{
	struct request *mine;

	(void)state;
	open_sched(N_ROW, 8 * CONTEXT, 0);
	s.o.recent_ns = UINT64_MAX;
	flood(0, 200, 1);
	for (int i = 0; i < 20; i++)
		step();
	assert_int_equal(b.n_row, ALONE); /* nobody else has been here */
	mine = add(1, 1, 128, 3);
	steps_to_end(mine, 10);
	for (int i = 0; i < 20; i++) {
		step();
		assert_int_equal(b.n_row, 2 * SHARE - 2); /* twice as long as one row of its own */
	}
	s.o.recent_ns = 1; /* that is long ago */
	step();
	assert_int_equal(b.n_row, ALONE);
	harness_close();
}

/* More users than a step has rows: turns. */
static void turns_where_a_step_has_not_a_row_for_each(void **state)
{
	(void)state;
	open_sched(3, 8 * CONTEXT, 0);
	flood(0, 200, 1000);
	for (uint32_t u = 1; u < 8; u++)
		flood(u, 1, 1000);
	for (int i = 0; i < 160; i++)
		step();
	for (uint32_t u = 0; u < 8; u++)
		assert_in_range(n_row_of[u], 160 * 3 / 8 - 3, 160 * 3 / 8 + 3);
	harness_close();
}

/* Waiting prompts hold what they have run and no more; the pool is divided as soon as another wants a part. */
static void blocks_are_divided_between_users(void **state)
{
	struct request *mine;
	uint32_t n_held = 0;

	(void)state;
	open_sched(N_ROW, 2 * CONTEXT, 0);
	flood(0, N_FLOOD, N_CTX - 8);
	step();
	for (uint32_t i = 0; i < q.n_live; i++)
		n_held += q.live[i]->kept.n_block;
	assert_int_equal(n_held, 2); /* of 34 rows */
	for (int i = 0; i < 500; i++)
		step();
	mine = add(1, N_CTX - 40, 255, 30); /* half of the pool */
	assert_in_range(steps_to_end(mine, 1000), (N_CTX - 40 - CREDIT) / SHARE + 29, (N_CTX - 40) / SHARE + 35);
	assert_true(s.n_preempted > 0);
	harness_close();
}

/* Each needs more than its share: nobody waits for ever, and nobody loses what it has again and again. */
static void who_needs_more_than_a_share_gets_it_in_turn(void **state)
{
	static const uint32_t contexts[] = { 1, 2, 4 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct request *r[8];

		open_sched(N_ROW, contexts[i] * CONTEXT, 0);
		for (uint32_t u = 0; u < 8; u++)
			r[u] = add(u, N_CTX - 100, u, 99);
		for (uint32_t u = 0; u < 8; u++)
			steps_to_end(r[u], 20000);
		step(); /* what has ended gives its blocks back in the next one */
		assert_int_equal(kv_n_free(&kv), kv.book->n_block);
		for (uint32_t u = 0; u < 8; u++)
			assert_in_range(n_row_of[u], N_CTX - 2, 3 * N_CTX); /* what was taken back is computed again */
		harness_close();
	}
}

/* Of a user's own: priority, then turns; a prompt of many steps lets others by, and streams leave prompts some rows. */
static void a_user_serves_its_own_in_turn(void **state)
{
	struct request *small, *urgent;

	(void)state;
	open_sched(N_ROW, 16 * CONTEXT, 0);
	flood(1, 1, 1);
	add(0, 2000, 128, 1);
	small = add(0, 16, 128, 1);
	assert_in_range(steps_to_end(small, 200), N_ROW / (2 * SHARE), N_ROW / SHARE + 8);
	for (int i = 0; i < 40; i++)
		add(0, 1, 128, N_CTX);
	for (int i = 0; i < 20; i++)
		step();
	urgent = add(0, 16, 0, 1);
	assert_in_range(steps_to_end(urgent, 100), 2, 16 * 5);
	harness_close();
}

/* Parts of the time as the configuration has them, however many want theirs. */
static void time_is_divided_by_weight(void **state)
{
	(void)state;
	for (uint32_t n = 2; n <= 8; n *= 2) {
		open_sched(N_ROW, 16 * CONTEXT, 0);
		for (uint32_t u = 0; u < n; u++)
			flood(u, 5, 1);
		for (uint32_t i = 0; i < q.n_live; i++)
			q.live[i]->weight = q.live[i]->user->uid ? 1 : 3;
		for (int i = 0; i < 400; i++)
			step();
		for (uint32_t u = 1; u < n; u++)
			assert_in_range(n_row_of[0] * 10 / n_row_of[u], 26, 33);
		harness_close();
	}
}

/* Whom the configuration lets outrank others does: nobody else, and not at the default priority. */
static void who_may_outrank_goes_first(void **state)
{
	struct request *r;
	uint64_t before;

	(void)state;
	open_sched(64, 8 * CONTEXT, 0);
	flood(0, 10, 900);
	r = add(1, 300, 0, 1);
	r->is_above = true;
	r->kept.priority = 0;
	assert_in_range(steps_to_end(r, 20), 300 / ALONE, 300 / ALONE + 2);
	before = n_row_of[0];
	step();
	assert_true(n_row_of[0] > before);
	harness_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_priority_orders_its_own_user_only),
					    cmocka_unit_test(streams_of_another_keep_nobody_out),
					    cmocka_unit_test(rows_are_divided_between_users),
					    cmocka_unit_test(a_step_is_never_long_because_of_another),
					    cmocka_unit_test(who_comes_back_waits_for_a_share),
					    cmocka_unit_test(turns_where_a_step_has_not_a_row_for_each),
					    cmocka_unit_test(blocks_are_divided_between_users),
					    cmocka_unit_test(who_needs_more_than_a_share_gets_it_in_turn),
					    cmocka_unit_test(a_user_serves_its_own_in_turn),
					    cmocka_unit_test(time_is_divided_by_weight),
					    cmocka_unit_test(who_may_outrank_goes_first) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
