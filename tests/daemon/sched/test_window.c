/*
 * Why: where every layer has a window, blocks behind it go back to the pool. One given back too early is read as somebody else's
 * positions; one that a preempted request still counts on is never written again. Here each slot of the pool says who wrote it, and
 * each row looks at all that it sees.
 */
#include "tests/daemon/sched/harness.h"

#define N_CTX   1024
#define LEN     32
#define N_BLOCK 12
#define N_USER  3

static struct {
	const struct request *of;
	uint32_t pos;
} slot[N_BLOCK * LEN];

static void open_sched(uint32_t window)
{
	harness_open(
		&(struct sched_harness){ .o = { .n_row = 64, .block_len = LEN, .gap_ns = UINT32_MAX, .window = window },
					 .n_request = 16,
					 .n_ctx = N_CTX,
					 .n_block = N_BLOCK });
	memset(slot, 0, sizeof(slot));
}

static struct request *add(uint32_t u, uint32_t n_prompt, uint32_t n_answer)
{
	return harness_add(u, n_prompt, n_answer, (uint16_t)below(3), 1);
}

/* A row writes its position and reads those in its window. */
static void run_row(const struct batch_seq *seq, uint32_t pos)
{
	const struct request *r = seq->request;
	uint32_t n = pos + 1, at = seq->block[pos / LEN] * LEN + pos % LEN;

	slot[at].of = r;
	slot[at].pos = pos;
	for (uint32_t p = n > s.o.window ? n - s.o.window : 0; p < n; p++) {
		at = seq->block[p / LEN] * LEN + p % LEN;
		if (slot[at].of != r || slot[at].pos != p)
			fail_msg("position %u does not find %u: given back, or not computed again", pos, p);
	}
}

static void run_seq(const struct batch_seq *seq)
{
	struct request *r = seq->request;

	for (uint32_t i = 0; i < seq->n_row; i++)
		run_row(seq, seq->n_past + i);
	r->kept.n_past += seq->n_row;
	if (r->kept.n_past == r->kept.n_token && r->kept.n_token - r->kept.n_prompt < r->kept.max_tokens)
		r->token[r->kept.n_token++] = 1;
	else if (r->kept.n_past == r->kept.n_token)
		r->kept.state = REQUEST_DONE;
}

static void step(void)
{
	sched_plan(&s, &q, &b);
	for (uint32_t i = 0; i < b.n_seq; i++)
		run_seq(&b.seq[i]);
	harness_end_step();
}

/* A context of 32 blocks in a pool of 12, of which it holds those that it sees. */
static void a_sequence_outgrows_the_pool(void **state)
{
	static const uint32_t window[] = { 1, 2, 32, 33, 34, 64, 100, (N_BLOCK - 1) * LEN + 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(window) / sizeof(window[0]); i++) {
		struct request *r;

		open_sched(window[i]);
		r = add(0, 700, 300);
		for (int n = 0; r->kept.state != REQUEST_DONE; n++) {
			assert_true(n < 1500 && !r->kept.res);
			step();
			/* Between two of its rows, once it streams. */
			if (r->kept.n_token > r->kept.n_prompt + 1)
				assert_in_range(blocks_held(r), 0, blocks_need(&s, r));
		}
		assert_int_equal(r->kept.n_token, 1000);
		assert_int_equal(s.n_preempted, 0);
		step();
		assert_int_equal(kv_n_free(&kv), N_BLOCK);
		harness_close();
	}
}

static void one_that_sees_more_than_the_pool_is_refused(void **state)
{
	struct request *r;

	(void)state;
	open_sched((N_BLOCK - 1) * LEN + 2);
	r = add(0, 700, 1);
	step();
	assert_int_equal(r->kept.res, -ENOSPC);
	harness_close();
}

/* Everything that can take blocks from a sequence does, and every one ends. */
static void many_end_in_a_small_pool(void **state)
{
	uint32_t n_restart = 0;

	(void)state;
	for (uint32_t round = 0; round < 12; round++) {
		uint32_t n_left = 40;

		seed = round;
		open_sched(1 + below(5 * LEN));
		for (int n = 0; n_left || q.n_live; n++) {
			assert_true(n < 200000);
			if (n_left && q.n_live < 8 && below(4) == 0)
				n_left--, add(below(N_USER), 1 + below(500), 1 + below(60));
			for (uint32_t i = 0; i < q.n_live; i++) { /* a client that does not read, for a while */
				struct request *r = q.live[i];

				r->grant = below(20) == 0 ? 0 : below(4) == 0 ? 4 : r->grant;
				n_restart += r->kept.n_past == 0 && blocks_held(r) > 0;
			}
			step();
		}
		assert_int_equal(kv_n_free(&kv), N_BLOCK);
		harness_close();
	}
	assert_true(n_restart > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sequence_outgrows_the_pool),
		cmocka_unit_test(one_that_sees_more_than_the_pool_is_refused),
		cmocka_unit_test(many_end_in_a_small_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
