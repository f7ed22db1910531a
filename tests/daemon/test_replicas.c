/*
 * Why: with several engines behind one intake, a session's rings have many hands at them. Whichever engine runs a request, its
 * stream is the same bytes; work goes where there is least of it; and what a client can do to one engine (cancel, hang up, not
 * read, fill a step) it does to no other's clients, and leaves nothing behind on any.
 */
#include "daemon/util/counter.h"
#include "tests/daemon/appliance.h"

#include <errno.h>

#define WAIT_NS   300000000000ull
#define N_TOKEN   24
#define N_STREAM  5 /* different requests */
#define N_SESSION 6
#define N_EACH    12 /* requests of a session */

struct stream {
	uint32_t n;
	int32_t token[N_TOKEN];
	float logprob[N_TOKEN];
	uint8_t text[N_TOKEN * GYRE_CQE_INLINE_BYTES];
	size_t n_text;
};

static struct appliance a;

static void open_replicas(uint32_t n, bool has_leader)
{
	char number[4];
	char *extra[] = { (char *)"--replicas", number, (char *)"--threads", number, (char *)"--drain-seconds",
			  (char *)"30",         NULL };

	snprintf(number, sizeof(number), "%u", n);
	appliance_open(&a, &tiny_served, extra, has_leader);
	assert_int_equal(a.d.models.served[0].n_engine, n);
}

