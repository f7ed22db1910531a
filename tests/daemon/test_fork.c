/*
 * Why: a fork saves the reading of what another request has read, and nothing else may come of it: it says what a request says that was
 * given all those tokens, whatever has become of the other's blocks meanwhile. And what is kept for it is let go of in time.
 */
#include "daemon/util/counter.h"
#include "shm/clock.h"
#include "tests/daemon/appliance.h"

#include <errno.h>

#define WAIT_NS  300000000000ull
#define N_PREFIX 210
#define N_OWN    23
#define N_TOKEN  16
#define KEEP_MS  600000
#define PREFIX   1000 /* user_data of what is gone on from */

struct said {
	uint32_t n;
	struct {
		int32_t token;
		float logprob;
	} at[N_TOKEN];
	int32_t res;
	uint32_t n_prompt;
	float sum;
	char words[GYRE_WORDS_MAX + 1];
};

static struct appliance a;
static struct gyre *g;
static struct tiny model;
static uint32_t text[1024];

static const struct engine *engine(uint32_t i)
{
	return &a.d.models.served[0].engine[i];
}

static const struct gyre_options *options(uint32_t kind)
{
	static const struct gyre_options o[] = {
		{ 0 },
		{ .temperature = 0.9f, .top_p = 0.95f, .repetition_penalty = 1.2f, .seed = 5 },
		{ .temperature = 1.5f, .seed = 6 },
	};

	return &o[kind % 3];
}

static void open_daemon(const char *arch, const char *const *more)
{
	char *extra[16] = { (char *)"--threads", (char *)"2", (char *)"--gap-ms", (char *)"1" };

	for (int n = 4; more && *more; more++)
		extra[n++] = (char *)*more;
	model = tiny_served;
	model.arch = arch;
	appliance_open(&a, &model, extra, true);
	g = appliance_connect(&a, NULL);
	for (uint32_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		text[i] = 'a' + i * i % 19 + i / 64 % 5;
}

/* Nothing is left of what was kept: a client that has gone keeps nothing. */
static void close_daemon(void)
{
	const struct served *s = &a.d.models.served[0];

	gyre_close(g);
	for (int i = 0; counter_read32(&s->pool.n_live); i++) {
		assert_true(i < 30000);
		usleep(1000);
	}
	assert_int_equal(counter_read32(&s->pool.n_kept), 0);
	for (uint32_t i = 0; i < s->n_engine; i++) {
		assert_int_equal(appliance_free_blocks(engine(i)), engine(i)->kv.book->n_block);
		assert_int_equal(appliance_free_slots(engine(i)), engine(i)->kv.book->n_slot);
	}
	appliance_close(&a);
}

static struct gyre_sqe *entry(uint64_t user_data, uint32_t kind)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	assert_non_null(sqe);
	assert_int_equal(gyre_sqe_set_options(g, sqe, options(kind), NULL, NULL), 0);
	sqe->user_data = user_data;
	sqe->flags = GYRE_SQE_TOKENS;
	return sqe;
}

static struct gyre_sqe *generate(uint64_t user_data, uint32_t kind, const uint32_t *id, uint32_t n)
{
	struct gyre_sqe *sqe = entry(user_data, kind);

	assert_int_equal(gyre_prep_generate(g, sqe, id, n * 4, N_TOKEN), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	return sqe;
}

static struct gyre_sqe *fork_of(uint64_t user_data, uint32_t kind, uint64_t target, uint32_t at, const uint32_t *id,
				uint32_t n)
{
	struct gyre_sqe *sqe = generate(user_data, kind, id, n);

	gyre_sqe_set_fork(sqe, target, at);
	return sqe;
}

static struct gyre_sqe *prefill(uint64_t user_data, const uint32_t *id, uint32_t n)
{
	struct gyre_sqe *sqe = entry(user_data, 0);

