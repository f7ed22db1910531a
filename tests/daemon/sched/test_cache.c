/*
 * Why: the prefix cache gives a request keys, values and states that it has not computed. One position too many, or of another's text, is
 * another answer and no error; one that stays when memory is short stops whoever runs. Each row looks at all that it sees (digest.h), so a
 * hit gives what a miss would have; here it is counted what is hit, by whom, and what is given up first.
 */
#include "tests/daemon/sched/digest.h"

#define N_PIECE 256

/* What users say: texts that begin alike. */
static int32_t text[N_CTX];

static void new_text(void)
{
	for (uint32_t i = 0; i < N_CTX; i++)
		text[i] = (int32_t)below(1000);
}

/* The first n tokens of the text, then n_own of its own. */
static struct request *say(uint32_t u, uint32_t n, uint32_t n_own, uint32_t n_answer)
{
	struct request *r = add(u, n + n_own, n_answer);

	memcpy(r->token, text, n * sizeof(text[0]));
	return r;
}

/* Runs it to its end alone; *n_row: rows that it took. Returns how many tokens of its prompt were not run. */
static uint32_t run_alone(struct request *r, uint32_t *n_row)
{
	uint32_t before = n_row_run, n_cached = 0, n_prompt = r->kept.n_prompt;

	while (q.n_live) {
		step();
		if (q.n_live) {
			n_cached = r->kept.n_cached;
			memcpy(text, r->token, r->kept.n_token * sizeof(text[0]));
		}
	}
	*n_row = n_row_run - before;
	assert_in_range(n_cached, 0, n_prompt - 1);
	return n_cached;
}

static void what_is_known_is_not_run(void **state)
{
	uint32_t n_row;

	(void)state;
	open_cached(32, 0, 0, N_PIECE, LEN);
	new_text();
	assert_int_equal(run_alone(say(0, 110, 0, 8), &n_row), 0);
	assert_int_equal(n_row, 110 + 8);
	/* The same prompt: all but the token that is asked for. */
	assert_int_equal(run_alone(say(0, 110, 0, 8), &n_row), 109);
	assert_int_equal(n_row, 1 + 8);
	/* It parts inside a block. */
	assert_int_equal(run_alone(say(0, 75, 30, 1), &n_row), 75);
	/* It parts before a copy is worth it. */
	assert_int_equal(run_alone(say(0, 64 + PREFIX_RUN - 1, 30, 1), &n_row), 64);
	assert_int_equal(run_alone(say(0, 0, 90, 1), &n_row), 0);
	assert_int_equal(s.n_cache_query, 110 + 110 + 105 + 97 + 90);
	assert_int_equal(s.n_cache_hit, 109 + 75 + 64);
	run_to_end();
	harness_close();
}

/* A conversation: prompt, answer, and what the user says then. */
static void the_next_turn_finds_all_of_the_last(void **state)
{
	uint32_t n_row, n = 90;

	(void)state;
	open_cached(32, 0, 0, N_PIECE, LEN);
	new_text();
	(void)run_alone(say(0, n, 0, 20), &n_row);
	for (int turn = 0; turn < 4; turn++) {
		n += 20;
		assert_int_equal(run_alone(say(0, n, 7, 20), &n_row), n);
		n += 7;
	}
	run_to_end();
	harness_close();
}

static void scored_rows_are_run(void **state)
{
	struct request *r;
	uint32_t n_row;

	(void)state;
	open_cached(32, 0, 0, N_PIECE, LEN);
	new_text();
	(void)run_alone(say(0, 100, 0, 2), &n_row);
	r = say(0, 100, 0, 0);
	r->op = &op_score;
	r->kept.n_score = 20;
	r->n_room = 100;
	step();
	assert_int_equal(r->kept.n_cached, 79);
	request_end(r, 0);
	run_to_end();
	harness_close();
}

static void no_user_finds_what_another_left(void **state)
{
	uint32_t n_row;

	(void)state;
	open_cached(32, 0, 0, N_PIECE, LEN);
	new_text();
	(void)run_alone(say(0, 110, 0, 8), &n_row);
	assert_int_equal(run_alone(say(1, 110, 0, 8), &n_row), 0);
	assert_int_equal(n_row, 118);
	assert_int_equal(s.n_cache_hit, 0);
	assert_int_equal(run_alone(say(0, 110, 0, 8), &n_row), 109);
	s.o.is_prefix_shared = true;
	assert_int_equal(run_alone(say(0, 110, 0, 8), &n_row), 0);
	assert_int_equal(run_alone(say(1, 110, 0, 8), &n_row), 109);
	run_to_end();
	harness_close();
}

