/*
 * Why: whoever is refused can only guess what an errno means, and guesses wrong. On the whole daemon: each refusal, and each request
 * that ends in an error, says in one line what the cause is, with its numbers, and what to do; whatever a client writes.
 */
#include "daemon/util/utf8.h"
#include "tests/daemon/appliance.h"
#include "tests/util/hostile.h"

#include <errno.h>
#include <math.h>

#define WAIT_NS 300000000000ull
#define N_CTX   256

static struct appliance a;
static struct gyre *g;

static struct {
	char why[GYRE_RESULT_TEXT_BYTES + 1];
	size_t n;
	int res;
	uint64_t user_data;
} got;

static void open_on(const struct tiny *model, const char *kv_bytes)
{
	char *extra[] = { (char *)"--ctx",
			  (char *)"256",
			  (char *)"--threads",
			  (char *)"1",
			  kv_bytes ? (char *)"--kv-bytes" : NULL,
			  (char *)kv_bytes,
			  NULL };

	appliance_open(&a, model, extra, true);
	g = appliance_connect(&a, NULL);
}

static int setup(void **state)
{
	(void)state;
	open_on(&tiny_served, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gyre_close(g);
	appliance_close(&a);
	return 0;
}

/* The next request that ends. */
static void take_from(struct gyre *from)
{
	const struct gyre_cqe *cqe;
	bool more = true;

	memset(&got, 0, sizeof(got));
	for (; more; gyre_cqe_seen(from, cqe)) {
		const void *bytes;

		assert_int_equal(gyre_wait_cqe(from, &cqe, WAIT_NS), 0);
		more = cqe->flags & GYRE_CQE_MORE;
		got.res = cqe->res;
		got.user_data = cqe->user_data;
		bytes = gyre_cqe_bytes(from, cqe, &got.n);
		if (!more && cqe->res < 0)
			memcpy(got.why, bytes, got.n);
	}
}

/* One line of text that is bounded; only a CANCEL needs no reason. */
static void check_form(void)
{
	if (got.res >= 0 || got.res == -ECANCELED)
		return;
	assert_in_range(got.n, 10, GYRE_WORDS_MAX);
	for (size_t i = 0, len; i < got.n; i += len) {
		len = utf8_char_len(got.why + i, got.n - i);
		assert_true(len && (unsigned char)got.why[i] >= ' ' && got.why[i] != 0x7f);
	}
}

static void expect(int res, const char *words)
{
	assert_true(gyre_submit(g) >= 0);
	take_from(g);
	check_form();
	if (got.res != res || !strstr(got.why, words))
		fail_msg("%d, \"%s\" is not %d, \"%s\"", got.res, got.why, res, words);
}

/* ---- an entry ---- */

static struct gyre_sqe *ask(const void *text, size_t n, uint32_t max)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	assert_int_equal(gyre_prep_generate(g, sqe, text, n, max), 0);
	return sqe;
}

static void a_field_is_named(void **state)
{
	struct gyre_sqe *s;

	(void)state;
	gyre_get_sqe(g)->opcode = 99;
	expect(-EOPNOTSUPP, "no operation 99: it has nop 0, generate 1, score 2, embed 3, tokenize 4, prefill 5, "
			    "cancel 6, detokenize 7");
	gyre_get_sqe(g)->reserved = 7;
	expect(-EINVAL, "nop has no use for reserved, which is 7: leave it 0");
	gyre_get_sqe(g)->flags = 0x1;
	expect(-EINVAL, "flags are 0x1: nop takes only 0x40");
	gyre_get_sqe(g)->keep_ms = 5;
	expect(-EINVAL, "nop has no use for keep_ms, which is 5: leave it 0");
	gyre_get_sqe(g)->max_tokens = 3;
	expect(-EINVAL, "nop has no use for max_tokens, which is 3");
	ask("x", 1, 1)->split = 1;
	expect(-EINVAL, "generate has no use for split, which is 1");
	ask("x", 1, 1)->target = 4;
	expect(-EINVAL, "generate has no use for target, which is 4");
	s = ask("x", 1, 1);
	s->data_off = UINT32_MAX - 3;
	s->data_len = 8;
	expect(-EINVAL, "data_off 4294967292 and data_len 8 end at 4294967300, behind the arena's 1048576 bytes");
	ask("x", 1, 1)->opts_off = 4;
	expect(-EINVAL, "opts_off is 4: options begin at a multiple of 8");
	ask("x", 1, 1)->opts_len = 60000;
	expect(-EINVAL, "opts_len is 60000: options with all biases and stop strings take at most 3168");
	ask("xyz", 3, 1)->flags = GYRE_SQE_TOKENS;
	expect(-EINVAL, "data_len is 3: token ids are 4 bytes each");
	ask("xyzt", 4, 1)->flags = GYRE_SQE_TOKENS;
	expect(-EINVAL, "token 1 of the prompt has the id 1954183544, which is not below 272, the size");
	s = gyre_get_sqe(g);
	assert_int_equal(gyre_prep_score(g, s, "abc", 3, 1), 0);
	s->split = 4;
	expect(-EINVAL, "split is 4, behind the text's end at 3");
}