	assert_int_equal(gyre_prep_prefill(g, sqe, id, n * 4), 0);
	gyre_sqe_set_keep(sqe, KEEP_MS);
	return sqe;
}

static void take(const struct gyre_cqe *cqe, struct said *s)
{
	size_t n;
	const void *bytes = gyre_cqe_bytes(g, cqe, &n);

	if (cqe->flags & GYRE_CQE_MORE) {
		assert_true(s->n < N_TOKEN);
		s->at[s->n].token = cqe->token;
		s->at[s->n++].logprob = cqe->logprob;
		return;
	}
	s->res = cqe->res < 0 ? cqe->res : 0;
	s->n_prompt = cqe->index;
	s->sum = cqe->logprob;
	if (cqe->res < 0)
		memcpy(s->words, bytes, n);
}

/* Until n requests have ended: those of user_data < n_said. */
static void collect(struct said *s, uint32_t n_said, uint32_t n)
{
	const struct gyre_cqe *cqe;

	gyre_submit(g);
	for (; n; gyre_cqe_seen(g, cqe)) {
		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		n -= !(cqe->flags & GYRE_CQE_MORE);
		if (cqe->user_data < n_said)
			take(cqe, &s[cqe->user_data]);
		else
			assert_true(cqe->res >= 0);
	}
}

/* The one request that has been prepared. */
static struct said ask(void)
{
	struct said s = { 0 };