/* Two that run at the same time read a prompt once between them, and hold one copy of it. */
static void who_runs_at_the_same_time_shares(void **state)
{
	struct request *r[4];

	(void)state;
	open_cached(64, 0, 0, N_PIECE, LEN);
	new_text();
	n_row_run = 0;
	r[0] = say(0, 320, 0, 40);
	step();
	step();
	for (int i = 1; i < 4; i++)
		r[i] = say(0, 320, 5, 40);
	for (int i = 0; i < 4; i++)
		run_until(r[i], 325);
	assert_in_range(n_row_run, 320, 320 + 3 * (64 + 5) + 4 * 40);
	for (int i = 1; i < 4; i++)
		assert_memory_equal(r[i]->block, r[0]->block, 320 / LEN * sizeof(r[0]->block[0]));
	assert_in_range(kv_n_held(&kv, 0), 10 + 4, 10 + 4 * 3);
	run_to_end();
	harness_close();
}

/* What nobody runs on goes before what somebody does. */
static void the_cache_gives_way_to_who_runs(void **state)
{
	uint32_t n_row, n_text = 0;

	(void)state;
	open_cached(16, 0, 0, N_PIECE, LEN);
	for (int i = 0; i < 6; i++) {
		new_text();
		n_text += run_alone(say(0, 100, 0, 2), &n_row);
	}
	assert_int_equal(n_text, 0);
	assert_int_equal(kv_n_free(&kv), 0);
	(void)say(0, 200, 0, 30);
	(void)say(1, 200, 0, 30);
	run_to_end();
	assert_int_equal(s.n_preempted, 0);
	assert_true(prefix.n_evicted > 0);
	harness_close();
}

/* Of a text that nobody has asked for in a while the end goes first. */
static void ends_are_given_up_before_beginnings(void **state)
{
	int32_t old[N_CTX];
	uint32_t n_row;

	(void)state;
	open_cached(16, 0, 0, N_PIECE, LEN);
	new_text();
	memcpy(old, text, sizeof(old));
	(void)run_alone(say(0, 10 * LEN, 0, 1), &n_row);
	new_text();
	(void)run_alone(say(0, 10 * LEN, 0, 1), &n_row); /* it takes 11 of 16 blocks */
	memcpy(text, old, sizeof(old));
	assert_int_equal(run_alone(say(0, 10 * LEN, 0, 1), &n_row), 5 * LEN);
	run_to_end();
	harness_close();
}

static void a_preempted_request_resumes_from_the_cache(void **state)
{
	struct request *r, *other;
	uint32_t n_prompt = 200;

	(void)state;
	open_cached(9, 0, 0, N_PIECE, LEN);
	new_text();
	r = say(0, n_prompt, 0, 50);
	run_until(r, n_prompt);
	other = say(1, 100, 0, 20);
	run_until(other, 100);
	assert_true(s.n_preempted > 0);
	run_to_end();
	harness_close();
}

/* Behind a window only what the next row sees is needed, and only that is held. */
static void of_a_window_what_is_seen_is_found(void **state)
{
	uint32_t n_row;

	(void)state;
	open_cached(12, 0, 50, N_PIECE, LEN);
	new_text();
	(void)run_alone(say(0, 400, 0, 10), &n_row); /* 13 blocks: the first was given up */
	assert_true(prefix.n_evicted > 0);
	assert_int_equal(run_alone(say(0, 400, 5, 10), &n_row), 400);
	assert_int_equal(run_alone(say(0, 20, 5, 10), &n_row), 0);
	run_to_end();
	harness_close();
}