static void set_options(const struct gyre_options *o, size_t n)
{
	struct gyre_sqe *s = ask("x", 1, 1);
	void *at = gyre_arena_alloc(g, n);

	memset(at, 0, n);
	memcpy(at, o, sizeof(*o));
	assert_int_equal(gyre_prep_generate(g, s, at, 1, 1), 0); /* the only one who knows an offset is libgyre */
	s->opts_off = s->data_off;
	s->opts_len = (uint32_t)n;
}

static void an_option_is_named_with_its_range(void **state)
{
	static const struct {
		struct gyre_options o;
		size_t n;
		const char *words;
	} bad[] = {
		{ { .temperature = 2000 }, 64, "temperature is 2000: it may be 0 to 1000" },
		{ { .top_p = 1.5f }, 64, "top_p is 1.5: it may be 0 to 1" },
		{ { .min_p = -1 }, 64, "min_p is -1: it may be 0 to 1" },
		{ { .repetition_penalty = INFINITY }, 64, "repetition_penalty is inf: it may be 0 to 1000" },
		{ { .presence_penalty = NAN }, 64, "presence_penalty is " },
		{ { .frequency_penalty = -1e30f }, 64, "frequency_penalty is -1e+30: it may be -1000 to 1000" },
		{ { .n_top = 21 }, 64, "n_top is 21: it may be 0 to 20" },
		{ { .n_stop = 9 }, 64, "n_stop is 9: it may be 0 to 8" },
		{ { .n_bias = 257 }, 64, "n_bias is 257: it may be 0 to 256" },
		{ { .n_bias = 2 }, 72, "n_bias is 2, but 8 bytes follow the options' header" },
		{ { .n_stop = 1 }, 64, "the options end inside stop string 1 of 1" },
		{ { .n_stop = 1 }, 72, "stop string 1 has 0 bytes: it may have 1 to 128" },
		{ { .n_stop = 0 }, 72, "8 bytes follow the last of 0 stop strings" },
		{ { .draft = 4 }, 64, "draft is 4: it may be 0 to 3" },
	};
	struct gyre_options o = { .size = 60 };

	(void)state;
	set_options(&o, 64);
	expect(-EINVAL, "the options' size is 60: this gyred's struct gyre_options has 64");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		o = bad[i].o;
		o.size = sizeof(o);
		set_options(&o, bad[i].n);
		expect(-EINVAL, bad[i].words);
	}
}

static void a_bias_is_named_by_its_number(void **state)
{
	struct gyre_bias bias[] = { { 1, 0 }, { 272, 0 } };
	const struct gyre_options o = { .n_bias = 2 };

	(void)state;
	assert_int_equal(gyre_sqe_set_options(g, ask("x", 1, 1), &o, bias, NULL), 0);
	expect(-EINVAL, "bias 2 is for token 272, and the vocabulary has 0 to 271");
	bias[1] = (struct gyre_bias){ 2, INFINITY };
	assert_int_equal(gyre_sqe_set_options(g, ask("x", 1, 1), &o, bias, NULL), 0);
	expect(-EINVAL, "bias 2 is inf: it may be -1e6 to 1e6, or -inf");
}

/* ---- a prompt ---- */

static void a_prompt_that_is_too_long_says_by_how_much(void **state)
{
	static char text[66000];

	(void)state;
	memset(text, 'a', sizeof(text));
	ask(text, sizeof(text), 1);
	expect(-E2BIG, "the prompt has 66000 bytes, and at most 65536 are read for a context of 256 positions");
	ask(text, 60000, 1);
	expect(-E2BIG, "the prompt of 60000 bytes has more than 256 tokens, and the context 256 positions");
	ask(text, N_CTX, 50);
	expect(-E2BIG, "the prompt has 256 tokens, and the context 256 positions; with an answer of 50 306 are needed");
	ask(text, 4 * (N_CTX + 1), 1)->flags = GYRE_SQE_TOKENS;
	expect(-E2BIG, "the prompt has 257 tokens, and the context 256 positions");
	assert_non_null(strstr(got.why, "larger --ctx"));
}

static void the_pool_is_told_beside_what_it_would_take(void **state)
{
	static char text[200];
	char words[128];

	(void)state;
	open_on(&tiny_served, "20K"); /* blocks of a few KiB */
	assert_in_range(a.d.models.served[0].geometry.n_kv, 32, 160);
	memset(text, 'a', sizeof(text));
	snprintf(words, sizeof(words), "(%u positions)", a.d.models.served[0].geometry.n_kv);
	ask(text, sizeof(text), 1);
	expect(-ENOSPC, words);
	assert_non_null(strstr(got.why, "the prompt's 200 tokens take"));
	assert_non_null(strstr(got.why, "larger --kv-bytes"));
	snprintf(words, sizeof(words), "fill gyred's whole KV pool of %u positions",
		 a.d.models.served[0].geometry.n_kv);
	ask(text, 8, 0)->flags = GYRE_SQE_IGNORE_EOS;
	expect(-ENOSPC, words);
	assert_non_null(strstr(got.why, "the prompt's 8 tokens and"));
}

