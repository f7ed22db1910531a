/* Running streams come first, a short pool preempts the last in order, and every block comes back: else a daemon starves. */
#include "daemon/flow/request_pool.h"
#include "daemon/op/op.h"
#include "daemon/sched/sched.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define N_CTX 256

static struct request_pool pool;
static struct queue q;
static struct batch b;
static struct kv kv;
static struct sched s;
static struct user user;
static _Alignas(64) uint8_t mem[4 * 64];
static const struct kv_part part = { .bytes = 64 };
static const struct kv_mem node = { .base = mem, .part = &part, .n_part = 1 };

static int setup(void **state)
{
	struct sched_options o = { .n_row = 64, .block_len = 32, .gap_ns = 1000000 };

	(void)state;
	assert_int_equal(request_pool_init(&pool, 8, N_CTX, 32, false), 0);
	queue_init(&q, false);
	assert_int_equal(batch_init(&b, 64, 32, 16), 0);
	assert_int_equal(kv_init(&kv, &node, 1, 4, 0), 0);
	sched_init(&s, &kv, &o);
	for (int i = 0; i < 100; i++)
		cost_learn(&s.cost, &(struct cost_work){ .n_row = 1 + i % 64 }, 1000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	queue_deinit(&q);
	request_pool_deinit(&pool);
	batch_deinit(&b);
	kv_deinit(&kv);
	return 0;
}

static struct request *add(uint32_t n_prompt, uint16_t priority)
{
	struct request *r = request_pool_get(&pool);

	r->user = &user;
	r->op = &op_generate;
	r->kept.n_prompt = r->kept.n_token = n_prompt;
	r->kept.priority = priority;
	r->grant = 4;
	r->n_room = 1;
	r->kept.state = REQUEST_WAITING;
	queue_put(&q, r);
	queue_take(&q);
	return r;
}

/* What model and sample would do. */
static void run(void)
{
	for (uint32_t i = 0; i < b.n_seq; i++) {
		struct request *r = b.seq[i].request;

		r->kept.n_past += b.seq[i].n_row;
		if (r->kept.n_past == r->kept.n_token)
			r->token[r->kept.n_token++] = 1;
	}
}

static void test_decode_first(void **state)
{
	struct request *a = add(4, 128), *c;

	(void)state;
	assert_true(sched_plan(&s, &q, &b));
	assert_int_equal(b.n_row, 4);
	assert_int_equal(b.n_logit, 1);
	run();
	c = add(96, 0); /* a more urgent, long prompt: the stream still gets its row, the prompt what is left */
	assert_true(sched_plan(&s, &q, &b));
	assert_ptr_equal(b.seq[0].request, a);
	assert_int_equal(b.seq[0].n_row, 1);
	assert_ptr_equal(b.seq[1].request, c);
	assert_int_equal(b.seq[1].n_row, 63);
}

static void test_preempt(void **state)
{
	struct request *low = add(40, 200), *high;

	(void)state;
	sched_plan(&s, &q, &b);
	run();
	high = add(96, 1); /* needs three of four blocks; two are held */
	for (int i = 0; i < 2; i++) {
		sched_plan(&s, &q, &b);
		run();
	}
	assert_int_equal(high->kept.n_past, 96);
	assert_int_equal(low->kept.n_block < 2, 1);
	assert_int_equal(s.n_preempted >= 1, 1);
}

static void test_ends(void **state)
{
	struct request *late = add(4, 1), *gone = add(4, 1), *huge = add(200, 1), *paused = add(4, 1);

	(void)state;
	late->kept.deadline_ns = 1;
	assert_true(request_cancel(gone));
	assert_false(request_cancel(gone));
	paused->grant = 0;
	assert_true(sched_plan(&s, &q, &b));
	assert_int_equal(b.n_row, 0);
	assert_int_equal(b.n_ended, 3);
	assert_int_equal(late->kept.res, -ETIME);
	assert_int_equal(gone->kept.res, -ECANCELED);
	assert_int_equal(huge->kept.res, -ENOSPC);
	assert_false(request_cancel(late)); /* its end is settled */
	queue_weigh(&q);
	assert_int_equal(queue_load(&q), request_rows(paused));
	/* A CANCEL that came first has been told so: whatever else ends it then, it ends as cancelled. */
	assert_true(request_cancel(paused));
	request_end(paused, 0);
	assert_int_equal(paused->kept.res, -ECANCELED);
	late->kept.state = gone->kept.state = huge->kept.state = paused->kept.state = REQUEST_DONE;
	assert_false(sched_plan(&s, &q, &b));
	assert_int_equal(q.n_live, 0);
	assert_int_equal(queue_load(&q), 0);
	assert_int_equal(kv_n_free(&kv), kv.book->n_block);
}

/* A slot of the pool is cleared but for its large arrays, which say how much of them counts. */
static void test_a_used_slot_is_blank(void **state)
{
	struct request *r = add(3, 1), *again;
	uint32_t index = r->index;
	int32_t *token = r->token;

	(void)state;
	r->kept.hold.n = r->kept.n_emitted = r->stream = 9;
	r->kept.hit_stop = true;
	assert_true(request_cancel(r));
	r->kept.state = REQUEST_DONE;
	queue_reap(&q);
	assert_ptr_equal(q.done, r);
	request_pool_put(&pool, r);
	again = request_pool_get(&pool);
	assert_ptr_equal(again, r);
	assert_int_equal(r->index, index);
	assert_ptr_equal(r->token, token);
	assert_false(r->kept.hit_stop || request_is_cancelled(r) || r->kept.state || r->op || r->kept.priority);
	assert_int_equal(r->kept.hold.n | r->kept.n_emitted | r->stream | r->kept.n_prompt | r->kept.n_block, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_decode_first, setup, teardown),
					    cmocka_unit_test_setup_teardown(test_preempt, setup, teardown),
					    cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
					    cmocka_unit_test_setup_teardown(test_a_used_slot_is_blank, setup,
									    teardown) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
