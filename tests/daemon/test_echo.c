/*
 * Why: a probability that depends on how it was asked for is none. Each token of a prompt is told (GYRE_SQE_ECHO) with the bits that
 * SCORE gives it, in any chunks, beside others, with guesses or without, and once, even where blocks were taken back meanwhile; and
 * the answer behind it is the one that comes without.
 */
#include "daemon/util/counter.h"
#include "tests/daemon/appliance.h"

#define WAIT_NS  300000000000ull
#define N_PROMPT 150u
#define N_TOKEN  20u
#define N_TOP    3u

/* A completion without its time. */
struct said {
	int32_t res, token;
	uint32_t flags, index, n_bytes, n_top;
	float logprob;
	uint8_t bytes[GYRE_CQE_INLINE_BYTES];
	struct gyre_top top[N_TOP];
};

struct stream {
	uint32_t n;
	struct said said[N_PROMPT + N_TOKEN + 4];
};

static struct appliance a;
static struct gyre *g;
static struct tiny model;
static uint32_t prompt[N_PROMPT];
static uint32_t expect_first = 1; /* position of the first token that request 3 tells */

static const struct gyre_options plain = { .n_top = N_TOP }, bent = { .n_top = N_TOP,
								      .temperature = 0.9f,
								      .top_k = 20,
								      .repetition_penalty = 1.2f,
								      .frequency_penalty = 0.1f,
								      .seed = 3,
								      .n_bias = 1 };
static const struct gyre_bias bias = { 'e', 2.5f };

static void open_as(char *const *extra)
{
	appliance_open(&a, &model, extra, true);
	g = appliance_connect(&a, NULL);
}

static void close_all(void)
{
	gyre_close(g);
	appliance_close(&a);
}

static struct gyre_sqe *entry(const struct gyre_options *o, uint16_t flags, uint64_t id)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	assert_int_equal(gyre_sqe_set_options(g, sqe, o, &bias, NULL), 0);
	sqe->flags |= flags | GYRE_SQE_TOKENS;
	sqe->user_data = id;
	return sqe;
}

static void generate(const struct gyre_options *o, uint16_t flags, uint64_t id)
{
	struct gyre_sqe *sqe = entry(o, flags | GYRE_SQE_IGNORE_EOS, id);

	assert_int_equal(gyre_prep_generate(g, sqe, prompt, sizeof(prompt), N_TOKEN), 0);
	assert_int_equal(gyre_submit(g), 1);
}

static void score(const struct gyre_options *o, uint64_t id)
{
	assert_int_equal(gyre_prep_score(g, entry(o, 0, id), prompt, sizeof(prompt), 4), 0);
	assert_int_equal(gyre_submit(g), 1);
}

static void keep(struct stream *s, const struct gyre_cqe *cqe)
{
	struct said *d = &s->said[s->n++];
	const struct gyre_top *top;
	size_t n;

	assert_true(s->n <= sizeof(s->said) / sizeof(s->said[0]));
	top = gyre_cqe_top(g, cqe, &n);
	*d = (struct said){ .res = cqe->res < 0 ? cqe->res : 0, /* how many are known: the cache */
			    .token = cqe->token,
			    .flags = cqe->flags & ~(GYRE_CQE_ECHO | GYRE_CQE_EXT | GYRE_CQE_DRAFTED),
			    .index = cqe->index,
			    .n_bytes = cqe->n_bytes,
			    .n_top = (uint32_t)n,
			    .logprob = cqe->logprob };
	memcpy(d->bytes, cqe->bytes, sizeof(d->bytes));
	if (top)
		memcpy(d->top, top, n * sizeof(*top));
}

/* Streams of n requests; echoes apart from the rest. */
static void collect(struct stream *echo, struct stream *rest, uint32_t n)
{
	const struct gyre_cqe *cqe;

	for (; n; gyre_cqe_seen(g, cqe)) {
		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		n -= !(cqe->flags & GYRE_CQE_MORE);
		keep(cqe->flags & GYRE_CQE_ECHO ? &echo[cqe->user_data] : &rest[cqe->user_data], cqe);
		assert_true(cqe->res >= 0);
		if (cqe->flags & GYRE_CQE_ECHO) /* in order, and before the answer */
			assert_true(cqe->index + 1 ==
					    echo[cqe->user_data].n + (cqe->user_data == 3 ? expect_first : 1) &&
				    !rest[cqe->user_data].n);
	}
}

static bool is_same(const struct said *x, const struct said *y)
{
	return x->token == y->token && x->n_bytes == y->n_bytes && x->n_top == y->n_top &&
	       !memcmp(&x->logprob, &y->logprob, sizeof(x->logprob)) && !memcmp(x->bytes, y->bytes, sizeof(x->bytes)) &&
	       !memcmp(x->top, y->top, sizeof(x->top));
}

