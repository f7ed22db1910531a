/*
 * Why: vectors are stored, and compared with those of another day. So the bits of one depend on the text alone: not on the instruction
 * set, threads, nodes, the chunks that the text is read in, its neighbours, or blocks that were taken back meanwhile; and the mean is
 * of all tokens, each once.
 */
#include "daemon/gguf/gguf.h"
#include "daemon/util/counter.h"
#include "tests/daemon/appliance.h"
#include "tests/util/levels.h"

#include <errno.h>
#include <math.h>

#define WAIT_NS  300000000000ull
#define N_EMBD   320u /* two pieces */
#define N_PROMPT 60u
#define N_FEW    20u
#define N_KIND   6

static const uint32_t kinds[N_KIND] = { GYRE_POOLING_MEAN,
					GYRE_POOLING_LAST,
					GYRE_POOLING_CLS,
					GYRE_POOLING_MEAN | GYRE_POOLING_RAW,
					GYRE_POOLING_LAST | GYRE_POOLING_RAW,
					GYRE_POOLING_CLS | GYRE_POOLING_RAW };

struct vectors {
	float x[N_KIND + N_PROMPT][N_EMBD];
};

static struct appliance a;
static struct gyre *g;
static struct tiny model;
static uint32_t prompt[N_PROMPT];
static uint32_t n_embd, n_answer = 20, n_prompt = N_PROMPT;

static void open_as(char *const *extra, const struct gyre_params *p)
{
	struct gyre_info info;

	appliance_open(&a, &model, extra, true);
	g = appliance_connect(&a, p);
	gyre_info(g, &info);
	n_embd = info.n_embd;
	assert_true(n_embd <= N_EMBD);
}

static void close_all(void)
{
	gyre_close(g);
	appliance_close(&a);
}

static struct gyre_sqe *embed(uint32_t pooling, const uint32_t *token, uint32_t n, uint64_t id)
{
	const struct gyre_options o = { .pooling = pooling };
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	assert_int_equal(gyre_prep_embed(g, sqe, token, n * sizeof(*token)), 0);
	assert_int_equal(gyre_sqe_set_options(g, sqe, &o, NULL, NULL), 0);
	sqe->flags |= GYRE_SQE_TOKENS;
	sqe->user_data = id;
	return sqe;
}

/* Vectors of n requests, by their user_data; of others nothing is kept. */
static void collect(struct vectors *v, uint32_t n)
{
	const struct gyre_cqe *cqe;
	uint32_t n_got[N_KIND + N_PROMPT] = { 0 };

	for (; n; gyre_cqe_seen(g, cqe)) {
		size_t n_float;
		const float *x;

		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		assert_true(cqe->res >= 0);
		n -= !(cqe->flags & GYRE_CQE_MORE);
		if (cqe->user_data >= N_KIND + N_PROMPT)
			continue;
		x = gyre_cqe_floats(g, cqe, &n_float);
		if (cqe->flags & GYRE_CQE_MORE) {
			assert_int_equal(cqe->index, n_got[cqe->user_data]);
			assert_int_equal(cqe->res, n_float);
			assert_true(n_float == 256 || cqe->index + n_float == n_embd);
			memcpy(v->x[cqe->user_data] + cqe->index, x, n_float * sizeof(*x));
			n_got[cqe->user_data] += (uint32_t)n_float;
		} else {
			assert_true(cqe->flags & GYRE_CQE_PROMPT);
			assert_int_equal(n_got[cqe->user_data], n_embd);
		}
	}
}

/* All kinds, of the same prompt; one by one, or at once beside streams. */
static void ask(struct vectors *v, bool is_alone)
{
	memset(v, 0, sizeof(*v));
	for (uint32_t i = 0; i < N_KIND; i++) {
		uint32_t n_other = is_alone ? 0 : 1;
		struct gyre_sqe *sqe = n_other ? gyre_get_sqe(g) : NULL;

		if (sqe) {
			assert_int_equal(gyre_prep_generate(g, sqe, "a stranger in the step", 10 + i, n_answer), 0);
			sqe->user_data = UINT64_MAX;
		}
		embed(kinds[i], prompt, n_prompt, i);
		gyre_submit(g);
		if (is_alone)
			collect(v, 1);
	}
	if (!is_alone)
		collect(v, 2 * N_KIND);
}

