/*
 * Why: a state has no earlier position to go back to. One that is taken away, or goes on from the wrong row, gives another answer and no
 * error; and with fewer slots than clients someone must wait without ever waiting for good. Here each slot says whose state it has and
 * behind which row, and every step checks what it is told.
 */
#include "daemon/util/minmax.h"
#include "tests/daemon/sched/harness.h"

#define N_CTX  512
#define LEN    32
#define N_SLOT 3
#define N_USER 5
#define DRAFT  4

/* n rows are in the state; behind them the inputs of n_kept guesses. */
static struct {
	const struct request *of;
	uint32_t n, n_kept;
} slot[N_SLOT];
static uint32_t n_lost; /* n_lost: states that had come further than nothing */

static void open_sched(uint32_t n_block, uint32_t len, uint32_t window)
{
	harness_open(&(struct sched_harness){
		.o = { .n_row = 64, .block_len = len, .gap_ns = UINT32_MAX, .n_draft = DRAFT, .window = window },
		.n_request = 24,
		.n_ctx = N_CTX,
		.n_block = n_block,
		.n_slot = N_SLOT,
		.pool_block = LEN });
	memset(slot, 0, sizeof(slot));
	n_lost = 0;
}

static struct request *add(uint32_t u, uint32_t n_prompt, uint32_t n_answer)
{
	return harness_add(u, n_prompt, n_answer, (uint16_t)below(3), 1 + DRAFT);
}

/* What a mixer does by the contract of struct batch_seq. */
static void run_state(const struct batch_seq *seq)
{
	struct request *r = seq->request;

	assert_true(r->kept.has_slot && seq->slot == r->kept.slot && seq->slot < N_SLOT);
	if (seq->n_past == 0) {
		slot[seq->slot].of = r;
		slot[seq->slot].n = 0;
		assert_int_equal(seq->n_replay, 0);
	}
	if (slot[seq->slot].of != r || slot[seq->slot].n + seq->n_replay != seq->n_past)
		fail_msg("a row at %u finds the state of row %u, and is to run %u guesses again", seq->n_past,
			 slot[seq->slot].n, seq->n_replay);
	assert_true(seq->n_replay == 0 || seq->n_replay <= slot[seq->slot].n_kept);
	slot[seq->slot].n = seq->n_past + seq->n_row - seq->n_draft;
	slot[seq->slot].n_kept = seq->n_draft;
}

static const struct request *watched;
static uint32_t n_watched; /* its rows */

/* What spec and sample do: guesses behind a stream's row, of which some are right. */
static void run_seq(struct batch_seq *seq)
{
	struct request *r = seq->request;
	bool is_stream = seq->n_row == 1 && seq->n_past + 1 == r->kept.n_token;
	uint32_t n_hit, n_left = r->kept.max_tokens - (r->kept.n_token - r->kept.n_prompt);

	if (is_stream && n_left > 1) {
		uint32_t room = r->kept.n_block * s.o.block_len - r->kept.n_token;

		seq->n_draft = min_u32(below(1 + DRAFT), min_u32(room, n_left - 1));
		seq->n_row += seq->n_draft;
	}
	run_state(seq);
	n_watched += r == watched ? seq->n_row - seq->n_draft : 0;
	n_hit = seq->n_draft ? below(seq->n_draft + 1) : 0;
	r->kept.n_past = seq->n_past + seq->n_row - seq->n_draft + n_hit;
	r->kept.n_replay = n_hit;
	if (r->kept.n_past < r->kept.n_token)
		return;
	if (n_left == 0) {
		r->kept.state = REQUEST_DONE;
		return;
	}
	r->kept.n_token = r->kept.n_past + 1;
}

/* Plans a step, and counts who has lost what it had computed. */
static void plan(void)
{
	struct request *r[24];
	uint32_t n = 0;

	for (uint32_t i = 0; i < q.n_live; i++)
		if (q.live[i]->kept.n_past)
			r[n++] = q.live[i];
	sched_plan(&s, &q, &b);
	for (uint32_t i = 0; i < n; i++)
		n_lost += is_eligible(r[i]) && !r[i]->kept.n_past;
}

static void step(void)
{
	plan();
	assert_in_range(b.n_seq, 0, N_SLOT);
	for (uint32_t i = 0; i < b.n_seq; i++)
		for (uint32_t k = 0; k < i; k++)
			assert_true(b.seq[i].slot != b.seq[k].slot);
	for (uint32_t i = 0; i < b.n_seq; i++)
		run_seq(&b.seq[i]);
	harness_end_step();
}

/* Without anything kept by position: as many as have a slot run, the next when one has ended. */
static void a_slot_each(void **state)
{
	struct request *r[N_SLOT + 1];

	(void)state;
	open_sched(N_SLOT, N_CTX, 0);
	for (uint32_t i = 0; i <= N_SLOT; i++)
		r[i] = add(0, 8, 20);
	for (uint32_t i = 0; i <= N_SLOT; i++)
		r[i]->kept.priority = 0;
	step();
	assert_int_equal(b.n_seq, N_SLOT);
	assert_int_equal(kv_n_slot_free(&kv), 0);
	assert_false(r[N_SLOT]->kept.has_slot);
	request_cancel(r[1]);
	step();
	assert_true(r[N_SLOT]->kept.has_slot && r[N_SLOT]->kept.n_past >= 8);
	assert_false(r[1]->kept.has_slot);
	assert_int_equal(n_lost, 0);
	harness_close();
}

