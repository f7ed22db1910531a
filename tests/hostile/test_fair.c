/*
 * Why: on a shared node every user may connect, and one that floods the daemon, from one session or from all it can get, must not
 * decide what another gets. Judged by what both were served while both wanted all they could get: rows, texts, entries. Time until
 * the first token and between tokens is printed, for an idle daemon, beside as many honest streams, and under attack.
 *
 * GYRE_HOSTILE_ROUNDS: requests that are timed in each run (10). GYRE_HOSTILE_MODEL: a model to serve instead of a tiny one.
 */
#include "tests/hostile/attack.h"

#include <errno.h>

#define ANSWER      40u
#define N_STREAM    24u  /* the victim's, where it wants all it can get, */
#define LONG_ANSWER 300u /* and its CQ has room for all of it */
#define GAP_MAX     100000

static struct tinyd d;

/* ---- what an attacker does ---- */

static bool generate(struct gyre *g, struct gyre_sqe *sqe, uint32_t n_text, uint32_t n_answer, uint16_t priority)
{
	static char text[65536];

	memset(text, 'a', n_text);
	if (gyre_prep_generate(g, sqe, text, n_text, n_answer) < 0)
		return false;
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	sqe->priority = priority;
	return true;
}

static bool be_honest(struct gyre *g, struct gyre_sqe *sqe)
{
	return generate(g, sqe, 20, ANSWER, 128);
}

static bool run_long(struct gyre *g, struct gyre_sqe *sqe)
{
	return generate(g, sqe, 20, LONG_ANSWER, 128);
}

static bool claim_priority(struct gyre *g, struct gyre_sqe *sqe)
{
	return generate(g, sqe, 20, 900, 0);
}

static bool stream(struct gyre *g, struct gyre_sqe *sqe)
{
	return generate(g, sqe, 1, 900, 128);
}

static bool send_long_prompts(struct gyre *g, struct gyre_sqe *sqe)
{
	return generate(g, sqe, 1000, 1, 128);
}

static bool send_entries(struct gyre *g, struct gyre_sqe *sqe)
{
	(void)g;
	gyre_prep_cancel(sqe, 1);
	return true;
}

static bool send_text(struct gyre *g, struct gyre_sqe *sqe)
{
	static char text[60000];

	memset(text, ' ', sizeof(text));
	return gyre_prep_tokenize(g, sqe, text, sizeof(text)) == 0;
}

static bool send_some_text(struct gyre *g, struct gyre_sqe *sqe)
{
	static char text[6000];

	memset(text, 'b', sizeof(text));
	return gyre_prep_tokenize(g, sqe, text, sizeof(text)) == 0;
}

/* ---- what the victim gets ---- */

/* The victim's share of all rows while it runs all of its streams, in percent. Nothing is asked of this process meanwhile. */
static uint32_t share_of_rows(struct gyre *g)
{
	uint64_t before = attack_stat(g, "tokens_generated") + attack_stat(g, "tokens_prompt"), total = 0;
	struct attack_count own = { 0 };
	uint32_t n_open = 0;

	attack_turn(g, run_long, N_STREAM, &n_open, &own);
	while (n_open && total < 20 * N_STREAM * LONG_ANSWER) { /* not one in twenty: it will not be half */
		usleep(1000);
		attack_turn(g, run_long, 0, &n_open, &own);
		total = attack_stat(g, "tokens_generated") + attack_stat(g, "tokens_prompt") - before;
	}
	assert_int_equal(n_open, 0);
	return (uint32_t)(own.n_cqe * 100 / total);
}

/* Half, less its prompts, which are not counted, and what the attacker has alone until this process looks: the best of some tries. */
static void expect_half_of_rows(struct gyre *g, const struct crowd *c)
{
	uint32_t best = 0;

	(void)c;
	for (int i = 0; i < 8 && best < 25; i++) {
		uint32_t share = share_of_rows(g);

		best = share > best ? share : best;
	}
	print_message("%u %% of the rows; ", best);
	assert_true(best >= 25);
}

/* Texts of its own that are read beside at most so many of the attacker's, up to 200. */
static uint64_t texts_beside(struct gyre *g, const struct crowd *c, uint64_t most)
{
	struct attack_count own = { 0 };
	uint32_t n_open = 0;
	uint64_t before = c->count->n_end, n;

	while (own.n_end < 200 && c->count->n_end - before <= most)
		attack_turn(g, send_some_text, 2, &n_open, &own);
	n = own.n_end;
	print_message("%llu texts beside %llu; ", (unsigned long long)n,
		      (unsigned long long)(c->count->n_end - before));
	while (n_open)
		attack_turn(g, send_some_text, 0, &n_open, &own);
	return n;
}

/* In turn with the attacker's, whatever their length; a host that does not let this process run lets it send none: the best of some tries. */
static void expect_half_of_texts(struct gyre *g, const struct crowd *c)
{
	uint64_t best = 0;

	for (int i = 0; i < 8 && best < 200; i++) {
		uint64_t n = texts_beside(g, c, 400);

		best = n > best ? n : best;
	}
	assert_true(best >= 200);
}

