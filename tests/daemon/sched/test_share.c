/*
 * Why: requests that share a beginning share blocks. One that writes where another reads changes that one's answer, and one that loses a
 * block may neither take it from the others nor keep the pool from whoever has a right to it. Here each position of the pool holds a digest
 * of the tokens up to it, made from the position before it as a model would, and each row looks at all that it sees.
 */
#include "tests/daemon/sched/digest.h"

/* Whole blocks are held twice, the one in which they part is copied, and both go on. */
static void two_go_on_from_one_beginning(void **state)
{
	struct request *from, *r;

	(void)state;
	open_sched(32, 0, 0);
	from = add(0, 100, 40);
	run_until(from, 100);
	r = add_from(from, 0, 80, 30, 40);
	assert_int_equal(blocks_share(&s, r, from, 80), 80);
	assert_int_equal(r->kept.n_past, 80);
	assert_int_equal(r->block[1], from->block[1]);
	assert_true(r->block[2] != from->block[2]);
	assert_int_equal(kv_n_hold(&kv, r->block[1]), 2);
	assert_int_equal(kv_n_held(&kv, 0), 4 + 1); /* what is shared is charged once */
	run_to_end();
	harness_close();
}

/* Never more than `from` has, nor so many that the row that is asked for would not be run. */
static void a_row_is_left(void **state)
{
	struct request *from, *r[3];

	(void)state;
	open_sched(32, 0, 0);
	from = add(0, 96, 40);
	run_until(from, 96);
	r[0] = add_from(from, 0, 96, 30, 3);
	assert_int_equal(blocks_share(&s, r[0], from, 500), 96);
	assert_int_equal(blocks_held(r[0]), 3);
	r[1] = add_from(from, 0, 64, 0, 3);
	assert_int_equal(blocks_share(&s, r[1], from, 96), 63);
	assert_true(r[1]->block[1] != from->block[1]);
	r[2] = add_from(from, 0, 90, 0, 0);
	r[2]->op = &op_score;
	r[2]->kept.n_score = 20;
	assert_int_equal(blocks_share(&s, r[2], from, 90), 69);
	request_end(r[2], 0);
	run_to_end();
	harness_close();
}

static void without_a_free_block_nothing_is_copied(void **state)
{
	struct request *from, *r;

	(void)state;
	open_sched(4, 0, 0);
	from = add(0, 100, 20);
	run_until(from, 100);
	r = add_from(from, 1, 80, 5, 20);
	assert_int_equal(blocks_share(&s, r, from, 80), 64);
	assert_int_equal(blocks_held(r), 2);
	assert_int_equal(kv_n_held(&kv, 1), 2);
	assert_int_equal(kv_n_held(&kv, 0), 4);
	run_to_end();
	harness_close();
}

static void of_a_window_what_is_seen_is_shared(void **state)
{
	struct request *from, *r, *late;

	(void)state;
	open_sched(32, 0, 50);
	from = add(0, 200, 40);
	run_until(from, 200);
	step();
	assert_int_equal(from->kept.n_gone, (201 - 49) / LEN);
	late = add_from(from, 0, 130, 10, 4);
	assert_int_equal(blocks_share(&s, late, from, 130), 0); /* its row would see what has been given back */
	assert_int_equal(blocks_held(late), 0);
	r = add_from(from, 0, 200, 10, 4);
	assert_int_equal(blocks_share(&s, r, from, 200), 200);
	assert_int_equal(blocks_held(r), 200 / LEN + 1 - (201 - 50) / LEN);
	run_to_end();
	harness_close();
}

static void a_state_is_copied_where_it_stands(void **state)
{
	struct request *from, *r, *other;

	(void)state;
	open_sched(32, 3, 0);
	from = add(0, 100, 40);
	run_until(from, 100);
	other = add_from(from, 0, 96, 10, 3);
	assert_int_equal(blocks_share(&s, other, from, 96), 0);
	assert_int_equal(blocks_held(other), 0);
	assert_false(other->kept.has_slot);
	r = add_from(from, 0, 100, 10, 3);
	from->kept.n_replay = 2; /* what the slot keeps is copied with it */
	assert_int_equal(blocks_share(&s, r, from, 200), 100);
	assert_int_equal(r->kept.n_replay, 2);
	assert_true(r->kept.slot != from->kept.slot);
	r->kept.n_replay = from->kept.n_replay = 0;
	run_to_end();
	harness_close();
}