/* One user has them all; another comes. */
static void a_newcomer_takes_its_share(void **state)
{
	struct request *late;

	(void)state;
	open_sched(N_SLOT, N_CTX, 0);
	for (uint32_t i = 0; i < 8; i++)
		add(0, 8, 400);
	step();
	late = add(1, 8, 4);
	step();
	assert_true(late->kept.has_slot && late->kept.n_past > 0);
	assert_int_equal(n_lost, 1);
	harness_close();
}

/* Five users and three slots: nobody who runs is stopped for those who wait, and those who wait come next, in turn. */
static void more_users_than_slots(void **state)
{
	(void)state;
	open_sched(N_SLOT, N_CTX, 0);
	for (uint32_t u = 0; u < N_USER; u++)
		for (uint32_t i = 0; i < 3; i++)
			add(u, 8, 60);
	for (int n = 0; q.n_live; n++) {
		assert_true(n < 1000);
		step();
	}
	assert_int_equal(n_lost, 0);
	harness_close();
}

/* A client that has stopped reading keeps a slot only while nobody else wants it. */
static void who_does_not_read_gives_way(void **state)
{
	struct request *r[N_SLOT], *late;

	(void)state;
	open_sched(N_SLOT, N_CTX, 0);
	for (uint32_t u = 0; u < N_SLOT; u++)
		r[u] = add(u, 8, 400);
	step();
	for (uint32_t u = 0; u < N_SLOT; u++)
		r[u]->grant = 0;
	step();
	assert_int_equal(kv_n_slot_free(&kv), 0);
	late = add(N_SLOT, 8, 4);
	step();
	assert_true(late->kept.has_slot);
	assert_int_equal(n_lost, 1);
	harness_close();
}

/* Its last block goes to another: it goes on from there if it had not come so far, else from the first row, never from its middle. */
static void a_lost_block_is_a_lost_state(void **state)
{
	struct request *first, *second;

	(void)state;
	open_sched(4, LEN, 0);
	first = add(0, LEN - 1, 90);
	second = add(0, 2 * LEN - 2, 60);
	first->kept.priority = second->kept.priority = 0;
	for (int n = 0; s.n_preempted == 0; n++) {
		assert_true(n < 400);
		step();
	}
	assert_true(second->kept.has_slot);
	assert_int_equal(blocks_held(second), 1);
	assert_in_range(second->kept.n_past, 0, LEN);
	while (q.n_live)
		step();
	harness_close();
}

/* Who is stopped waits until it can run through, in place of running from the first row again and again. */
static void who_is_stopped_waits(void **state)
{
	struct request *first, *second;

	(void)state;
	open_sched(12, LEN, 0);
	first = add(0, 100, 250);
	watched = second = add(0, 150, 200);
	first->kept.priority = second->kept.priority = 0;
	n_watched = 0;
	while (q.n_live)
		step();
	assert_int_equal(n_lost, 1);
	assert_in_range(n_watched, 350, 2 * 350);
	watched = NULL;
	harness_close();
}

/* Everything that can take blocks and slots from a sequence does, and every one ends. */
static void many_end_with_few_slots(void **state)
{
	uint32_t n_restart = 0, n_replay = 0; /* in all */

	(void)state;
	for (uint32_t round = 0; round < 18; round++) {
		uint32_t n_left = 40, kind = round % 3;

		seed = round;
		if (kind == 0)
			open_sched(N_SLOT, N_CTX, 0);
		else
			open_sched(18, LEN, kind == 2 ? 1 + below(5 * LEN) : 0);
		for (int n = 0; n_left || q.n_live; n++) {
			assert_true(n < 200000);
			if (n_left && q.n_live < 10 && below(4) == 0)
				n_left--, add(below(N_USER), 1 + below(400), 1 + below(60));
			for (uint32_t i = 0; i < q.n_live;
			     i++) { /* a client that does not read, for a while, or goes */
				struct request *r = q.live[i];

				r->grant = below(20) == 0 ? 0 : below(4) == 0 ? 4 : r->grant;
				if (below(400) == 0)
					request_cancel(r);
				n_replay += r->kept.n_replay;
				if (r->kept.state == REQUEST_ENDED) /* emit has told it */
					r->kept.state = REQUEST_DONE;
			}
			step();
		}
		n_restart += n_lost;
		assert_int_equal(kv_n_free(&kv), kv.book->n_block);
		assert_int_equal(kv_n_slot_free(&kv), N_SLOT);
		harness_close();
	}
	assert_true(n_restart > 0 && n_replay > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_each),
		cmocka_unit_test(a_newcomer_takes_its_share),
		cmocka_unit_test(more_users_than_slots),
		cmocka_unit_test(who_does_not_read_gives_way),
		cmocka_unit_test(a_lost_block_is_a_lost_state),
		cmocka_unit_test(who_is_stopped_waits),
		cmocka_unit_test(many_end_with_few_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