/* A drain takes what its units pay for, and a step has one drain, busy or not. */
static void expect_bounded_drains(struct gyre *g, const struct crowd *c)
{
	struct attack_count own = { 0 };
	uint32_t n_open = 0;
	uint64_t n_entry = c->count->n_end, n_step = attack_stat(g, "steps");

	while (own.n_end < 5)
		attack_turn(g, be_honest, 1, &n_open, &own);
	while (n_open)
		attack_turn(g, be_honest, 0, &n_open, &own);
	n_entry = c->count->n_end - n_entry;
	n_step = attack_stat(g, "steps") - n_step;
	print_message("%llu entries in %llu steps; ", (unsigned long long)n_entry, (unsigned long long)n_step);
	assert_true(n_entry <= 86 * n_step + c->count->n_ready * 256); /* and what had not been counted */
}

/* ---- time ---- */

struct timing {
	double first_ms, gap_ms; /* 99th percentile */
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double p99(double *x, size_t n)
{
	qsort(x, n, sizeof(*x), by_value);
	return n ? x[n * 99 / 100] * 1e3 : 0;
}

static struct timing time_streams(struct gyre *g, uint32_t n_round)
{
	static double first[10000], gap[GAP_MAX];
	size_t n_gap = 0;

	for (uint32_t i = 0; i < n_round; i++) {
		double last = attack_now_s();
		bool is_first = true, more = true;

		assert_true(be_honest(g, gyre_get_sqe(g)));
		gyre_submit(g);
		while (more) {
			const struct gyre_cqe *cqe;
			double now;

			assert_int_equal(gyre_wait_cqe(g, &cqe, TINYD_WAIT_NS), 0);
			assert_true(cqe->res >= 0);
			now = attack_now_s();
			more = cqe->flags & GYRE_CQE_MORE;
			if (more && is_first)
				first[i] = now - last;
			else if (more && n_gap < GAP_MAX)
				gap[n_gap++] = now - last;
			is_first = false;
			last = now;
			gyre_cqe_seen(g, cqe);
		}
	}
	return (struct timing){ p99(first, n_round), p99(gap, n_gap) };
}

/* ---- cases ---- */

struct attack {
	const char *name;
	attack_fn prepare;
	uint32_t n_session, n_each;
	void (*expect)(struct gyre *g, const struct crowd *c);
};

static uint32_t count_rounds(void)
{
	const char *n = getenv("GYRE_HOSTILE_ROUNDS");

	return n ? (uint32_t)strtoul(n, NULL, 10) % 10000 : 10;
}

static void start(void)
{
	char *extra[] = { (char *)"--threads", (char *)"1", NULL };
	const char *real = getenv("GYRE_HOSTILE_MODEL");

	tinyd_setup(&d, &tiny_served);
	if (real)
		assert_int_equal(unlink(d.model) | symlink(real, d.model), 0);
	tinyd_start(&d, extra, NULL, NULL);
}

static void is_survived(void **state)
{
	const struct attack *a = *state;
	struct timing quiet, fair, attacked;
	struct crowd c;
	struct gyre *g;

	if (!attack_is_root())
		skip();
	start();
	g = attack_connect_as(d.socket, VICTIM_UID, GYRE_CQ_ENTRIES_MAX);
	quiet = time_streams(g, count_rounds());
	c = attack_begin(d.socket, a->n_session, be_honest, 1);
	fair = time_streams(g, count_rounds());
	attack_end(&c);
	while (attack_stat(g, "sessions") > 1)
		usleep(1000);
	c = attack_begin(d.socket, a->n_session, a->prepare, a->n_each);
	usleep(200000); /* it has all that it can get */
	a->expect(g, &c);
	attacked = time_streams(g, count_rounds());
	attack_end(&c);
	print_message(
		"first token p99, gap p99, ms: quiet %.2f %.2f, beside %u streams %.2f %.2f, attacked %.2f %.2f\n",
		quiet.first_ms, quiet.gap_ms, a->n_session, fair.first_ms, fair.gap_ms, attacked.first_ms,
		attacked.gap_ms);
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
	tinyd_teardown(&d);
}

#define ATTACK(name, fn, each, expect)                       \
	{ name, fn, 1, each, expect },                       \
	{                                                    \
		name ", 255 sessions", fn, 255, each, expect \
	}

static struct attack attacks[] = {
	ATTACK("priority 0", claim_priority, 8, expect_half_of_rows),
	ATTACK("streams", stream, 32, expect_half_of_rows),
	ATTACK("entries", send_entries, 60, expect_bounded_drains),
	ATTACK("texts", send_text, 2, expect_half_of_texts),
	ATTACK("long prompts", send_long_prompts, 8, expect_half_of_rows),
};

int main(void)
{
	struct CMUnitTest tests[sizeof(attacks) / sizeof(attacks[0])];

	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		tests[i] = (struct CMUnitTest){ attacks[i].name, is_survived, NULL, NULL, &attacks[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
