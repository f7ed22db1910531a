/*
 * Why: where every layer has a window, blocks behind it go back to the pool. One given back too early is read as somebody else's
 * positions; one that a preempted request still counts on is never written again. Here each slot of the pool says who wrote it, and
 * each row looks at all that it sees.
 */
#include "daemon/flow/request_pool.h"
#include "daemon/op/op.h"
#include "daemon/sched/blocks.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define N_CTX   1024
#define LEN     32
#define N_BLOCK 12
#define N_USER  3

static struct request_pool pool;
static struct queue q;
static struct batch b;
static struct kv kv;
static struct sched s;
static struct user user[N_USER];
static _Alignas(64) uint8_t mem[64];
static const struct kv_mem node = { .base = mem };
static struct {
	const struct request *of;
	uint32_t pos;
} slot[N_BLOCK * LEN];
static uint32_t seed;

static uint32_t below(uint32_t n)
{
	return ((seed = seed * 1664525u + 1013904223u) >> 8) % n;
}

static void open_sched(uint32_t window)
{
	struct sched_options o = { .n_row = 64, .block_len = LEN, .share = 16, .window = window };

	assert_int_equal(request_pool_init(&pool, 16, N_CTX, LEN, false), 0);
	queue_init(&q, false);
	assert_int_equal(batch_init(&b, 64, 32, 16), 0);
	assert_int_equal(kv_init(&kv, &node, 1, N_BLOCK, 0), 0);
	sched_init(&s, &kv, &o);
	memset(slot, 0, sizeof(slot));
	for (uint32_t i = 0; i < N_USER; i++)
		user[i] = (struct user){ .uid = i, .index = i };
}

static void close_sched(void)
{
	queue_deinit(&q);
	request_pool_deinit(&pool);
	batch_deinit(&b);
	kv_deinit(&kv);
}

static struct request *add(uint32_t u, uint32_t n_prompt, uint32_t n_answer)
{
	struct request *r = request_pool_get(&pool);

	assert_non_null(r);
	r->user = &user[u];
	r->op = &op_generate;
	r->kept.n_prompt = r->kept.n_token = n_prompt;
	r->kept.max_tokens = n_answer;
	r->kept.priority = (uint16_t)below(3);
	r->grant = 4;
	r->n_room = 1;
	r->kept.state = REQUEST_WAITING;
	queue_put(&q, r);
	queue_take(&q);
	return r;
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
	uint64_t n_held = 0;

	sched_plan(&s, &q, &b);
	for (uint32_t i = 0; i < b.n_seq; i++)
		run_seq(&b.seq[i]);
	for (uint32_t i = 0; i < q.n_live; i++)
		n_held += blocks_held(q.live[i]);
	assert_int_equal(kv_check(&kv, n_held, 0), 0);
	while (q.done) {
		struct request *r = q.done;

		q.done = r->next;
		request_pool_put(&pool, r);
	}
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
		close_sched();
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
	close_sched();
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
		close_sched();
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
