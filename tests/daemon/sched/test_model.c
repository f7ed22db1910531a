/*
 * Why: each rule of the scheduler has its test, and what breaks is two of them at once. So everything that can happen to a scheduler
 * and its pool happens here at random, on a model that is not there: requests come and begin as others do, are cancelled, paused, late, kept and
 * let go of, their clients die, in pools that are too small. After each step every block is held as often as it is counted (harness.h), the
 * step is no longer than it may be, users that want more have had about as much time as each other, and nobody waits for ever.
 *
 * GYRE_MODEL_STEPS: steps of all worlds together; make model-steps runs a million.
 */
#include "daemon/util/minmax.h"
#include "tests/daemon/sched/harness.h"

#include <stdlib.h>

#define N_CTX     256
#define LEN       8
#define N_REQUEST 48
#define N_ROW     64
#define WAIT_MAX  400u /* steps with something to run, and nobody comes any further than ever before */
#define LAG_MAX   64u  /* a row's times, that users who want more may be apart */

struct world {
	const char *name;
	uint32_t n_block, n_slot, window, gap_ms, n_draft;
	bool is_fair; /* the pool is large enough: what users get is decided by time alone */
};

static const struct world worlds[] = {
	{ "a large pool", 40 * N_CTX / LEN, 0, 0, 0, 3, true },
	{ "a stated gap", 40 * N_CTX / LEN, 0, 0, 2, 0, true },
	{ "a small pool", 48, 0, 0, 0, 3, false },
	{ "windows", 40, 0, 40, 0, 0, false },
	{ "states", 64, 5, 0, 1, 2, false },
};

static uint32_t n_live_step[HARNESS_USERS]; /* steps since each user had a row, while it could have one */
static uint64_t began_ns[HARNESS_USERS];    /* what it had used when it began to want more, beside those that did */
static uint64_t n_served;                   /* rows that computed what had never been computed */
static uint32_t n_reached[N_REQUEST];       /* positions that a request has come to, at its place */

static uint32_t n_steps(void)
{
	const char *n = getenv("GYRE_MODEL_STEPS");

	return (n ? (uint32_t)strtoul(n, NULL, 10) : 15000u) / (sizeof(worlds) / sizeof(worlds[0]));
}

/* ---- what happens ---- */

/* A new request, maybe one that begins like another and shares what that one has. */
static void come(uint32_t u)
{
	uint32_t n_prompt = below(3) ? 1 + below(60) : 1 + below(180), n_answer = 1 + below(N_CTX - n_prompt - 1) % 60;
	struct request *r, *from = q.n_live ? q.live[below(q.n_live)] : NULL;

	if (pool.n_live == N_REQUEST)
		return;
	r = harness_add(u, n_prompt, n_answer, (uint16_t)below(256), 1 + s.o.n_draft);
	r->weight = 1;
	n_reached[r->index] = 0;
	if (below(12) == 0)
		r->kept.deadline_ns = below(2) ? 1 : UINT64_MAX;
	if (from && from != r && below(4) == 0 && from->kept.n_block)
		n_reached[r->index] = blocks_share(&s, r, from, below(from->kept.n_past + 1));
}

static void happen_to(struct request *r)
{
	if (r->kept.state == REQUEST_KEPT) {
		if (below(40) == 0)
			request_let_go(r);
	} else if (below(300) == 0) {
		request_cancel(r);
	} else if (below(60) == 0) { /* its client does not read, or has died, which is seen later */
		r->grant = 0;
	} else if (below(6) == 0) {
		r->grant = 4;
	}
}

static void happen(void)
{
	for (uint32_t i = 0; i < q.n_live; i++)
		happen_to(q.live[i]);
	if (below(3) == 0)
		come(below(HARNESS_USERS));
}

/* ---- what the other stages do ---- */

static void end(struct request *r)
{
	if (r->kept.state == REQUEST_ENDED || below(5)) {
		r->kept.state = REQUEST_DONE;
		return;
	}
	r->kept.flags |= GYRE_SQE_KEEP | (below(3) ? 0 : GYRE_SQE_PIN);
	r->kept.keep_end_ns = UINT64_MAX;
	r->kept.state = REQUEST_KEPT;
}

static void run_seq(const struct batch_seq *seq)
{
	struct request *r = seq->request;

	assert_int_equal(seq->n_past, r->kept.n_past);
	assert_true(r->kept.n_block * LEN >= r->kept.n_past + seq->n_row);
	r->kept.n_past += seq->n_row;
	r->kept.n_replay = 0;
	if (r->kept.n_past > n_reached[r->index]) {
		n_served += r->kept.n_past - n_reached[r->index];
		n_reached[r->index] = r->kept.n_past;
	}
	if (r->kept.n_past < r->kept.n_token)
		return;
	if (r->kept.n_token - r->kept.n_prompt < r->kept.max_tokens)
		r->token[r->kept.n_token++] = 1;
	else
		end(r);
}

/* ---- what holds ---- */

/* No longer than it may be, but for the first row of each user. */
static void check_length(void)
{
	uint32_t n_user = 0;

	for (uint32_t u = 0; u < HARNESS_USERS; u++)
		for (uint32_t i = 0; i < b.n_seq; i++)
			if (b.seq[i].request->user == &user[u]) {
				n_user++;
				break;
			}
	if (b.n_row > n_user + 1)
		assert_true((double)harness_ns(b.n_row) <= s.gap_ns * 1.1);
	assert_true(b.n_row <= N_ROW && b.n_seq <= BATCH_SEQ_MAX && b.n_logit <= b.n_logit_max);
}

