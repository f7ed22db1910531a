/*
 * Why it matters: a ring's bugs live in orders of steps that a stress run may meet once a year. The smallest rings have few
 * enough orders to try them all: every interleaving of the two sides' visible steps is walked, with the real functions on the
 * daemon's side, and each message must arrive once, whole and in order. A producer that ignores a full ring must be caught.
 */
#include "shm/region.h"
#include "shm/ring.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define N_MESSAGE   5u
#define ENTRIES_MAX 2u

/* Everything both sides have: plain memory, so that a branch is a struct copy. Pointers inside point into `live`. */
struct world {
	uint32_t sq_tail, cq_head; /* shared, written by the client */
	uint32_t sq_head, cq_tail; /* shared, written by the daemon */
	struct gyre_sqe sqe[ENTRIES_MAX];
	struct gyre_cqe cqe[ENTRIES_MAX];
	uint8_t result[ENTRIES_MAX * GYRE_RESULT_SLOT_BYTES];
	struct sq_consumer sq;
	struct cq_producer cq;
	uint32_t n_sent, n_got;
	uint32_t seen;                    /* the client's last load of the other counter */
	uint8_t producer_at, consumer_at; /* next step of each */
};

static struct world live;
static uint64_t n_end, n_lie;
static bool is_cheating; /* the SQ producer does not look whether the ring is full */

static bool sq_produce(struct world *w, uint32_t mask)
{
	switch (w->producer_at) {
	case 0:
		if (w->n_sent == N_MESSAGE)
			return false;
		w->seen = w->sq_head;
		if (w->n_sent - w->seen > mask && !is_cheating)
			return true; /* full: looks again at its next step */
		w->producer_at = 1;
		return true;
	case 1: /* two halves, so that a torn read shows */
		w->sqe[w->n_sent & mask].user_data = w->n_sent;
		w->producer_at = 2;
		return true;
	case 2:
		w->sqe[w->n_sent & mask].target = w->n_sent;
		w->producer_at = 3;
		return true;
	default:
		w->sq_tail = ++w->n_sent;
		w->producer_at = 0;
		return true;
	}
}

/* False: has ended, or has caught the lie. */
static bool sq_consume(struct world *w)
{
	struct gyre_sqe copy;

	switch (w->consumer_at) {
	case 0:
		if (w->n_got == N_MESSAGE)
			return false;
		if (sq_consumer_load(&w->sq) < 0) {
			assert_true(is_cheating);
			n_lie++;
			w->n_got = N_MESSAGE;
			return true;
		}
		w->consumer_at = 1;
		return true;
	case 1:
		if (!sq_consumer_peek(&w->sq, &copy)) {
			w->consumer_at = 2;
			return true;
		}
		if (!is_cheating) {
			assert_int_equal(copy.user_data, w->n_got);
			assert_int_equal(copy.target, w->n_got);
		}
		w->n_got++;
		sq_consumer_advance(&w->sq);
		return true;
	default:
		sq_consumer_commit(&w->sq);
		w->consumer_at = 0;
		return true;
	}
}

static bool cq_produce(struct world *w)
{
	struct gyre_cqe *cqe;
	uint8_t *result;

	switch (w->producer_at) {
	case 0:
		if (w->n_sent == N_MESSAGE)
			return false;
		assert_true(cq_producer_space(&w->cq) >= 0);
		w->producer_at = 1;
		return true;
	case 1:
		cqe = cq_producer_reserve(&w->cq, &result);
		w->producer_at = cqe ? 2 : 0;
		if (cqe) {
			cqe->user_data = w->n_sent;
			memcpy(result, &w->n_sent, sizeof(w->n_sent));
		}
		return true;
	default:
		cq_producer_commit(&w->cq);
		w->n_sent++;
		w->producer_at = 0;
		return true;
	}
}

static bool cq_consume(struct world *w, uint32_t mask)
{
	uint32_t in_slot;

	switch (w->consumer_at) {
	case 0:
		if (w->n_got == N_MESSAGE)
			return false;
		w->seen = w->cq_tail;
		w->consumer_at = w->seen != w->n_got;
		return true;
	case 1:
		memcpy(&in_slot, w->result + (size_t)(w->n_got & mask) * GYRE_RESULT_SLOT_BYTES, sizeof(in_slot));
		assert_int_equal(w->cqe[w->n_got & mask].user_data, w->n_got);
		assert_int_equal(in_slot, w->n_got);
		w->consumer_at = 2;
		return true;
	default:
		w->cq_head = ++w->n_got;
		w->consumer_at = 0;
		return true;
	}
}

