/*
 * Why it matters: the client's counters are hostile. One that is believed lets a client read another's slot, run the daemon
 * over a slot twice, or spin it for 2^32 entries. Here each lie must be told apart from each honest state, at every wrap.
 */
#include "shm/region.h"
#include "shm/ring.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define N 4u

struct pair {
	struct region daemon;
	struct abi_client_page *client; /* a writable mapping, as the client has it */
	struct gyre_sqe *sqe;
	struct sq_consumer sq;
	struct cq_producer cq;
};

/* Validator: what must hold of a ring's private state after every call. */
static void validate(const struct pair *p)
{
	assert_true(p->sq.tail - p->sq.head <= p->sq.entries);
	assert_true(p->cq.tail - p->cq.head <= p->cq.entries);
	assert_true(*p->cq.shared_tail - p->cq.head <= p->cq.entries);
}

/* Both rings begin at `start`, so that the 2^32 wrap is near or far. */
static void pair_init(struct pair *p, uint32_t start)
{
	struct region_layout l;

	assert_int_equal(region_layout_init(&l, N, N, GYRE_ARENA_BYTES_MIN), 0);
	assert_int_equal(region_create(&p->daemon, &l), 0);
	p->client = mmap(NULL, l.client_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->daemon.client_fd, 0);
	assert_true(p->client != MAP_FAILED);
	p->sqe = (struct gyre_sqe *)((uint8_t *)p->client + l.sqe_off);
	p->client->sq_tail = p->client->cq_head = start;
	p->daemon.daemon->sq_head = p->daemon.daemon->cq_tail = start;
	sq_consumer_init(&p->sq, &p->daemon);
	cq_producer_init(&p->cq, &p->daemon);
	validate(p);
}

static void pair_deinit(struct pair *p)
{
	munmap(p->client, p->daemon.layout.client_bytes);
	region_deinit(&p->daemon);
}

static const uint32_t starts[] = { 0, 1, 0x7ffffffe, 0xfffffffd, 0xffffffff };
#define EACH_START(s) for (uint32_t s##_i = 0, s = starts[0]; s##_i < 5; s = starts[++s##_i % 5])

static void test_sq_order(void **state)
{
	(void)state;
	EACH_START(start)
	{
		struct pair p;
		struct gyre_sqe copy;
		uint64_t sent = 0, got = 0;

		pair_init(&p, start);
		for (int round = 0; round < 20; round++) {
			for (uint32_t i = 0; i < (uint32_t)round % (N + 1); i++) {
				p.sqe[p.client->sq_tail & (N - 1)].user_data = sent++;
				p.client->sq_tail++;
			}
			assert_int_equal(sq_consumer_load(&p.sq), round % (int)(N + 1));
			while (sq_consumer_peek(&p.sq, &copy)) {
				assert_int_equal(copy.user_data, got++);
				sq_consumer_advance(&p.sq);
			}
			assert_int_equal(got, sent);
			sq_consumer_commit(&p.sq);
			assert_int_equal(p.daemon.daemon->sq_head, start + (uint32_t)sent);
			validate(&p);
		}
		pair_deinit(&p);
	}
}

static void test_sq_lies(void **state)
{
	(void)state;
	EACH_START(start)
	{
		struct pair p;
		struct gyre_sqe copy;
		const uint32_t lies[] = { N + 1, N + 2, 1u << 31, UINT32_MAX, UINT32_MAX - N };

		pair_init(&p, start);
		for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
			p.client->sq_tail = start + lies[i];
			assert_int_equal(sq_consumer_load(&p.sq), -EPROTO);
			assert_false(sq_consumer_peek(&p.sq, &copy)); /* nothing became readable through the lie */
			validate(&p);
		}
		/* Entries once submitted can't be taken back. */
		p.client->sq_tail = start + 3;
		assert_int_equal(sq_consumer_load(&p.sq), 3);
		p.client->sq_tail = start + 2;
		assert_int_equal(sq_consumer_load(&p.sq), -EPROTO);
		pair_deinit(&p);
	}
}

static void test_sq_tail_is_loaded_once_a_drain(void **state)
{
	struct pair p;
	struct gyre_sqe copy;

	(void)state;
	pair_init(&p, 0);
	p.client->sq_tail = 1;
	assert_int_equal(sq_consumer_load(&p.sq), 1);
	p.client->sq_tail = UINT32_MAX; /* in mid-drain */
	assert_true(sq_consumer_peek(&p.sq, &copy));
	sq_consumer_advance(&p.sq);
	assert_false(sq_consumer_peek(&p.sq, &copy));
	sq_consumer_advance(&p.sq); /* past the end: stays */
	validate(&p);
	pair_deinit(&p);
}