static bool can_run(uint32_t u)
{
	for (uint32_t i = 0; i < q.n_live; i++)
		if (q.live[i]->user == &user[u] && is_eligible(q.live[i]) && q.live[i]->grant && q.live[i]->has_claim)
			return true;
	return false;
}

static bool has_row(uint32_t u)
{
	for (uint32_t i = 0; i < b.n_seq; i++)
		if (b.seq[i].request->user == &user[u])
			return true;
	return false;
}

/* Where the pool has room for all, each user that wants something has a row in each step. */
static void check_waits(void)
{
	for (uint32_t u = 0; u < HARNESS_USERS; u++) {
		n_live_step[u] = can_run(u) && !has_row(u) ? n_live_step[u] + 1 : 0;
		assert_in_range(n_live_step[u], 0, 20);
	}
}

/* Users 0 and 1 always want more: what they have had is never far apart. */
static void check_fairness(void)
{
	uint64_t a = user[0].used_ns - began_ns[0], c = user[1].used_ns - began_ns[1];

	assert_in_range(a > c ? a - c : c - a, 0, LAG_MAX * harness_ns(1));
}

/* ---- worlds ---- */

static void open_world(const struct world *w)
{
	harness_open(&(struct sched_harness){ .o = { .n_row = N_ROW,
						     .block_len = LEN,
						     .n_draft = w->n_draft,
						     .gap_ns = w->gap_ms * 1000000ull,
						     .window = w->window },
					      .n_request = N_REQUEST,
					      .n_ctx = N_CTX,
					      .n_block = w->n_block,
					      .n_slot = w->n_slot });
	memset(n_live_step, 0, sizeof(n_live_step));
	memset(began_ns, 0, sizeof(began_ns));
}

static void step(const struct world *w)
{
	sched_plan(&s, &q, &b);
	check_length();
	if (w->is_fair)
		check_waits();
	for (uint32_t i = 0; i < b.n_seq; i++)
		run_seq(&b.seq[i]);
	for (uint32_t i = 0; i < b.n_ended; i++)
		b.ended[i]->kept.state = REQUEST_DONE;
	harness_end_step();
}

/* Two users that never have enough; what is kept does not keep them from it. */
static void keep_two_busy(void)
{
	for (uint32_t i = 0; i < q.n_live; i++)
		if (q.live[i]->kept.state == REQUEST_KEPT && below(4) == 0)
			request_let_go(q.live[i]);
	for (uint32_t u = 0; u < 2; u++) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < q.n_live; i++)
			n += q.live[i]->user == &user[u] && is_eligible(q.live[i]) && q.live[i]->grant;
		for (; n < 8 && pool.n_live < N_REQUEST; n++)
			harness_add(u, 150, 60, 128, 1 + s.o.n_draft);
	}
}

static bool is_anything_open(void)
{
	for (uint32_t u = 0; u < HARNESS_USERS; u++)
		if (can_run(u))
			return true;
	return false;
}

/* Nobody comes any more, everybody reads: all end, all blocks and places come back. */
static void empty(const struct world *w)
{
	for (uint32_t n = 0; q.n_live; n++) {
		assert_true(n < 200000);
		for (uint32_t i = 0; i < q.n_live; i++) {
			q.live[i]->grant = 4;
			if (q.live[i]->kept.state == REQUEST_KEPT)
				request_let_go(q.live[i]);
		}
		step(w);
	}
	assert_int_equal(pool.n_live, 0);
	assert_int_equal(kv_n_free(&kv), w->n_block);
	assert_int_equal(kv_n_slot_free(&kv), w->n_slot);
}

static void everything_happens(void **state)
{
	const struct world *w = *state;
	uint64_t before = 0;
	uint32_t n_idle = 0;

	seed = w->n_block;
	open_world(w);
	for (uint32_t n = n_steps(); n; n--) {
		happen();
		step(w);
		n_idle = n_served != before || !is_anything_open() ? 0 : n_idle + 1;
		before = n_served;
		assert_in_range(n_idle, 0, WAIT_MAX);
		if (n % 5000 == 0)
			empty(w);
	}
	empty(w);
	harness_close();
}

/* Beside two users that always want more, others come and go. */
static void two_have_the_same(void **state)
{
	const struct world *w = *state;

	seed = 1;
	open_world(w);
	for (uint32_t n = n_steps() / 4; n; n--) {
		keep_two_busy();
		if (below(8) == 0 && pool.n_live < N_REQUEST - 16)
			harness_add(2 + below(HARNESS_USERS - 2), 1 + below(100), 1 + below(30), (uint16_t)below(256),
				    4);
		step(w);
		check_fairness();
	}
	empty(w);
	harness_close();
}

int main(void)
{
	struct CMUnitTest tests[16];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
		tests[n++] = (struct CMUnitTest){ worlds[i].name, everything_happens, NULL, NULL, (void *)&worlds[i] };
		if (worlds[i].is_fair)
			tests[n++] = (struct CMUnitTest){ "two have the same", two_have_the_same, NULL, NULL,
							  (void *)&worlds[i] };
	}
	return _cmocka_run_group_tests("model", tests, n, NULL, NULL);
}
