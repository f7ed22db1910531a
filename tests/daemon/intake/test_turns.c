/*
 * Why: reading text and rings is time, too. A user that floods both divides its own part of it: another's text is read next,
 * and another's entry is taken in the same drain, whatever waits before it.
 */
#include "daemon/intake/intake.h"
#include "tests/fuzz/bytes_vocab.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct intake intake;
static struct queue queue;
static struct vocab *vocab;
static struct served table[SERVED_MAX];

static int setup(void **state)
{
	const struct intake_options o = { .served = table, .block_len = 32 };

	(void)state;
	vocab = bytes_vocab(false);
	table[0] = (struct served){ .geometry = served_geometry(vocab_size(vocab), 512, 0),
				    .vocab = vocab,
				    .state = SERVED_READY,
				    .n_engine = 1,
				    .queue = { &queue } };
	queue_init(&queue, false);
	assert_int_equal(intake_init(&intake, &o, eventfd(0, EFD_NONBLOCK)), 0);
	assert_int_equal(intake_open(&intake, table), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	intake_shut(table);
	intake_deinit(&intake);
	queue_deinit(&queue);
	vocab_free(vocab);
	return 0;
}

struct client {
	struct session *s;
	struct region mine;
	int peer;
};

static void attach(struct client *c, uid_t uid, uint32_t sq_entries)
{
	struct abi_hello hello = { .sq_entries = sq_entries, .cq_entries = 8192, .arena_bytes = GYRE_ARENA_BYTES_MIN };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(session_new(&c->s, table, pair[0], uid, &hello), 0);
	assert_int_equal(region_attach(&c->mine, dup(c->s->region.client_fd), dup(c->s->region.daemon_fd)), 0);
	c->peer = pair[1];
	handover_attach(&intake.handover, c->s);
}

static void fill(struct client *c, struct gyre_sqe sqe, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		region_sqe(&c->mine)[i] = sqe;
	c->mine.client->sq_tail = n;
}

static void detach(struct client *c)
{
	handover_detach(&intake.handover, c->s);
	for (int i = 0; i < 100 && !intake.handover.detached; i++) {
		intake_drain(&intake, &queue);
		for (uint32_t k = 0; k < queue.n_live; k++)
			queue.live[k]->kept.state = REQUEST_DONE;
		queue_reap(&queue);
		usleep(table[0].pool.n_live ? 1000 : 0);
	}
	assert_ptr_equal(handover_take_detached(&intake.handover), c->s);
	session_free(c->s);
	region_deinit(&c->mine);
	close(c->peer);
}

/* Sessions full of entries: a drain takes as many as its units pay for, and of each user. */
static void a_drain_has_a_bound(void **state)
{
	static struct client flood[16];
	static const struct gyre_sqe entry[] = { { .opcode = GYRE_OP_CANCEL, .target = 1 },
						 { .opcode = GYRE_OP_GENERATE, .data_len = 1, .opts_len = 64 },
						 { .opcode = 99 } };
	struct client mine;

	(void)state;
	for (size_t kind = 0; kind < sizeof(entry) / sizeof(entry[0]); kind++) {
		uint64_t n_taken = 0, cost = DRAIN_ENTRY + (kind ? DRAIN_WORDS : 0); /* a refusal is written, too */

		for (int i = 0; i < 16; i++) {
			attach(&flood[i], 1, 4096);
			fill(&flood[i], entry[kind], 4096);
		}
		intake_drain(&intake, &queue);
		attach(&mine, 2, 64);
		fill(&mine, (struct gyre_sqe){ .opcode = GYRE_OP_NOP }, 64);
		for (int i = 0; i < 16; i++)
			n_taken += flood[i].s->sq.head;
		assert_in_range(n_taken, 1, DRAIN_UNITS / cost + 1);
		intake_drain(&intake, &queue); /* both: half each */
		assert_int_equal(mine.s->sq.head, 64);
		for (int i = 0; i < 16; i++)
			n_taken -= flood[i].s->sq.head;
		assert_in_range(-n_taken, 1, DRAIN_UNITS / 2 / cost + 1);
		for (int i = 0; i < 12000; i++) /* and in the end all are answered */
			intake_drain(&intake, &queue);
		for (int i = 0; i < 16; i++)
			assert_int_equal(flood[i].s->sq.head, 4096);
		for (int i = 0; i < 16; i++)
			detach(&flood[i]);
		detach(&mine);
	}
}

/* A CANCEL looks at its own session's requests. */
static void cancel_walks_its_own_session(void **state)
{
	struct client many, other;

	(void)state;
	attach(&many, 1, 1024);
	attach(&other, 1, 1024);
	fill(&many, (struct gyre_sqe){ .opcode = GYRE_OP_GENERATE, .data_len = 1 }, 100);
	for (int i = 0; i < 50; i++)
		intake_drain(&intake, &queue);
	assert_int_equal(table[0].pool.n_live, 100);
	fill(&other, (struct gyre_sqe){ .opcode = GYRE_OP_CANCEL }, 1000);
	intake_drain(&intake, &queue);
	assert_in_range(other.s->sq.head, DRAIN_UNITS / DRAIN_ENTRY - 1, DRAIN_UNITS / DRAIN_ENTRY + 1);
	region_sqe(&many.mine)[100] = (struct gyre_sqe){ .opcode = GYRE_OP_CANCEL };
	region_sqe(&many.mine)[101] = (struct gyre_sqe){ .opcode = GYRE_OP_CANCEL };
	many.mine.client->sq_tail = 102;
	for (int i = 0; i < 10; i++)
		intake_drain(&intake, &queue);
	assert_int_equal(region_cqe(&many.mine)[0].res, 100);
	assert_int_equal(region_cqe(&many.mine)[1].res, 0);
	detach(&many);
	detach(&other);
}

static void wait_for_threads(struct helper *h)
{
	for (bool is_busy = true; is_busy; usleep(100)) {
		is_busy = false;
		for (uint32_t i = 0; i < HELPER_JOB_MAX; i++)
			is_busy |= __atomic_load_n(&h->job[i].state, __ATOMIC_ACQUIRE) == HELPER_JOB_READING ||
				   __atomic_load_n(&h->job[i].state, __ATOMIC_ACQUIRE) == HELPER_JOB_QUEUED;
	}
}

/* One user fills all slots it can get: another has one, and its text is the next. */
static void text_is_read_in_turn(void **state)
{
	struct user u[3] = { { .index = 0 }, { .index = 1 }, { .index = 2 } };
	struct helper *h = table[0].helper;
	struct helper_job *job[HELPER_JOB_MAX];
	uint32_t n = 0;

	(void)state;
	while ((job[n] = helper_get(h, &u[0])))
		n++;
	assert_int_equal(n, HELPER_JOB_MAX / 2);
	job[n] = helper_get(h, &u[1]);
	job[n + 1] = helper_get(h, &u[1]);
	assert_non_null(job[n + 1]);
	assert_null(helper_get(h, &u[1]));
	assert_non_null(job[n + 2] = helper_get(h, &u[2]));
	pthread_mutex_lock(&h->lock); /* the threads look on */
	for (uint32_t i = 0; i < n + 3; i++) {
		job[i]->number = i;
		job[i]->n = i == n + 1 ? 100 : HELPER_SHORT_BYTES + 1;
		job[i]->state = HELPER_JOB_QUEUED;
	}
	h->turn[0] = 1;
	assert_ptr_equal(helper_choose(h, false), job[n]);
	assert_ptr_equal(helper_choose(h, true), job[n + 1]); /* the short one */
	job[n]->state = HELPER_JOB_READING;
	assert_null(helper_choose(h, true)); /* one of a user's at a time */
	assert_ptr_equal(helper_choose(h, false), job[n + 2]);
	job[n + 2]->state = HELPER_JOB_READING;
	assert_ptr_equal(helper_choose(h, false), job[0]);
	for (uint32_t i = 0; i < n + 3; i++)
		job[i]->state = HELPER_JOB_FREE;
	h->turn[0] = 0;
	pthread_mutex_unlock(&h->lock);
}

/* A long text is copied in pieces; if its client goes meanwhile, nothing is left of it. */
static void a_long_text_is_copied_in_pieces(void **state)
{
	struct client c;

	(void)state;
	for (int round = 0; round < 2; round++) {
		attach(&c, 1, 64);
		fill(&c, (struct gyre_sqe){ .opcode = GYRE_OP_TOKENIZE, .data_len = DRAIN_PIECE + 1 }, 1);
		intake_drain(&intake, &queue);
		assert_non_null(c.s->job);
		assert_int_equal(c.s->job->n, DRAIN_PIECE);
		assert_int_equal(c.s->sq.head, 0);
		for (; round && !queue.n_live; usleep(100))
			intake_drain(&intake, &queue);
		if (round)
			assert_int_equal(queue.live[0]->kept.res, -E2BIG);
		wait_for_threads(table[0].helper);
		detach(&c);
		for (uint32_t i = 0; i < HELPER_JOB_MAX; i++)
			assert_int_equal((*table[0].helper).job[i].state, HELPER_JOB_FREE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_drain_has_a_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(cancel_walks_its_own_session, setup, teardown),
		cmocka_unit_test_setup_teardown(text_is_read_in_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(a_long_text_is_copied_in_pieces, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