	collect(&s, 1, 1);
	return s;
}

static void expect_end(int res, const char *words)
{
	struct said s = ask();

	assert_int_equal(s.res, res);
	if (!strstr(s.words, words))
		fail_msg("'%s' does not say '%s'", s.words, words);
}

static void same(const struct said *want, const struct said *got, const char *what)
{
	if (memcmp(want, got, sizeof(*want)))
		fail_msg("%s: %s says something else (%d after %u tokens: %s)", model.arch ? model.arch : "llama", what,
			 got->res, got->n, got->words);
}

/* ---- the same as without ---- */

/* A prompt read once and three answers to it; each goes on in its own way. */
static void branches_say_what_they_say_alone(const char *arch, const char *const *more)
{
	static struct said want[6], got[6];

	open_daemon(arch, more);
	memset(want, 0, sizeof(want));
	memset(got, 0, sizeof(got));
	for (uint32_t k = 0; k < 3; k++) {
		generate(k, k, text, N_PREFIX + N_OWN);
		generate(3 + k, k, text, N_PREFIX);
	}
	collect(want, 6, 6);
	prefill(PREFIX, text, N_PREFIX);
	collect(NULL, 0, 1);
	for (uint32_t k = 0; k < 3; k++) {
		fork_of(k, k, PREFIX, 0, text + N_PREFIX, N_OWN);
		fork_of(3 + k, k, PREFIX, GYRE_FORK_PROMPT, NULL, 0);
	}
	collect(got, 6, 6);
	for (uint32_t k = 0; k < 6; k++)
		same(&want[k], &got[k], "a branch");
	close_daemon();
}

static void of_each_architecture(void **state)
{
	static const char *const draft[] = { "--draft-min", "4", NULL }, *const q8[] = { "--kv-type", "q8_0", NULL };

	(void)state;
	for (size_t i = 0; tiny_arch(i); i++)
		branches_say_what_they_say_alone(tiny_arch(i), i % 2 ? draft : NULL);
	branches_say_what_they_say_alone(NULL, q8);
}

static void on_replicas(void **state)
{
	static const char *const more[] = { "--replicas", "2", NULL };

	(void)state;
	branches_say_what_they_say_alone(NULL, more);
}

/* While it reads, while it answers, when it has ended; from the middle of its prompt and of its answer; forks of forks. */
static void from_wherever_it_is(void **state)
{
	static struct said want[2], got[8];
	uint32_t all[N_PREFIX + N_TOKEN + N_OWN];

	(void)state;
	open_daemon(NULL, NULL);
	memset(want, 0, sizeof(want));
	memset(got, 0, sizeof(got));
	generate(0, 1, text, N_PREFIX);
	collect(want, 1, 1);
	memcpy(all, text, N_PREFIX * 4);
	for (uint32_t i = 0; i < N_TOKEN; i++)
		all[N_PREFIX + i] = (uint32_t)want[0].at[i].token;
	memcpy(all + N_PREFIX + N_TOKEN, text, N_OWN * 4);

	gyre_sqe_set_keep(generate(PREFIX, 1, text, N_PREFIX), KEEP_MS);
	fork_of(0, 1, PREFIX, GYRE_FORK_PROMPT, NULL, 0); /* submitted together */
	fork_of(1, 2, PREFIX, 77, text + 77, N_PREFIX - 77);
	collect(got, 2, 3);
	same(&want[0], &got[0], "a sibling");
	memset(&want[1], 0, sizeof(want[1]));
	generate(1, 2, text, N_PREFIX);
	collect(want, 2, 1);
	same(&want[1], &got[1], "a fork of a part");

	memset(got, 0, sizeof(got));
	memset(want, 0, sizeof(want));
	generate(0, 1, all, N_PREFIX + N_TOKEN + N_OWN);
	generate(1, 0, all, N_PREFIX + 5);
	collect(want, 2, 2);
	fork_of(0, 1, PREFIX, 0, text, N_OWN);
	fork_of(1, 0, PREFIX, N_PREFIX + 5, NULL, 0);
	collect(got, 2, 2);
	same(&want[0], &got[0], "what follows an answer");
	same(&want[1], &got[1], "what follows a part of it");

	memset(got, 0, sizeof(got));
	gyre_sqe_set_fork(prefill(PREFIX + 1, all + N_PREFIX + 5, N_TOKEN - 5), PREFIX, N_PREFIX + 5);
	gyre_sqe_set_fork(prefill(PREFIX + 2, text, N_OWN), PREFIX + 1, 0);
	fork_of(0, 1, PREFIX + 2, 0, NULL, 0);
	collect(got, 1, 3);
	same(&want[0], &got[0], "a fork of a fork of a fork");
	close_daemon();
}

static void a_score_is_the_same(void **state)
{
	static struct said want[3], got[3];

	(void)state;
	open_daemon(NULL, NULL);
	memset(want, 0, sizeof(want));
	memset(got, 0, sizeof(got));
	prefill(PREFIX, text, N_PREFIX);
	for (uint32_t k = 0; k < 3; k++) {
		struct gyre_sqe *sqe = entry(k, 0);
		uint32_t n = N_PREFIX + 1 + k * 5;

		assert_int_equal(gyre_prep_score(g, sqe, text, n * 4, N_PREFIX * 4), 0);
	}
	collect(want, 3, 4);
	for (uint32_t k = 0; k < 3; k++) {
		struct gyre_sqe *sqe = entry(k, 0);

		assert_int_equal(gyre_prep_score_fork(g, sqe, PREFIX, 0, text + N_PREFIX, (1 + k * 5) * 4), 0);
	}
	collect(got, 3, 3);
	for (uint32_t k = 0; k < 3; k++)
		same(&want[k], &got[k], "a score");
	close_daemon();
}

/* Text joins as text, however long it takes to read. */
static void text_goes_on(void **state)
{
	static const char whole[] = "It was a dark and stormy night; the rain fell in torrents, except at occasional "
				    "intervals, when it was checked by a violent gust of wind which swept up the "
				    "streets (for it is in London that our scene lies), rattling along the housetops";
	static struct said want[2], got[2];
	const size_t n[] = { 25, 90 }; /* of what follows the fork, the latter leaves more than is read at once */

	(void)state;
	open_daemon(NULL, NULL);
	memset(want, 0, sizeof(want));
	memset(got, 0, sizeof(got));
	for (uint32_t k = 0; k < 2; k++) {
		struct gyre_sqe *sqe = entry(k, k);

		assert_int_equal(gyre_prep_generate(g, sqe, whole, sizeof(whole) - 1, N_TOKEN), 0);
		sqe->flags = GYRE_SQE_IGNORE_EOS;
	}
	collect(want, 2, 2);
	for (uint32_t k = 0; k < 2; k++) {
		struct gyre_sqe *sqe = entry(PREFIX + k, k);

		assert_int_equal(gyre_prep_prefill(g, sqe, whole, n[k]), 0);
		sqe->flags = 0;
		gyre_sqe_set_keep(sqe, KEEP_MS);
		sqe = entry(k, k);
		assert_int_equal(gyre_prep_fork(g, sqe, PREFIX + k, 0, whole + n[k], sizeof(whole) - 1 - n[k], N_TOKEN),
				 0);
		sqe->flags &= (uint16_t)~GYRE_SQE_TOKENS;
		sqe->flags |= GYRE_SQE_IGNORE_EOS;
	}
	collect(got, 2, 4);
	for (uint32_t k = 0; k < 2; k++)
		same(&want[k], &got[k], "a text");
	close_daemon();
}

static struct {
	uint64_t user_data;
	int32_t res;
	char words[GYRE_WORDS_MAX + 1];
} end[16];

/* How n requests end, in order. */
static void collect_ends(uint32_t n)
{
	const struct gyre_cqe *cqe;

	gyre_submit(g);
	memset(end, 0, sizeof(end));
	for (uint32_t i = 0; i < n; gyre_cqe_seen(g, cqe)) {
		size_t n_byte;
		const void *bytes;

		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		if (cqe->flags & GYRE_CQE_MORE)
			continue;
		end[i].user_data = cqe->user_data;
		end[i].res = cqe->res;
		bytes = gyre_cqe_bytes(g, cqe, &n_byte);
		if (cqe->res < 0)
			memcpy(end[i].words, bytes, n_byte);
		i++;
	}
	assert_int_equal(gyre_peek_cqe(g, &cqe), -EAGAIN);
}

static struct gyre_sqe *nop(uint64_t user_data)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	gyre_prep_nop(sqe);
	sqe->user_data = user_data;
	return sqe;
}