static void same(const struct vectors *want, const struct vectors *got, const char *way)
{
	for (uint32_t i = 0; i < N_KIND; i++)
		if (memcmp(want->x[i], got->x[i], n_embd * sizeof(float)))
			fail_msg("%s: the vector of pooling %#x has other bits", way, kinds[i]);
}

static void run(struct vectors *v, const char *way, bool is_alone)
{
	char text[128], *word[16], *at = text;
	int n = 0;

	strcpy(text, way);
	for (char *w = strtok_r(at, " ", &at); w; w = strtok_r(NULL, " ", &at))
		word[n++] = w;
	word[n] = NULL;
	open_as(word, NULL);
	ask(v, is_alone);
	close_all();
}

static const char *const ways[] = { "--threads 2 --batch-rows 7", "--threads 3 --batch-rows 32",
				    "--threads 2 --nodes 2", "--threads 1 --batch-rows 1" };

static void nothing_but_the_text_matters(void **state)
{
	static struct vectors want, got;

	(void)state;
	run(&want, "--isa ref --threads 1 --batch-rows 1", true);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		run(&got, ways[i], i % 2);
		same(&want, &got, ways[i]);
	}
}

/* Some: what each gives is in model/test_hidden. */
static void of_any_architecture(void **state)
{
	static struct vectors want, got;
	const struct tiny before = model;

	(void)state;
	n_prompt = N_FEW;
	for (size_t i = 1; tiny_arch(i); i += 5) {
		model = tiny_served;
		model.arch = tiny_arch(i);
		model.n_layer = 1;
		model.n_ff = 256;
		run(&want, "--threads 1 --batch-rows 3", true);
		run(&got, i % 2 ? "--threads 2 --nodes 2 --batch-rows 7" : "--threads 2 --batch-rows 32", false);
		same(&want, &got, tiny_arch(i));
	}
	model = before;
	n_prompt = N_PROMPT;
}

/* The mean has the bits of the sum, in double and in order, of what each token gives as the last of its text. */
static void a_mean_is_of_each_token_once(void **state)
{
	static struct vectors v;
	double length = 0;

	(void)state;
	open_as(NULL, NULL);
	ask(&v, true);
	for (uint32_t i = 1; i <= N_PROMPT; i++) {
		embed(GYRE_POOLING_LAST | GYRE_POOLING_RAW, prompt, i, N_KIND + i - 1);
		gyre_submit(g);
		collect(&v, 1);
	}
	for (uint32_t k = 0; k < n_embd; k++) {
		double sum = 0, mean;

		for (uint32_t i = 0; i < N_PROMPT; i++)
			sum += (double)v.x[N_KIND + i][k];
		mean = sum * (1.0 / N_PROMPT);
		assert_true(v.x[3][k] == (float)mean);
		assert_true(v.x[4][k] == v.x[N_KIND + N_PROMPT - 1][k] && v.x[5][k] == v.x[N_KIND][k]);
		length += (double)v.x[0][k] * (double)v.x[0][k];
	}
	assert_true(fabs(length - 1) < 1e-6);
	for (uint32_t k = 0; k < n_embd; k++)
		assert_true(fabsf(v.x[0][k] * v.x[3][0] - v.x[3][k] * v.x[0][0]) <= 1e-6f * fabsf(v.x[3][0]));
	close_all();
}