static void test_sq_copy_is_private(void **state)
{
	struct pair p;
	struct gyre_sqe copy;

	(void)state;
	pair_init(&p, 0);
	p.sqe[0].data_len = 7;
	p.client->sq_tail = 1;
	sq_consumer_load(&p.sq);
	assert_true(sq_consumer_peek(&p.sq, &copy));
	p.sqe[0].data_len = UINT32_MAX;
	assert_int_equal(copy.data_len, 7);
	pair_deinit(&p);
}

static void test_cq_full_and_drain(void **state)
{
	(void)state;
	EACH_START(start)
	{
		struct pair p;
		uint8_t *result, *first = NULL;

		pair_init(&p, start);
		assert_int_equal(cq_producer_space(&p.cq), N);
		for (uint32_t i = 0; i < N; i++) {
			struct gyre_cqe *cqe = cq_producer_reserve(&p.cq, &result);

			assert_non_null(cqe);
			cqe->user_data = i;
			assert_ptr_equal(result, region_result(&p.daemon, start + i));
			first = i ? first : result;
		}
		assert_null(cq_producer_reserve(&p.cq, NULL));
		assert_int_equal(p.daemon.daemon->cq_tail, start); /* unpublished until commit */
		cq_producer_commit(&p.cq);
		assert_int_equal(p.daemon.daemon->cq_tail, start + N);
		assert_int_equal(cq_producer_space(&p.cq), 0);
		p.client->cq_head = start + 1;
		assert_int_equal(cq_producer_space(&p.cq), 1);
		assert_non_null(cq_producer_reserve(&p.cq, &result));
		assert_ptr_equal(result, first);
		validate(&p);
		pair_deinit(&p);
	}
}

static void test_cq_lies(void **state)
{
	(void)state;
	EACH_START(start)
	{
		struct pair p;

		pair_init(&p, start);
		p.client->cq_head = start + 1; /* saw what was never offered */
		assert_int_equal(cq_producer_space(&p.cq), -EPROTO);
		p.client->cq_head = start;
		assert_int_equal(cq_producer_space(&p.cq), N);
		assert_non_null(cq_producer_reserve(&p.cq, NULL));
		p.client->cq_head = start + 1; /* saw what is only reserved */
		assert_int_equal(cq_producer_space(&p.cq), -EPROTO);
		cq_producer_commit(&p.cq);
		assert_int_equal(cq_producer_space(&p.cq), N);
		p.client->cq_head = start; /* and back */
		assert_int_equal(cq_producer_space(&p.cq), -EPROTO);
		validate(&p);
		pair_deinit(&p);
	}
}

/* A new daemon takes over a ring in mid-stream: nothing that the client has not seen may be overwritten. */
static void test_cq_adopted(void **state)
{
	struct pair p;
	struct cq_producer next;

	(void)state;
	pair_init(&p, 0xfffffffe);
	for (uint32_t i = 0; i < 3; i++)
		assert_non_null(cq_producer_reserve(&p.cq, NULL));
	cq_producer_commit(&p.cq);
	p.client->cq_head += 1;
	cq_producer_init(&next, &p.daemon);
	assert_int_equal(cq_producer_space(&next), N - 2);
	p.client->cq_head -= 7;
	assert_int_equal(cq_producer_space(&next), -EPROTO);
	pair_deinit(&p);
}

static void test_layout_hash(void **state)
{
	(void)state;
	assert_int_not_equal(abi_layout_hash(), 0);
	assert_int_not_equal(abi_layout_hash(), 0xcbf29ce484222325u); /* the hash of nothing */
	assert_int_equal(abi_layout_hash(), abi_layout_hash());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sq_order),
		cmocka_unit_test(test_sq_lies),
		cmocka_unit_test(test_sq_tail_is_loaded_once_a_drain),
		cmocka_unit_test(test_sq_copy_is_private),
		cmocka_unit_test(test_cq_full_and_drain),
		cmocka_unit_test(test_cq_lies),
		cmocka_unit_test(test_cq_adopted),
		cmocka_unit_test(test_layout_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