/* ---- what is kept ---- */

static void wait_for_blocks(uint32_t n_free)
{
	for (int i = 0; appliance_free_blocks(engine(0)) != n_free; i++) {
		assert_true(i < 30000);
		usleep(1000);
	}
}

static uint32_t cancel(uint64_t target)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	const struct gyre_cqe *cqe;
	int32_t res;

	gyre_prep_cancel(sqe, target);
	gyre_submit(g);
	assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
	res = cqe->res;
	gyre_cqe_seen(g, cqe);
	assert_true(res >= 0);
	return (uint32_t)res;
}

/* By CANCEL, by its time, by its deadline; and while nothing else happens at all. */
static void it_is_let_go_of(void **state)
{
	uint32_t n_block, n_held = (N_PREFIX - 1 + KV_BLOCK - 1) / KV_BLOCK;

	(void)state;
	open_daemon(NULL, NULL);
	n_block = engine(0)->kv.book->n_block;
	prefill(PREFIX, text, N_PREFIX);
	collect(NULL, 0, 1);
	assert_int_equal(appliance_free_blocks(engine(0)), n_block - n_held);
	assert_int_equal(cancel(PREFIX), 1);
	wait_for_blocks(n_block);
	assert_int_equal(cancel(PREFIX), 0);
	fork_of(0, 0, PREFIX, 0, NULL, 0);
	expect_end(-ENOENT, "no request of this session with the user_data 1000");

	gyre_sqe_set_keep(prefill(PREFIX, text, N_PREFIX), 20);
	collect(NULL, 0, 1);
	wait_for_blocks(n_block);
	fork_of(0, 0, PREFIX, 0, NULL, 0);
	expect_end(-ENOENT, "no request");

	prefill(PREFIX, text, N_PREFIX)->deadline_ns = clock_ns() + 2000000000;
	collect(NULL, 0, 1);
	assert_int_equal(appliance_free_blocks(engine(0)), n_block - n_held);
	wait_for_blocks(n_block);

	prefill(PREFIX, text, N_PREFIX); /* and by the end of its session */
	collect(NULL, 0, 1);
	close_daemon();
}