/* Not yet for the daemon to see. */
static void prepare(struct gyre *g, uint64_t user_data, uint32_t kind, uint32_t max)
{
	static const struct gyre_options sampled = { .temperature = 0.9f, .top_p = 0.95f, .seed = 7 };
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	char text[32];
	int n = snprintf(text, sizeof(text), "%u: a question for anybody", kind);

	assert_non_null(sqe);
	assert_int_equal(gyre_prep_generate(g, sqe, text, (size_t)n, max), 0);
	if (kind % 2)
		assert_int_equal(gyre_sqe_set_options(g, sqe, &sampled, NULL, NULL), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	sqe->user_data = user_data;
}

static const struct gyre_cqe *next(struct gyre *g)
{
	const struct gyre_cqe *cqe;

	assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
	return cqe;
}

/* Reads until n requests have ended, each into stream[user_data]. */
static void collect(struct gyre *g, struct stream *stream, uint32_t n)
{
	while (n) {
		const struct gyre_cqe *cqe = next(g);
		struct stream *s = &stream[cqe->user_data];
		size_t n_byte;
		const void *bytes = gyre_cqe_bytes(g, cqe, &n_byte);

		assert_true(cqe->res >= 0);
		memcpy(s->text + s->n_text, bytes, n_byte);
		s->n_text += n_byte;
		if (cqe->flags & GYRE_CQE_MORE && cqe->token >= 0) {
			assert_int_equal(cqe->index, s->n); /* in order, whoever wrote it */
			s->token[s->n] = cqe->token;
			s->logprob[s->n++] = cqe->logprob;
		}
		n -= !(cqe->flags & GYRE_CQE_MORE);
		gyre_cqe_seen(g, cqe);
	}
}

static void wait_until_quiet(uint32_t n_session)
{
	for (int i = 0; i < 3000; i++) {
		bool is_quiet = counter_read32(&a.d.models.served[0].pool.n_live) == 0 &&
				counter_read32(&a.d.intake.roster.n_session) == n_session;

		if (is_quiet)
			break;
		usleep(10000);
	}
	assert_int_equal(counter_read32(&a.d.intake.roster.n_session), n_session);
	assert_int_equal(counter_read32(&a.d.models.served[0].pool.n_live), 0);
	for (uint32_t i = 0; i < a.d.models.served[0].n_engine; i++) {
		assert_int_equal(appliance_free_blocks(&a.d.models.served[0].engine[i]),
				 a.d.models.served[0].engine[i].kv.book->n_block);
		assert_int_equal(queue_load(a.d.models.served[0].engine[i].queue), 0);
	}
}

/* Each engine has made at least this share of n tokens. */
static void expect_spread(uint64_t n, uint32_t percent)
{
	for (uint32_t i = 0; i < a.d.models.served[0].n_engine; i++)
		assert_true(counter_read(&a.d.models.served[0].engine[i].emit.n_token) * 100 >=
			    n * percent / a.d.models.served[0].n_engine);
}

static void read_alone(struct stream *want)
{
	open_replicas(1, true);
	memset(want, 0, N_STREAM * sizeof(*want));
	for (uint32_t kind = 0; kind < N_STREAM; kind++) {
		struct gyre *g = appliance_connect(&a, NULL);

		prepare(g, 0, kind, N_TOKEN);
		gyre_submit(g);
		collect(g, &want[kind], 1);
		assert_int_equal(want[kind].n, N_TOKEN);
		gyre_close(g);
	}
	appliance_close(&a);
	assert_memory_not_equal(&want[0], &want[2], sizeof(want[0]));
}

/* Every replica alone, by requests to it only, then all at once: the bytes are those of one engine, and the work is spread. */
static void streams_are_the_same_wherever_they_run(void **state)
{
	static struct stream want[N_STREAM], got[N_SESSION][N_EACH];
	struct gyre *g[N_SESSION];

	(void)state;
	read_alone(want);
	for (uint32_t n = 1; n <= 3; n++) {
		open_replicas(n, true);
		memset(got, 0, sizeof(got));
		for (uint32_t i = 0; i < N_SESSION; i++) {
			g[i] = appliance_connect(&a, NULL);
			for (uint32_t k = 0; k < N_EACH; k++)
				prepare(g[i], k, (i + k) % N_STREAM, N_TOKEN);
		}
		for (uint32_t i = 0; i < N_SESSION; i++)
			assert_int_equal(gyre_submit(g[i]), N_EACH);
		for (uint32_t i = 0; i < N_SESSION; i++) {
			collect(g[i], got[i], N_EACH);
			for (uint32_t k = 0; k < N_EACH; k++)
				assert_memory_equal(&got[i][k], &want[(i + k) % N_STREAM], sizeof(want[0]));
		}
		expect_spread(N_SESSION * N_EACH * N_TOKEN, 60);
		wait_until_quiet(N_SESSION);
		for (uint32_t i = 0; i < N_SESSION; i++)
			gyre_close(g[i]);
		wait_until_quiet(0);
		appliance_close(&a);
	}
}

/* Requests that come together from one session: each engine gets as many. */
static void one_session_uses_all(void **state)
{
	static struct stream want[N_STREAM], got[N_EACH];
	struct gyre *g;

	(void)state;
	read_alone(want);
	open_replicas(3, true);
	g = appliance_connect(&a, NULL);
	memset(got, 0, sizeof(got));
	for (uint32_t k = 0; k < N_EACH; k++)
		prepare(g, k, 2, N_TOKEN);
	gyre_submit(g);
	collect(g, got, N_EACH);
	for (uint32_t k = 0; k < N_EACH; k++)
		assert_memory_equal(&got[k], &want[2], sizeof(want[2]));
	expect_spread(N_EACH * N_TOKEN, 50);
	wait_until_quiet(1);
	gyre_close(g);
	appliance_close(&a);
}

/* A long prompt weighs more than a short one: those who come after it go elsewhere. */
static void load_is_in_rows(void **state)
{
	static struct stream got[4];
	static uint32_t id[900]; /* ids: they are read at the watch, in the order of the ring */
	struct gyre *g;
	struct gyre_sqe *sqe;
	uint64_t n[2];

	(void)state;
	open_replicas(2, false);
	g = appliance_connect(&a, NULL);
	sqe = gyre_get_sqe(g);
	assert_int_equal(gyre_prep_generate(g, sqe, id, sizeof(id), 1), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS | GYRE_SQE_TOKENS;
	for (uint64_t k = 1; k < 4; k++)
		prepare(g, k, 0, 5);
	gyre_submit(g);
	while (counter_read32(&a.d.models.served[0].pool.n_live) < 4) /* the test is the first engine's leader */
		intake_drain(&a.d.intake, a.d.models.served[0].engine[0].queue);
	for (int i = 0; i < 2; i++)
		n[i] = queue_load(a.d.models.served[0].engine[i].queue);
	assert_int_equal(n[0], sizeof(id) / sizeof(id[0]) + 1);
	assert_in_range(n[1], 3 * 5 + 3 * 20, 3 * 5 + 3 * 40);
	assert_int_equal(read(a.d.intake.watch.wake_fd, &n[0], sizeof(n[0])), sizeof(n[0])); /* of the session's mail */
	intake_park(&a.d.intake,
		    a.d.models.served[0].engine[1].queue); /* there is something in its inbox: it does not sleep */
	assert_int_equal(daemon_start(&a.d), 0);
	memset(got, 0, sizeof(got));
	collect(g, got, 4);
	wait_until_quiet(1);
	gyre_close(g);
	appliance_close(&a);
}

/* All of them end, on whichever engine, and CANCEL has counted them: what it counted ends as cancelled. */
static void cancel_reaches_every_engine(void **state)
{
	struct gyre *g;
	struct gyre_sqe *sqe;

	(void)state;
	open_replicas(3, true);
	g = appliance_connect(&a, NULL);
	for (int round = 0; round < 20; round++) {
		int n_cancelled = 0, n_ended = 0, n_counted = -1;

		for (uint32_t k = 0; k < N_EACH; k++)
			prepare(g, 1, k % N_STREAM,
				k % 2 ? 500 : (uint32_t)round); /* some end by themselves meanwhile */
		gyre_submit(g);
		for (int i = 0; i < round; i++)
			gyre_cqe_seen(g, next(g));
		sqe = gyre_get_sqe(g);
		gyre_prep_cancel(sqe, 1);
		sqe->user_data = 2;
		gyre_submit(g);
		for (int n_seen = 0; n_counted < 0 || n_ended < N_EACH; n_seen++) {
			const struct gyre_cqe *cqe = next(g);

			if (cqe->user_data == 2)
				n_counted = cqe->res;
			else if (!(cqe->flags & GYRE_CQE_MORE)) {
				assert_true(cqe->res >= 0 || cqe->res == -ECANCELED);
				n_cancelled += cqe->res == -ECANCELED;
				n_ended++;
			}
			gyre_cqe_seen(g, cqe);
		}
		assert_int_equal(n_cancelled, n_counted);
		assert_true(n_counted >= N_EACH / 2);
		wait_until_quiet(1);
	}
	gyre_close(g);
	appliance_close(&a);
}

/* In mid-stream, before the first token, with long text at the helper: every block of every engine comes back. */
static void a_hang_up_leaves_nothing_behind(void **state)
{
	static char text[400 * 12 + 1];
	struct gyre_params small = { .cq_entries = 8 };

	(void)state;
	for (int i = 0; i < 400; i++)
		memcpy(text + i * 12, "<|im_start|>", 13);
	open_replicas(3, true);
	for (int round = 0; round < 30; round++) {
		struct gyre *g = appliance_connect(&a, round % 3 ? NULL : &small);
		struct gyre_sqe *sqe = gyre_get_sqe(g);

		assert_int_equal(gyre_prep_generate(g, sqe, text, sizeof(text) - 1, 100), 0);
		sqe->flags |= GYRE_SQE_SPECIAL;
		for (uint32_t k = 0; k < N_EACH; k++)
			prepare(g, k, k % N_STREAM, 500);
		gyre_submit(g);
		for (int i = 0; i < round % 8; i++)
			gyre_cqe_seen(g, next(g));
		gyre_close(g);
		if (round % 2)
			wait_until_quiet(0);
	}
	wait_until_quiet(0);
	appliance_close(&a);
}

/* Its CQ is full and its requests, on every engine, wait; the others' don't. */
static void who_never_reads_holds_nobody_up(void **state)
{
	static struct stream want[N_STREAM], got[N_EACH], late[N_EACH];
	struct gyre_params small = { .cq_entries = 16 };
	struct gyre *lazy, *g;

	(void)state;
	read_alone(want);
	for (uint32_t n = 1; n <= 3; n++) {
		open_replicas(n, true);
		lazy = appliance_connect(&a, &small);
		for (uint32_t k = 0; k < N_EACH; k++)
			prepare(lazy, k, k % N_STREAM, N_TOKEN);
		gyre_submit(lazy);
		g = appliance_connect(&a, NULL);
		for (int round = 0; round < 5; round++) {
			memset(got, 0, sizeof(got));
			for (uint32_t k = 0; k < N_EACH; k++)
				prepare(g, k, k % N_STREAM, N_TOKEN);
			gyre_submit(g);
			collect(g, got, N_EACH);
			for (uint32_t k = 0; k < N_EACH; k++)
				assert_memory_equal(&got[k], &want[k % N_STREAM], sizeof(got[k]));
		}
		/* And nothing was dropped. */
		memset(late, 0, sizeof(late));
		collect(lazy, late, N_EACH);
		for (uint32_t k = 0; k < N_EACH; k++)
			assert_memory_equal(&late[k], &want[k % N_STREAM], sizeof(late[k]));
		gyre_close(lazy);
		gyre_close(g);
		wait_until_quiet(0);
		appliance_close(&a);
	}
}

static void nop(struct gyre *g)
{
	const struct gyre_cqe *cqe;

	gyre_prep_nop(gyre_get_sqe(g));
	gyre_submit(g);
	cqe = next(g);
	assert_int_equal(cqe->res, 0);
	gyre_cqe_seen(g, cqe);
}

/* The first engine's leader makes no step: as if it were in one that never ends. The other one serves. */
static void a_long_step_holds_no_intake_up(void **state)
{
	static struct stream want[N_STREAM], got;

	(void)state;
	read_alone(want);
	for (uint32_t stuck = 0; stuck < 2; stuck++) {
		struct gyre *g;

		open_replicas(2, false);
		assert_int_equal(engine_start(&a.d.models.served[0].engine[1 - stuck]), 0);
		g = appliance_connect(&a, NULL);
		for (uint32_t kind = 0; kind < N_STREAM; kind++) {
			nop(g);
			memset(&got, 0, sizeof(got));
			prepare(g, 0, kind, N_TOKEN);
			gyre_submit(g);
			collect(g, &got, 1);
			assert_memory_equal(&got, &want[kind], sizeof(got));
		}
		gyre_close(g);
		wait_until_quiet(0);
		appliance_close(&a);
	}
}

/* The leader that has the watch goes into a long step: it calls the other one, who answers while the step lasts. */
static void who_leaves_the_watch_calls_another(void **state)
{
	static char
		text[TINY_SERVED_CTX - 10]; /* two steps, and the one that ends it: as many answers without the other */
	struct gyre *g, *busy;
	int n_nop[20], n_many = 0;

	(void)state;
	open_replicas(2, true);
	g = appliance_connect(&a, NULL);
	busy = appliance_connect(&a, NULL);
	for (int round = 0; round < 20; round++) {
		const struct gyre_cqe *cqe;
		struct gyre_sqe *sqe = gyre_get_sqe(busy);

		memset(text, 'a' + round, sizeof(text)); /* not known yet */
		assert_int_equal(gyre_prep_generate(busy, sqe, text, sizeof(text), 1), 0);
		sqe->flags |= GYRE_SQE_IGNORE_EOS;
		gyre_submit(busy);
		n_nop[round] = 0;
		for (bool is_over = false; !is_over; n_nop[round]++) {
			nop(g);
			while (gyre_peek_cqe(busy, &cqe) == 0) {
				is_over |= !(cqe->flags & GYRE_CQE_MORE);
				gyre_cqe_seen(busy, cqe);
			}
		}
		n_many += n_nop[round] >= 20;
		print_message("%d ", n_nop[round]);
	}
	print_message("round trips in the three steps of a prompt\n");
	assert_true(n_many >= 3); /* not all: with few cores the other leader may have to wait for ours */
	gyre_close(busy);
	gyre_close(g);
	appliance_close(&a);
}

/* SIGTERM: what runs, on any engine, is finished; what comes after is refused. */
static void what_runs_is_finished(void **state)
{
	static struct stream want[N_STREAM], got[N_EACH];
	const struct gyre_cqe *cqe;
	struct gyre_params small = { .cq_entries = 8 };
	struct gyre *g, *lazy, *late;

	(void)state;
	read_alone(want);
	open_replicas(3, true);
	lazy = appliance_connect(&a, &small); /* its stream has not ended until we read it */
	prepare(lazy, 0, 0, N_TOKEN);
	gyre_submit(lazy);
	g = appliance_connect(&a, NULL);
	late = appliance_connect(&a, NULL);
	memset(got, 0, sizeof(got));
	for (uint32_t k = 0; k < N_EACH; k++)
		prepare(g, k, k % N_STREAM, N_TOKEN);
	gyre_submit(g);
	while (counter_read(&a.d.intake.take.n_request) < N_EACH + 1)
		usleep(100);
	appliance_signal(&a);
	while (!__atomic_load_n(&a.d.intake.take.is_closed, __ATOMIC_ACQUIRE))
		usleep(100);
	prepare(late, 0, 0, 1);
	gyre_submit(late);
	cqe = next(late);
	assert_int_equal(cqe->res, -ESHUTDOWN);
	gyre_cqe_seen(late, cqe);
	collect(g, got, N_EACH);
	for (uint32_t k = 0; k < N_EACH; k++)
		assert_memory_equal(&got[k], &want[k % N_STREAM], sizeof(got[k]));
	memset(got, 0, sizeof(got));
	collect(lazy, got, 1);
	assert_memory_equal(&got[0], &want[0], sizeof(got[0]));
	gyre_close(late);
	gyre_close(lazy);
	gyre_close(g);
	appliance_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(streams_are_the_same_wherever_they_run),
					    cmocka_unit_test(one_session_uses_all),
					    cmocka_unit_test(load_is_in_rows),
					    cmocka_unit_test(cancel_reaches_every_engine),
					    cmocka_unit_test(a_hang_up_leaves_nothing_behind),
					    cmocka_unit_test(who_never_reads_holds_nobody_up),
					    cmocka_unit_test(a_long_step_holds_no_intake_up),
					    cmocka_unit_test(who_leaves_the_watch_calls_another),
					    cmocka_unit_test(what_runs_is_finished) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