/* Nothing is free but what another user's requests share: they give it up, all of them, and not for nothing. */
static void what_is_shared_is_given_up_last(void **state)
{
	struct request *from, *r, *other;

	(void)state;
	open_sched(6, 0, 0);
	from = add(0, 96, 60);
	run_until(from, 96);
	r = add_from(from, 0, 96, 60, 60);
	assert_int_equal(blocks_share(&s, r, from, 96), 96);
	run_until(r, 96 + 60);
	assert_int_equal(kv_n_free(&kv), 0);
	other = add(1, 90, 4);
	run_until(other, 90);
	assert_true(blocks_held(r) >= 3); /* what it has alone, no more: the rest would have freed nothing */
	assert_true(blocks_held(from) >= 3);
	run_to_end();
	harness_close();
}

/* A pool that is full of one user's shared blocks has room for another: it ends however many hold them. */
static void all_of_a_pool_that_is_shared_comes_free(void **state)
{
	struct request *from, *other;

	(void)state;
	open_sched(8, 0, 0);
	from = add(0, 8 * LEN - 1, 60);
	run_until(from, 8 * LEN - 1);
	for (int i = 0; i < 5; i++) {
		struct request *r = add_from(from, 0, 7 * LEN, 1 + (uint32_t)i, 4);

		assert_int_equal(blocks_share(&s, r, from, 7 * LEN), 7 * LEN);
	}
	other = add(1, 120, 4);
	for (int n = 0; other->kept.state != REQUEST_DONE; n++) {
		assert_true(n < 60);
		step();
	}
	run_to_end();
	harness_close();
}

/* Everything that can take blocks from requests that share does, and every one ends with what it would have alone. */
static void many_share_a_small_pool(void **state)
{
	uint32_t n_share = 0, n_preempted = 0;

	(void)state;
	for (uint32_t round = 0; round < 12; round++) {
		uint32_t n_left = 40;

		seed = round;
		open_sched(18, round % 3 == 2 ? 4 : 0, round % 3 == 1 ? 1 + below(5 * LEN) : 0);
		for (int n = 0; n_left || q.n_live; n++) {
			const struct request *from = q.n_live ? q.live[below(q.n_live)] : NULL;

			assert_true(n < 200000);
			if (n_left && q.n_live < 10 && below(4) == 0) {
				n_left--;
				if (from && from->kept.n_past > 1 && below(2)) {
					uint32_t at = has_state ? from->kept.n_past : 1 + below(from->kept.n_past),
						 n_more = 1 + below(40);
					struct request *r =
						at + n_more + 60 > N_CTX
							? NULL
							: add_from(from, from->user->index, at, n_more, 1 + below(60));

					n_share += r && blocks_share(&s, r, from, at) > 0;
				} else {
					add(below(N_USER), 1 + below(400), 1 + below(60));
				}
			}
			for (uint32_t i = 0; i < q.n_live; i++) {
				struct request *r = q.live[i];

				r->grant = below(20) == 0 ? 0 : below(4) == 0 ? 4 : r->grant;
				if (below(400) == 0)
					request_cancel(r);
			}
			step();
		}
		n_preempted += (uint32_t)s.n_preempted;
		assert_int_equal(kv_n_free(&kv), kv.book->n_block);
		harness_close();
	}
	assert_true(n_share > 20 && n_preempted > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_go_on_from_one_beginning),
		cmocka_unit_test(a_row_is_left),
		cmocka_unit_test(without_a_free_block_nothing_is_copied),
		cmocka_unit_test(of_a_window_what_is_seen_is_shared),
		cmocka_unit_test(a_state_is_copied_where_it_stands),
		cmocka_unit_test(what_is_shared_is_given_up_last),
		cmocka_unit_test(all_of_a_pool_that_is_shared_comes_free),
		cmocka_unit_test(many_share_a_small_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