/* Neither a model that is to leave nor a daemon that is to end waits for it. */
static void it_holds_nobody_up(void **state)
{
	char why[256];
	uint64_t began_ns;

	(void)state;
	open_daemon(NULL, NULL);
	prefill(PREFIX, text, N_PREFIX);
	collect(NULL, 0, 1);
	if (gyre_query(a.socket, ABI_QUERY_UNLOAD, "m", 0, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	assert_int_equal(gyre_query(a.socket, ABI_QUERY_LOAD, "m", 0, why, sizeof(why)), 0);
	fork_of(0, 0, PREFIX, 0, NULL, 0);
	expect_end(-ENOENT, "no request");
	prefill(PREFIX, text, N_PREFIX);
	collect(NULL, 0, 1);
	began_ns = clock_ns();
	appliance_close(&a);
	assert_true(clock_ns() - began_ns < 20000000000ull); /* of --drain-seconds 30 */
	gyre_close(g);
}

/* ---- what is refused ---- */

static void bad_forks_are_told_why(void **state)
{
	struct gyre_sqe *sqe;
	struct gyre *other;

	(void)state;
	open_daemon(NULL, NULL);
	prefill(PREFIX, text, N_PREFIX);
	collect(NULL, 0, 1);
	fork_of(0, 0, PREFIX + 1, 0, NULL, 0);
	expect_end(-ENOENT, "user_data 1001");
	fork_of(0, 0, PREFIX, N_PREFIX + 1, NULL, 0);
	expect_end(-EINVAL, "split is 211, and the request with the user_data 1000 has 210 tokens");
	fork_of(0, 0, PREFIX, 0, text, TINY_SERVED_CTX - N_PREFIX);
	expect_end(-E2BIG, "the prompt has 1024 tokens");
	sqe = fork_of(0, 0, PREFIX, 0, NULL, 0);
	sqe->flags = GYRE_SQE_CHAT | GYRE_SQE_FORK;
	expect_end(-EINVAL, "(CHAT)");
	sqe = generate(0, 0, text, 4);
	sqe->keep_ms = 3;
	expect_end(-EINVAL, "keep_ms");
	sqe = generate(0, 0, text, 4);
	sqe->flags |= GYRE_SQE_KEEP;
	expect_end(-EINVAL, "keep_ms is 0");
	gyre_sqe_set_keep(generate(0, 0, text, 4), GYRE_KEEP_MS_MAX + 1);
	expect_end(-EINVAL, "1 to 3600000 ms");
	gyre_sqe_set_fork(entry(0, 0), PREFIX, 0); /* a NOP */
	expect_end(-EINVAL, "flags");
	sqe = entry(0, 0);
	assert_int_equal(gyre_prep_score_fork(g, sqe, PREFIX, 0, NULL, 0), 0);
	expect_end(-EINVAL, "nothing to score");

	/* Another session's is none, whether it is there or not. */
	other = g;
	g = appliance_connect(&a, NULL);
	fork_of(0, 0, PREFIX, 0, NULL, 0);
	expect_end(-ENOENT, "user_data 1000");
	gyre_close(g);
	g = other;
	close_daemon();
}

/* What it was to go on from is cancelled, or fails: before it could begin. */
static void who_waits_for_one_that_fails_fails(void **state)
{
	struct said got[2] = { 0 };
	struct gyre_sqe *sqe;

	(void)state;
	open_daemon(NULL, NULL);
	generate(0, 0, text, 1000)->deadline_ns = 1;
	fork_of(1, 0, 0, GYRE_FORK_PROMPT, NULL, 0);
	collect(got, 2, 2);
	assert_int_equal(got[0].res, -ETIME);
	assert_int_equal(got[1].res, -ECANCELED);
	assert_non_null(strstr(got[1].words, "ended with errno 62"));

	/* One that runs and is not kept is there for those that came before its end. */
	memset(got, 0, sizeof(got));
	generate(0, 0, text, N_PREFIX);
	sqe = fork_of(1, 0, 0, GYRE_FORK_PROMPT, NULL, 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	collect(got, 2, 2);
	same(&got[0], &got[1], "a sibling");
	close_daemon();
}

/* ---- pins ---- */

static struct gyre_sqe *pin(uint64_t user_data, const uint32_t *id, uint32_t n)
{
	struct gyre_sqe *sqe = prefill(user_data, id, n);

	sqe->flags |= GYRE_SQE_PIN;
	return sqe;
}

/* A pool of n blocks, with contexts of eight. max_pinned: this user's quota, or NULL. */
/* Without the prefix cache, from which they would have blocks in common that are not forked. */
static void open_small(uint32_t n, const char *max_pinned)
{
	char bytes[24], uid[24];
	const char *arg[] = {
		"--ctx", "256",          "--kv-bytes", bytes, "--prefix-cache", "0", max_pinned ? "--user" : NULL,
		uid,     "--max-pinned", max_pinned,   NULL
	};

	open_daemon(NULL, NULL);
	snprintf(bytes, sizeof(bytes), "%zu", n * (size_t)model_kv_bytes(engine(0)->model));
	snprintf(uid, sizeof(uid), "%u", getuid());
	close_daemon();
	open_daemon(NULL, arg);
	assert_int_equal(engine(0)->kv.book->n_block, n);
}

static uint32_t n_free(void)
{
	return appliance_free_blocks(engine(0));
}

/* What runs takes a kept request's blocks; a fork of it computes them again. */
static void it_gives_way(void **state)
{
	static struct said want[2], got[2];

	(void)state;
	open_small(9, NULL);
	memset(want, 0, sizeof(want));
	memset(got, 0, sizeof(got));
	generate(0, 1, text, N_PREFIX);
	collect(want, 1, 1);
	prefill(PREFIX, text, N_PREFIX);
	collect(NULL, 0, 1);
	assert_int_equal(n_free(), 2);
	generate(1, 1, text + 300, N_PREFIX);
	collect(got, 2, 1);
	assert_int_equal(got[1].n, N_TOKEN);
	assert_int_equal(counter_read(&engine(0)->sched.n_preempted), 0);
	fork_of(0, 1, PREFIX, 0, NULL, 0);
	collect(got, 1, 1);
	same(&want[0], &got[0], "a fork of one that has given way");
	close_daemon();
}

/* More branches than a pool has room for at once: what is kept gives way, and they do to one another. */
static void branches_in_a_small_pool(void **state)
{
	static struct said want[8], got[8];

	(void)state;
	open_small(9, NULL);
	memset(want, 0, sizeof(want));
	for (uint32_t k = 0; k < 8; k++) {
		generate(k, k, text, 120 + k * 13);
		collect(want, 8, 1);
	}
	for (int round = 0; round < 3; round++) {
		memset(got, 0, sizeof(got));
		prefill(PREFIX, text, 120);
		for (uint32_t k = 0; k < 8; k++)
			fork_of(k, k, PREFIX, 0, text + 120, k * 13);
		collect(got, 8, 9);
		for (uint32_t k = 0; k < 8; k++)
			same(&want[k], &got[k], "a branch in a small pool");
		assert_int_equal(cancel(PREFIX), 1);
	}
	close_daemon();
}

/* Nobody is given its blocks, not even where a request has to wait for others to end. */
static void what_is_pinned_stays(void **state)
{
	const char *quota = "128";
	static struct said want, got[6];

	(void)state;
	open_small(12, quota);
	memset(&want, 0, sizeof(want));
	memset(got, 0, sizeof(got));
	generate(0, 1, text, 128);
	collect(&want, 1, 1);
	pin(PREFIX, text, 128);
	prefill(PREFIX + 1, text + 200, 120);
	collect(NULL, 0, 2);
	assert_int_equal(n_free(), 4);
	for (uint32_t i = 1; i < 6; i++)
		generate(i, 1, text + i * 37, 230); /* whole contexts, beside what is pinned one at a time */
	collect(got, 6, 5);
	for (uint32_t i = 1; i < 6; i++)
		assert_int_equal(got[i].n, N_TOKEN);
	wait_for_blocks(8); /* what was not pinned is gone */
	fork_of(0, 1, PREFIX, 0, NULL, 0);
	collect(got, 1, 1);
	same(&want, &got[0], "a fork of what is pinned");
	gyre_prep_unpin(nop(PREFIX + 2), PREFIX);
	collect(NULL, 0, 1);
	wait_for_blocks(12);
	close_daemon();
}

/* A user's pins are counted over its sessions; what is let go of makes room; a fork that pins is counted whole. */
static void pins_have_a_quota(void **state)
{
	const char *quota = "96";
	struct gyre_info info;
	struct gyre *other;

	(void)state;
	open_small(12, quota);
	gyre_info(g, &info);
	assert_int_equal(info.limits.n_pinned, 96);
	pin(PREFIX, text, 60);
	collect(NULL, 0, 1);
	pin(0, text, 33);
	expect_end(-EDQUOT, "pins 64 of the 96 that it may (max-pinned)");
	gyre_sqe_set_fork(pin(0, NULL, 0), PREFIX, 0);
	expect_end(-EDQUOT, "it would pin 64");
	other = g;
	g = appliance_connect(&a, NULL);
	pin(0, text, 33);
	expect_end(-EDQUOT, "pins 64 of the 96");
	pin(PREFIX, text, 32);
	collect(NULL, 0, 1);
	gyre_close(g);
	g = other;
	wait_for_blocks(12 - 2);
	gyre_sqe_set_keep(generate(0, 0, text, 4), KEEP_MS); /* 20 positions to its end */
	pin(1000, text, 64)->user_data = 1;
	collect_ends(2);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(end[i].res, end[i].user_data ? -EDQUOT : 0);
	assert_int_equal(cancel(PREFIX), 1);
	assert_int_equal(cancel(0), 1);
	pin(PREFIX, text, 96);
	collect(NULL, 0, 1);
	generate(0, 0, text, 4)->flags |= GYRE_SQE_PIN;
	expect_end(-EINVAL, "(PIN)");
	close_daemon();
	assert_int_equal(a.d.intake.roster.users.user[0].n_pinned[0], 0);
}

/* Whatever the quota: a whole context has room beside them. By default a user has a quarter of the pool. */
static void a_context_has_room_beside_pins(void **state)
{
	const char *quota = "100000";
	struct gyre_info info;

	(void)state;
	open_small(12, quota);
	pin(PREFIX, text, 128);
	collect(NULL, 0, 1);
	pin(0, text, 1);
	expect_end(-EDQUOT, "gyred's pool of 384 positions has no room for 32 more that are pinned");
	close_daemon();
	open_small(7, quota);
	pin(0, text, 1);
	expect_end(-EDQUOT, "no room for 32 more");
	close_daemon();
	open_small(16, NULL);
	gyre_info(g, &info);
	assert_int_equal(info.limits.n_pinned, 128);
	pin(PREFIX, text, 128);
	collect(NULL, 0, 1);
	pin(0, text, 1);
	expect_end(-EDQUOT, "pins 128 of the 128");
	close_daemon();
}

/* ---- chains ---- */

static void link_to_next(struct gyre_sqe *sqe)
{
	sqe->flags |= GYRE_SQE_LINK;
}

static void expect_order(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(end[i].user_data, i);
}

/* Each operation waits for what is before it: long ones first, so that they would else end last. */
static void links_end_in_order(const char *const *more)
{
	struct gyre_sqe *sqe;

	open_daemon(NULL, more);
	for (int round = 0; round < 3; round++) {
		sqe = generate(0, 0, text, N_PREFIX);
		gyre_sqe_set_keep(sqe, KEEP_MS);
		link_to_next(sqe);
		link_to_next(fork_of(1, 1, 0, 0, text, 3));
		sqe = gyre_get_sqe(g);
		assert_int_equal(gyre_prep_tokenize(g, sqe, "some text", 9), 0);
		sqe->user_data = 2;
		link_to_next(sqe);
		sqe = entry(3, 0);
		assert_int_equal(gyre_prep_score(g, sqe, text, 40, 20), 0);
		link_to_next(sqe);
		link_to_next(nop(4));
		link_to_next(nop(5));
		sqe = gyre_get_sqe(g);
		gyre_prep_cancel(sqe, 0); /* what the first one has kept */
		sqe->user_data = 6;
		link_to_next(sqe);
		fork_of(7, 0, 0, 0, NULL, 0); /* held by its fork until here */
		collect_ends(8);
		expect_order(8);
		for (uint32_t i = 0; i < 8; i++)
			assert_true(end[i].res >= 0);
		assert_int_equal(end[1].res, N_PREFIX + N_TOKEN - 1); /* not read again */
		assert_int_equal(end[2].res, 9);
		assert_int_equal(end[6].res, 1);
	}
	close_daemon();
}

static void a_chain_ends_in_order(void **state)
{
	static const char *const more[] = { "--replicas", "2", NULL };

	(void)state;
	links_end_in_order(NULL);
	links_end_in_order(more);
}

/* Each goes on from what another engine has than the one before it. */
static void a_chain_crosses_engines(void **state)
{
	static const char *const more[] = { "--replicas", "2", NULL };
	static struct said want[2], got[6];
	uint64_t n[2];

	(void)state;
	open_daemon(NULL, more);
	memset(want, 0, sizeof(want));
	for (uint32_t k = 0; k < 2; k++)
		generate(k, 1, text + k * 300, N_PREFIX);
	collect(want, 2, 2);
	for (uint32_t k = 0; k < 2; k++)
		prefill(PREFIX + k, text + k * 300, N_PREFIX); /* as much for each engine */
	collect(NULL, 0, 2);
	for (uint32_t k = 0; k < 2; k++)
		n[k] = counter_read(&engine(k)->emit.n_token);
	for (int round = 0; round < 5; round++) {
		memset(got, 0, sizeof(got));
		for (uint32_t k = 0; k < 6; k++) {
			struct gyre_sqe *sqe = fork_of(k, 1, PREFIX + k % 2, 0, NULL, 0);

			sqe->flags |= GYRE_SQE_LINK;
		}
		collect(got, 6, 6);
		for (uint32_t k = 0; k < 6; k++)
			same(&want[k % 2], &got[k], "a link");
	}
	for (uint32_t k = 0; k < 2; k++)
		assert_int_equal(counter_read(&engine(k)->emit.n_token) - n[k], 5 * 3 * N_TOKEN);
	close_daemon();
}

/* Whatever it is that fails, as soon as it is looked at or while it runs, the rest is cancelled, and says so. */
static void what_fails_takes_the_rest_along(void **state)
{
	(void)state;
	open_daemon(NULL, NULL);
	for (uint32_t bad = 0; bad < 4; bad++)
		for (uint32_t late = 0; late < 2; late++) {
			for (uint32_t i = 0; i < 5; i++) {
				struct gyre_sqe *sqe = i % 2 ? nop(i) : generate(i, 0, text, N_PREFIX);

				if (i == bad && late && bad % 2 == 0)
					sqe->deadline_ns = 1;
				else if (i == bad)
					sqe->reserved = 1;
				sqe->flags |= i < 4 ? GYRE_SQE_LINK : 0;
			}
			nop(5); /* of no chain */
			collect_ends(6);
			for (uint32_t i = 0; i < 6; i++) {
				uint64_t id = end[i].user_data;
				int res = id > bad && id < 5     ? -ECANCELED
					  : id != bad            ? 0
					  : late && bad % 2 == 0 ? -ETIME
								 : -EINVAL;

				assert_int_equal(end[i].res < 0 ? end[i].res : 0, res); /* else what it did not read */
				assert_true(res == 0 || strlen(end[i].words) > 10);
				if (res == -ECANCELED)
					assert_non_null(strstr(end[i].words, "GYRE_SQE_LINK"));
			}
		}
	close_daemon();
}

/* Members that wait can be cancelled; one of a client that goes is nobody's; a chain ends where its submission does. */
static void a_chain_can_be_broken(void **state)
{
	struct gyre *other;

	(void)state;
	open_daemon(NULL, NULL);
	link_to_next(generate(0, 0, text, N_PREFIX));
	link_to_next(generate(1, 0, text, N_PREFIX));
	generate(2, 0, text, N_PREFIX);
	gyre_prep_cancel(nop(3), 1);
	collect_ends(4);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(end[i].res, end[i].user_data == 3 ? 1 : end[i].user_data ? -ECANCELED : 0);

	other = g;
	g = appliance_connect(&a, NULL);
	for (uint32_t i = 0; i < 8; i++)
		link_to_next(generate(i, 0, text, 600));
	gyre_submit(g);
	gyre_close(g);
	g = other;

	nop(0)->reserved = 1;
	link_to_next(nop(1));
	link_to_next(nop(2)); /* the last that is submitted */
	gyre_submit(g);
	nop(3);
	collect_ends(4);
	assert_int_equal(end[3].res, 0);
	close_daemon();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(from_wherever_it_is),
					    cmocka_unit_test(of_each_architecture),
					    cmocka_unit_test(on_replicas),
					    cmocka_unit_test(a_score_is_the_same),
					    cmocka_unit_test(text_goes_on),
					    cmocka_unit_test(it_is_let_go_of),
					    cmocka_unit_test(it_holds_nobody_up),
					    cmocka_unit_test(it_gives_way),
					    cmocka_unit_test(bad_forks_are_told_why),
					    cmocka_unit_test(who_waits_for_one_that_fails_fails),
					    cmocka_unit_test(branches_in_a_small_pool),
					    cmocka_unit_test(what_is_pinned_stays),
					    cmocka_unit_test(pins_have_a_quota),
					    cmocka_unit_test(a_context_has_room_beside_pins),
					    cmocka_unit_test(a_chain_ends_in_order),
					    cmocka_unit_test(a_chain_crosses_engines),
					    cmocka_unit_test(what_fails_takes_the_rest_along),
					    cmocka_unit_test(a_chain_can_be_broken) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