/* len: of a block, or a context where there are only states. */
static void check_states(uint32_t len)
{
	int32_t first[N_CTX];
	uint32_t n_row;

	open_cached(len == LEN ? 40 : 8, 8, 0, N_PIECE, len);
	new_text();
	memcpy(first, text, sizeof(first));
	assert_int_equal(run_alone(say(0, 110, 0, 8), &n_row), 0);
	/* Its next turn: from the state at its end. */
	assert_int_equal(run_alone(say(0, 118, 20, 8), &n_row), 118);
	/* Again: from the last edge of the prompt. */
	memcpy(text, first, sizeof(first));
	assert_int_equal(run_alone(say(0, 110, 0, 8), &n_row), 96);
	/* It parts where nobody left a state, but leaves one there. */
	memcpy(text, first, sizeof(first));
	assert_int_equal(run_alone(say(0, 70, 60, 8), &n_row), 0);
	memcpy(text, first, sizeof(first));
	assert_int_equal(run_alone(say(0, 70, 50, 8), &n_row), 64);
	assert_int_equal(run_alone(say(1, 110, 0, 8), &n_row), 0);
	run_to_end();
	harness_close();
}

static void states_are_found_where_they_were_left(void **state)
{
	(void)state;
	check_states(LEN);
	check_states(N_CTX);
}

static void a_checkpoint_gives_way_to_who_runs(void **state)
{
	uint32_t n_row;

	(void)state;
	open_cached(40, 2, 0, N_PIECE, LEN);
	for (int i = 0; i < 3; i++) {
		new_text();
		(void)run_alone(say(0, 100, 0, 2), &n_row);
	}
	assert_int_equal(kv_n_slot_free(&kv), 0);
	(void)say(0, 90, 0, 10);
	(void)say(1, 90, 0, 10);
	run_to_end();
	assert_int_equal(s.n_preempted, 0);
	/* The last one's own state is taken over where no other slot is left. */
	open_cached(40, 1, 0, N_PIECE, LEN);
	new_text();
	(void)run_alone(say(0, 100, 0, 2), &n_row);
	assert_int_equal(run_alone(say(0, 102, 5, 2), &n_row), 102);
	run_to_end();
	harness_close();
}

/* Everything at once in a small pool: every row finds what it would have computed, and nobody gets another user's. */
static void many_begin_alike_in_a_small_pool(void **state)
{
	uint64_t n_hit = 0, n_preempted = 0, n_evicted = 0;

	(void)state;
	for (uint32_t round = 0; round < 16; round++) {
		uint32_t n_left = 60, kind = round % 4;

		seed = round;
		open_cached(kind == 3 ? 4 : 18, kind >= 2 ? 4 : 0, kind == 1 ? 1 + below(5 * LEN) : 0,
			    round < 8 ? N_PIECE : 24, kind == 3 ? N_CTX : LEN);
		s.o.is_prefix_shared = round % 3 == 0;
		new_text();
		for (int n = 0; n_left || q.n_live; n++) {
			assert_true(n < 200000);
			if (n_left && q.n_live < 10 && below(4) == 0)
				n_left--, say(below(N_USER), below(4) * 100 + below(90), 1 + below(60), 1 + below(50));
			for (uint32_t i = 0; i < q.n_live; i++) {
				struct request *r = q.live[i];

				r->grant = below(20) == 0 ? 0 : below(4) == 0 ? 4 : r->grant;
				if (below(400) == 0)
					request_cancel(r);
			}
			step();
		}
		n_hit += s.n_cache_hit;
		n_preempted += s.n_preempted;
		n_evicted += prefix.n_evicted;
		while (cache_evict_block(&s) || cache_evict_slot(&s))
			assert_int_equal(cache_check(&s), 0);
		assert_int_equal(prefix.n_used, 0);
		assert_int_equal(kv_n_free(&kv), kv.book->n_block);
		assert_int_equal(kv_n_slot_free(&kv), kv.book->n_slot);
		harness_close();
	}
	assert_true(n_hit > 1000 && n_preempted > 20 && n_evicted > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_known_is_not_run),
		cmocka_unit_test(the_next_turn_finds_all_of_the_last),
		cmocka_unit_test(scored_rows_are_run),
		cmocka_unit_test(no_user_finds_what_another_left),
		cmocka_unit_test(who_runs_at_the_same_time_shares),
		cmocka_unit_test(the_cache_gives_way_to_who_runs),
		cmocka_unit_test(ends_are_given_up_before_beginnings),
		cmocka_unit_test(a_preempted_request_resumes_from_the_cache),
		cmocka_unit_test(of_a_window_what_is_seen_is_found),
		cmocka_unit_test(states_are_found_where_they_were_left),
		cmocka_unit_test(a_checkpoint_gives_way_to_who_runs),
		cmocka_unit_test(many_begin_alike_in_a_small_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