/* The pool has room for a prompt and a half, and streams take blocks back. */
static void what_is_computed_again_counts_once(void **state)
{
	static char *const extra[] = {
		(char *)"--kv-bytes", (char *)"32K", (char *)"--batch-rows", (char *)"16", (char *)"--prefix-cache",
		(char *)"0",          NULL
	}; /* the prompt is the same */
	static struct vectors want, got;
	uint64_t n_row;

	(void)state;
	run(&want, "--threads 1", true);
	open_as(extra, NULL);
	n_answer = 80;
	ask(&got, false);
	n_answer = 20;
	same(&want, &got, "in a small pool");
	n_row = counter_read(&a.d.models.served[0].engine[0].sched.n_token_prompt);
	print_message("%llu rows of prompts\n", (unsigned long long)n_row);
	assert_true(n_row > N_KIND * (N_PROMPT + 17));
	close_all();
}

/* A ring of few entries takes a piece at a time. */
static void a_small_ring_only_slows_it(void **state)
{
	const struct gyre_params few = { .cq_entries = 8 };
	static struct vectors want, got;

	(void)state;
	run(&want, "--threads 1", true);
	open_as(NULL, &few);
	ask(&got, false);
	same(&want, &got, "through a small ring");
	close_all();
}

static void the_file_says_what_is_usual(void **state)
{
	const uint32_t type[] = { 0, 1, 2, 3, 4 }, same_as[] = { 1, 0, 2, 1, 1 };
	static struct vectors v;
	const struct tiny before = model;

	(void)state;
	for (int i = 0; i < 5; i++) {
		const struct tiny_kv kv = { ".pooling_type", GGUF_U32, &type[i], 4 };

		model.kv = &kv;
		model.n_kv = i > 0;
		open_as(NULL, NULL);
		ask(&v, true);
		embed(GYRE_POOLING_DEFAULT, prompt, N_PROMPT, N_KIND);
		gyre_submit(g);
		collect(&v, 1);
		assert_memory_equal(v.x[N_KIND], v.x[same_as[i]], n_embd * sizeof(float));
		close_all();
		model = before;
	}
}

static void refuse(const char *words)
{
	const struct gyre_cqe *cqe;
	const char *p;
	char text[GYRE_WORDS_MAX + 1];
	size_t n;

	gyre_submit(g);
	assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
	p = gyre_cqe_bytes(g, cqe, &n);
	snprintf(text, sizeof(text), "%.*s", (int)n, p);
	if (cqe->res != -EINVAL || !strstr(text, words))
		fail_msg("%d: '%s', not '%s'", cqe->res, text, words);
	gyre_cqe_seen(g, cqe);
}

static void what_means_nothing_is_refused(void **state)
{
	const struct gyre_options top = { .n_top = 3 }, pooling = { .pooling = GYRE_POOLING_MEAN };
	struct gyre_sqe *sqe;

	(void)state;
	open_as(NULL, NULL);
	embed(4, prompt, 5, 0);
	refuse("pooling is 0x4: it may be 0 to 3, and beside it 0x100 (not normalized)");
	sqe = embed(0, prompt, 5, 0);
	assert_int_equal(gyre_sqe_set_options(g, sqe, &top, NULL, NULL), 0);
	refuse("embed has no use for n_top, which is 3");
	sqe = embed(0, prompt, 5, 0);
	sqe->max_tokens = 1;
	refuse("embed has no use for max_tokens");
	sqe = gyre_get_sqe(g);
	assert_int_equal(gyre_prep_generate(g, sqe, "x", 1, 1), 0);
	assert_int_equal(gyre_sqe_set_options(g, sqe, &pooling, NULL, NULL), 0);
	refuse("generate has no use for pooling, which is 1");
	embed(0, prompt, 0, 0);
	refuse("the prompt is empty");
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_but_the_text_matters), cmocka_unit_test(of_any_architecture),
		cmocka_unit_test(a_mean_is_of_each_token_once), cmocka_unit_test(what_is_computed_again_counts_once),
		cmocka_unit_test(a_small_ring_only_slows_it),   cmocka_unit_test(the_file_says_what_is_usual),
		cmocka_unit_test(what_means_nothing_is_refused)
	};

	model = tiny_served;
	model.n_embd = N_EMBD;
	model.n_layer = 2;
	model.n_ff = 256;
	for (uint32_t i = 0; i < N_PROMPT; i++)
		prompt[i] = 'a' + i * i % 13 + i / 40;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
