/*
 * A scheduler with its pool, queue and batch, alone: tests add requests, and play the other stages. Shared by the tests of this folder; one is open
 * at a time.
 */
#ifndef GYRE_TESTS_SCHED_HARNESS_H
#define GYRE_TESTS_SCHED_HARNESS_H

#include "daemon/flow/request_pool.h"
#include "daemon/op/op.h"
#include "daemon/sched/blocks.h"
#include "daemon/sched/cache.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define HARNESS_USERS 8

struct sched_harness {
	struct sched_options o;
	uint32_t n_request, n_ctx, n_block, n_slot,
		user_step;              /* user_step: from a user's index to the next one's; 0: 1 */
	uint32_t pool_block;            /* positions of a block of the request pool; 0: o.block_len */
	uint32_t n_piece;               /* of the prefix cache; 0: there is none */
	size_t block_bytes, slot_bytes; /* that they have in `mem`; 0: nothing is in them */
};

static struct request_pool pool;
static struct queue q;
static struct batch b;
static struct kv kv;
static struct prefix prefix;
static struct sched s;
static struct user user[HARNESS_USERS];
static _Alignas(64) uint8_t mem[1 << 16];
static struct kv_part part[2];
static struct kv_mem node;
static uint32_t seed;

static inline uint32_t below(uint32_t n)
{
	return ((seed = seed * 1664525u + 1013904223u) >> 8) % n;
}

/* What a step takes on a made-up machine: two rows' time beside its rows'. */
static inline uint64_t harness_ns(uint32_t n_row)
{
	return (2 + n_row) * 100000ull;
}

/* It knows the machine. */
static inline void harness_teach(struct sched *to)
{
	for (uint32_t n = 1; n <= to->o.n_row; n++)
		for (int i = 0; i < 4; i++)
			cost_learn(&to->cost, &(struct cost_work){ .n_row = n, .n_logit = i ? n : 0 }, harness_ns(n));
}

static inline void harness_open(const struct sched_harness *h)
{
	uint32_t block = h->pool_block ? h->pool_block : h->o.block_len;

	assert_int_equal(request_pool_init(&pool, h->n_request, h->n_ctx, block, false), 0);
	queue_init(&q, false);
	assert_int_equal(batch_init(&b, h->o.n_row + h->n_slot * h->o.n_draft, 128, 16), 0);
	part[0] = (struct kv_part){ .kind = KV_KEYS, .bytes = h->block_bytes };
	part[1] = (struct kv_part){ .kind = KV_STATE, .bytes = h->slot_bytes };
	node = (struct kv_mem){ mem, mem + h->n_block * h->block_bytes, part, 2, h->slot_bytes };
	assert_true(h->n_block * h->block_bytes + h->n_slot * h->slot_bytes <= sizeof(mem));
	assert_int_equal(kv_init(&kv, &node, 1, h->n_block, h->n_slot), 0);
	sched_init(&s, &kv, &h->o);
	if (h->n_piece) {
		assert_int_equal(prefix_init(&prefix, &kv, h->n_piece, NULL, 0), 0);
		s.o.prefix = &prefix;
	}
	harness_teach(&s);
	for (uint32_t i = 0; i < HARNESS_USERS; i++)
		user[i] = (struct user){ .uid = i, .index = i * (h->user_step ? h->user_step : 1) };
}

static inline void harness_close(void)
{
	queue_deinit(&q);
	request_pool_deinit(&pool);
	batch_deinit(&b);
	prefix_deinit(&prefix);
	kv_deinit(&kv);
}

/* A request that waits. n_room: struct request. */
static inline struct request *harness_add(uint32_t u, uint32_t n_prompt, uint32_t n_answer, uint16_t priority,
					  uint32_t n_room)
{
	struct request *r = request_pool_get(&pool);

	assert_non_null(r);
	r->user = &user[u];
	r->op = &op_generate;
	r->kept.n_prompt = r->kept.n_token = n_prompt;
	r->kept.max_tokens = n_answer;
	r->kept.priority = priority;
	r->grant = 4;
	r->n_room = n_room;
	r->kept.state = REQUEST_WAITING;
	queue_put(&q, r);
	queue_take(&q);
	return r;
}

/* Blocks and slots are held as often as they are counted, and those that are done give their place back. */
static inline void harness_end_step(void)
{
	uint64_t n_held = 0;
	uint32_t n_slot = 0;

	b.layout_ns = 1;
	b.time_ns = 1 + harness_ns(b.n_row);
	for (uint32_t i = 0; i < q.n_live; i++) {
		n_held += blocks_held(q.live[i]);
		n_slot += q.live[i]->kept.has_slot;
	}
	assert_int_equal(kv_check(&kv, n_held + cache_n_block(&s), n_slot + cache_n_slot(&s)), 0);
	assert_int_equal(cache_check(&s), 0);
	while (q.done) {
		struct request *r = q.done;

		q.done = r->next;
		request_pool_put(&pool, r);
	}
}

#endif