/* ---- what is on its way ---- */

static void a_deadline_says_how_far_it_got(void **state)
{
	(void)state;
	ask("xyz", 3, 5)->deadline_ns = 1;
	expect(-ETIME, "its deadline passed after 0 of the prompt's 3 tokens and 0 of an answer");
}

/* Byte 'Z' is a token of its own, and its row of the embedding is a NaN. */
static void a_nan_says_what_may_be_its_cause(void **state)
{
	const struct gyre_options ban = { .n_bias = 1 };
	char out[GYRE_WORDS_MAX + 1];

	(void)state;
	open_on(&tiny_served, NULL);
	appliance_spoil(&a, "token_embd.weight", 'Z');
	ask("aZ", 2, 5);
	expect(-EDOM, "the model gave a NaN or an infinity after 0 tokens: its file is damaged");
	assert_int_equal(gyre_sqe_set_options(g, ask("aZ", 2, 5), &ban, &(struct gyre_bias){ 1, 1 }, NULL), 0);
	expect(-EDOM, "a logit bias bans every token, or its file is damaged");
	assert_int_equal(gyre_generate(g, "aZ", NULL, 5, out, sizeof(out)), -EDOM);
	assert_non_null(strstr(out, "a NaN or an infinity"));
	assert_int_equal(gyre_generate(g, "aZ", NULL, 5, out, 10), -EDOM);
	assert_string_equal(out, "the model");
	assert_int_equal(gyre_generate(g, "aZ", &ban, 5, out, sizeof(out)), -EINVAL);
	assert_string_equal(out, "");
}

/* As many at once as fill its share: what a uid has is told to that uid alone. */
static void who_has_too_many_is_told_how_many(void **state)
{
	const struct gyre_params p = { .sq_entries = 256, .cq_entries = 1024 };
	struct gyre *greedy = appliance_connect(&a, &p);
	uint32_t n_busy = 0;
	char words[64];

	(void)state;
	snprintf(words, sizeof(words), "of %u requests; uid %u has 128 beside one for each session",
		 a.d.models.served[0].pool.n, (unsigned)getuid());
	for (int i = 0; i < 200; i++) {
		struct gyre_sqe *sqe = gyre_get_sqe(greedy);

		assert_int_equal(gyre_prep_generate(greedy, sqe, "x", 1, 200), 0);
		sqe->flags |= GYRE_SQE_IGNORE_EOS;
	}
	assert_int_equal(gyre_submit(greedy), 200);
	for (int i = 0; i < 200; i++) {
		take_from(greedy);
		check_form();
		n_busy += got.res == -EBUSY;
		if (got.res && (got.res != -EBUSY || !strstr(got.why, words)))
			fail_msg("%d, %s", got.res, got.why);
	}
	assert_int_equal(n_busy, 200 - 129);
	gyre_close(greedy);
}

static void an_end_is_announced(void **state)
{
	(void)state;
	ask("y", 1, 1);
	expect(0, "");
	intake_close(&a.d.intake);
	ask("y", 1, 1);
	expect(-ESHUTDOWN, "gyred is shutting down");
}

/* ---- whatever a client writes ---- */

static void any_entry_at_all_is_answered_in_words(void **state)
{
	uint64_t seed = 7;
	uint32_t n_refused = 0;

	(void)state;
	for (int i = 0; i < 30000; i++) {
		struct gyre_sqe *sqe = ask("hello, hello, hello", 16, 1), was = *sqe;

		for (uint32_t k = hostile_random(&seed, 4); k > 0; k--)
			((uint8_t *)sqe)[hostile_random(&seed, sizeof(*sqe))] = (uint8_t)hostile_random(&seed, 256);
		sqe->deadline_ns = was.deadline_ns;
		sqe->max_tokens = sqe->max_tokens ? 1 : 0;
		assert_int_equal(gyre_submit(g), 1);
		take_from(g);
		check_form();
		n_refused += got.res < 0;
	}
	assert_true(n_refused > 5000);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define OWN(test)  cmocka_unit_test_setup_teardown(test, NULL, teardown) /* it opens its own */

int main(void)
{
	const struct CMUnitTest tests[] = { CASE(a_field_is_named),
					    CASE(an_option_is_named_with_its_range),
					    CASE(a_bias_is_named_by_its_number),
					    CASE(a_prompt_that_is_too_long_says_by_how_much),
					    OWN(the_pool_is_told_beside_what_it_would_take),
					    CASE(a_deadline_says_how_far_it_got),
					    OWN(a_nan_says_what_may_be_its_cause),
					    CASE(who_has_too_many_is_told_how_many),
					    CASE(an_end_is_announced),
					    CASE(any_entry_at_all_is_answered_in_words) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