struct side_pair {
	bool (*produce)(struct world *w, uint32_t mask);
	bool (*consume)(struct world *w, uint32_t mask);
};

static bool sq_consume_any(struct world *w, uint32_t mask)
{
	(void)mask;
	return sq_consume(w);
}

static bool cq_produce_any(struct world *w, uint32_t mask)
{
	(void)mask;
	return cq_produce(w);
}

static const struct side_pair sq_sides = { sq_produce, sq_consume_any };
static const struct side_pair cq_sides = { cq_produce_any, cq_consume };

/* States met before need no second visit: the walk is over states, and so ends in spite of the looks at full and empty. */
#define N_STATE (1u << 16)
static uint64_t met[N_STATE];

static uint64_t world_hash(const struct world *w)
{
	const uint32_t key[] = {
		w->sq_tail,
		w->cq_head,
		w->sq_head,
		w->cq_tail,
		w->n_sent,
		w->n_got,
		w->seen,
		w->producer_at,
		w->consumer_at,
		w->sq.head,
		w->sq.tail,
		w->cq.head,
		w->cq.tail,
		(uint32_t)w->sqe[0].user_data,
		(uint32_t)w->sqe[1].user_data,
		(uint32_t)w->sqe[0].target,
		(uint32_t)w->sqe[1].target,
		(uint32_t)w->cqe[0].user_data,
		(uint32_t)w->cqe[1].user_data,
	};
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < sizeof(key) / sizeof(key[0]); i++)
		h = (h ^ key[i]) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
	return h | 1;
}

static bool is_new(const struct world *w)
{
	uint64_t h = world_hash(w);

	for (uint32_t i = (uint32_t)h & (N_STATE - 1);; i = (i + 1) & (N_STATE - 1)) {
		if (met[i] == h)
			return false;
		if (!met[i]) {
			met[i] = h;
			return true;
		}
	}
}

static void explore(const struct side_pair *sides, uint32_t mask)
{
	struct world saved;
	bool has_moved;

	if (!is_new(&live))
		return;
	memcpy(&saved, &live, sizeof(saved));
	has_moved = sides->produce(&live, mask);
	if (has_moved)
		explore(sides, mask);
	memcpy(&live, &saved, sizeof(live));
	if (sides->consume(&live, mask)) {
		explore(sides, mask);
		has_moved = true;
	}
	memcpy(&live, &saved, sizeof(live));
	if (!has_moved)
		n_end++;
}

static void start(const struct side_pair *sides, uint32_t entries)
{
	memset(&live, 0, sizeof(live));
	memset(met, 0, sizeof(met));
	n_end = n_lie = 0;
	live.sq = (struct sq_consumer){
		.shared_tail = &live.sq_tail, .shared_head = &live.sq_head, .sqe = live.sqe, .entries = entries
	};
	live.cq = (struct cq_producer){ .shared_head = &live.cq_head,
					.shared_tail = &live.cq_tail,
					.cqe = live.cqe,
					.result = live.result,
					.entries = entries };
	explore(sides, entries - 1);
}

static void test_sq(void **state)
{
	(void)state;
	is_cheating = false;
	for (uint32_t entries = 1; entries <= ENTRIES_MAX; entries *= 2) {
		start(&sq_sides, entries);
		assert_true(n_end > 0); /* some order gets everything across */
	}
}

static void test_cq(void **state)
{
	(void)state;
	for (uint32_t entries = 1; entries <= ENTRIES_MAX; entries *= 2) {
		start(&cq_sides, entries);
		assert_true(n_end > 0);
	}
}

static void test_sq_overrun_is_caught(void **state)
{
	(void)state;
	is_cheating = true;
	start(&sq_sides, 2);
	assert_true(n_lie > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sq),
		cmocka_unit_test(test_cq),
		cmocka_unit_test(test_sq_overrun_is_caught),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