/* Echoed tokens against scored ones, and the answers with and without. */
static void check(const struct gyre_options *o)
{
	static struct stream echo[3], rest[3];

	memset(echo, 0, sizeof(echo));
	memset(rest, 0, sizeof(rest));
	generate(o, GYRE_SQE_ECHO, 0);
	score(o, 1);
	generate(o, 0, 2);
	collect(echo, rest, 3);
	assert_int_equal(echo[0].n, N_PROMPT - 1);
	assert_int_equal(echo[1].n + echo[2].n, 0);
	assert_int_equal(rest[1].n, N_PROMPT);
	for (uint32_t i = 0; i + 1 < N_PROMPT; i++) {
		assert_int_equal(echo[0].said[i].token, prompt[i + 1]);
		assert_int_equal(echo[0].said[i].index, i + 1);
		assert_int_equal(echo[0].said[i].n_top, N_TOP);
		if (!is_same(&echo[0].said[i], &rest[1].said[i]))
			fail_msg("token %u of the prompt was told other than it was scored", i + 1);
	}
	assert_int_equal(rest[0].n, N_TOKEN + 1);
	for (uint32_t i = 0; i < rest[0].n; i++)
		assert_memory_equal(&rest[0].said[i], &rest[2].said[i], sizeof(rest[0].said[i]));
}

static void an_echo_is_what_score_says(void **state)
{
	static char *const way[][9] = {
		{ (char *)"--threads", (char *)"1", (char *)"--batch-rows", (char *)"1", (char *)"--draft",
		  (char *)"none" },
		{ (char *)"--threads", (char *)"2", (char *)"--batch-rows", (char *)"7", (char *)"--draft",
		  (char *)"auto" },
		{ (char *)"--threads", (char *)"3", (char *)"--nodes", (char *)"2" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
		open_as(way[i]);
		check(&plain);
		check(&bent);
		close_all();
	}
}

#define N_FIRST 61u /* of the prompt: what is read before, and kept */

/* Without an answer, and of a prompt whose beginning another request has read: the rest is told. */
static void whoever_reads_it_tells_it(void **state)
{
	static struct stream echo[4], rest[4];
	struct gyre_sqe *sqe;

	(void)state;
	open_as(NULL);
	score(&plain, 0);
	sqe = entry(&plain, GYRE_SQE_ECHO, 1);
	assert_int_equal(gyre_prep_prefill(g, sqe, prompt, sizeof(prompt)), 0);
	sqe = entry(&plain, GYRE_SQE_ECHO, 2);
	assert_int_equal(gyre_prep_prefill(g, sqe, prompt, N_FIRST * sizeof(*prompt)), 0);
	gyre_sqe_set_keep(sqe, 10000);
	sqe = entry(&plain, GYRE_SQE_ECHO | GYRE_SQE_IGNORE_EOS, 3);
	assert_int_equal(
		gyre_prep_fork(g, sqe, 2, 0, prompt + N_FIRST, sizeof(prompt) - N_FIRST * sizeof(*prompt), N_TOKEN), 0);
	assert_int_equal(gyre_submit(g), 3);
	expect_first = N_FIRST;
	collect(echo, rest, 4);
	expect_first = 1;
	assert_int_equal(echo[1].n, N_PROMPT - 1);
	assert_int_equal(rest[1].n, 1);
	assert_int_equal(echo[2].n, N_FIRST - 1);
	assert_int_equal(echo[3].n, N_PROMPT - N_FIRST);
	assert_int_equal(rest[3].n, N_TOKEN + 1);
	for (uint32_t i = 0; i + 1 < N_PROMPT; i++) {
		assert_true(is_same(&echo[1].said[i], &rest[0].said[i]));
		assert_true(i + 1 < N_FIRST ? is_same(&echo[2].said[i], &rest[0].said[i])
					    : is_same(&echo[3].said[i + 1 - N_FIRST], &rest[0].said[i]));
	}
	close_all();
}

/* A ring of few entries pauses the prompt between its tokens. */
static void a_small_ring_only_slows_it(void **state)
{
	const struct gyre_params few = { .cq_entries = 8 };

	(void)state;
	appliance_open(&a, &model, NULL, true);
	g = appliance_connect(&a, &few);
	check(&plain);
	close_all();
}

/* The pool has room for one prompt and a half: blocks are taken back, and rows computed again. */
static void nothing_is_told_twice(void **state)
{
	static char *const extra[] = {
		(char *)"--kv-bytes", (char *)"40K", (char *)"--batch-rows", (char *)"16", (char *)"--prefix-cache",
		(char *)"0",          NULL
	};
	static struct stream echo[4], rest[4];
	uint64_t n_prompt;

	(void)state;
	open_as(extra);
	for (uint32_t i = 0; i < 4; i++)
		generate(&plain, GYRE_SQE_ECHO, i);
	collect(echo, rest, 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(echo[i].n, N_PROMPT - 1);
		assert_int_equal(rest[i].n, N_TOKEN + 1);
		for (uint32_t k = 0; k < echo[i].n; k++)
			assert_true(is_same(&echo[i].said[k], &echo[0].said[k]));
	}
	n_prompt = counter_read(&a.d.models.served[0].engine[0].sched.n_token_prompt);
	print_message("%llu rows of prompts of %u tokens\n", (unsigned long long)n_prompt, 4 * N_PROMPT);
	assert_true(n_prompt > 4 * N_PROMPT);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(an_echo_is_what_score_says),
					    cmocka_unit_test(whoever_reads_it_tells_it),
					    cmocka_unit_test(a_small_ring_only_slows_it),
					    cmocka_unit_test(nothing_is_told_twice) };

	model = tiny_served;
	model.n_layer = 1;
	model.n_ff = 256;
	for (uint32_t i = 0; i < N_PROMPT; i++)
		prompt[i] = 'a' + i * i % 13 + i / 40;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
