/*
 * Why it matters: a chat template's own text makes control tokens and a user's must not, yet both are one text to the tokenizer: cut
 * apart, the pieces at the borders would be others than the model was trained on. So ids are compared with those of the same
 * text under both of the simple rules, and control tokens looked for wherever a range begins or ends.
 */
#include "tests/fuzz/bytes_vocab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TEXT_MAX  256u
#define RANGE_MAX 8u
#define A         256u /* <|a|> */
#define AB        257u /* <|ab|> */
#define A_B       258u /* <|a|>b */
#define OPEN      259u /* <|, user-defined */

static struct vocab *vocab[2];
static struct vocab_scratch *scratch;
static uint64_t rng_state = 5;

static uint32_t rng(uint32_t n)
{
	rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng_state >> 33) % n;
}

static int setup(void **state)
{
	(void)state;
	vocab[0] = bytes_vocab(false);
	vocab[1] = bytes_vocab(true);
	scratch = vocab_scratch_new(TEXT_MAX * VOCAB_GROWTH);
	return scratch ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	vocab_free(vocab[0]);
	vocab_free(vocab[1]);
	vocab_scratch_free(scratch);
	return 0;
}

/* How many of the control token there are. */
static int count(const struct vocab *v, const char *text, const struct jinja_range *range, size_t n_range,
		 uint32_t want)
{
	uint32_t id[TEXT_MAX];
	int n = 0, n_id = vocab_tokenize_mixed(v, scratch, text, strlen(text), false, range, n_range, id, TEXT_MAX);

	assert_true(n_id >= 0);
	for (int i = 0; i < n_id; i++)
		n += id[i] == want;
	return n;
}

#define COUNT(text, want, ...)                                             \
	count(vocab[k], text, (const struct jinja_range[]){ __VA_ARGS__ }, \
	      sizeof((const struct jinja_range[]){ __VA_ARGS__ }) / sizeof(struct jinja_range), want)

static void test_control_tokens_lie_inside_a_range(void **state)
{
	(void)state;
	for (int k = 0; k < 2; k++) {
		assert_int_equal(count(vocab[k], "<|a|>x<|a|>", NULL, 0, A), 0);
		assert_int_equal(COUNT("<|a|>x<|a|>", A, { 0, 11 }), 2);
		assert_int_equal(COUNT("<|a|>x<|a|>", A, { 0, 5 }), 1);
		assert_int_equal(COUNT("<|a|>x<|a|>", A, { 0, 4 }), 0);
		assert_int_equal(COUNT("<|a|>x<|a|>", A, { 1, 11 }), 1);
		assert_int_equal(COUNT("<|a|>x<|a|>", A, { 1, 10 }), 0);
		assert_int_equal(COUNT("<|a|>x<|a|>", A, { 0, 5 }, { 6, 11 }), 2);
		assert_int_equal(COUNT("<|a|><|a|>", A, { 0, 2 }, { 2, 5 }, { 5, 10 }), 2); /* touching */
		assert_int_equal(COUNT("<|a|><|a|>", A, { 0, 2 }, { 3, 10 }), 1);
		assert_int_equal(COUNT("<|a|>", A, { 0, UINT32_MAX }), 1);
		assert_int_equal(COUNT("<|a|>", A, { 7, 9 }), 0);
	}
}

/* As in a template "<|" + content + "|>" with the content "a". */
static void test_a_users_bytes_complete_no_control_token(void **state)
{
	(void)state;
	for (int k = 0; k < 2; k++) {
		assert_int_equal(COUNT("<|a|>", A, { 0, 2 }, { 3, 5 }), 0);
		assert_int_equal(COUNT("<|ab|>", AB, { 0, 3 }, { 4, 6 }), 0);
	}
}

static void test_what_is_not_allowed_hides_nothing(void **state)
{
	(void)state;
	for (int k = 0; k < 2; k++) {
		assert_int_equal(COUNT("<|a|>b", A_B, { 0, 6 }), 1);
		assert_int_equal(COUNT("<|a|>b", A, { 0, 5 }), 1);
		assert_int_equal(COUNT("<|a|>b", OPEN, { 0, 4 }), 1);
		assert_int_equal(COUNT("<|a|>b", OPEN, { 0, 6 }), 0);
	}
}

static void test_all_and_none_are_the_simple_rules(void **state)
{
	uint32_t mixed[TEXT_MAX], simple[TEXT_MAX];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		const struct jinja_range all = { 0, TEXT_MAX };
		const struct vocab *v = vocab[round & 1];
		bool special = round & 2;
		char text[TEXT_MAX];
		size_t n = rng(40);
		int n_id;

		for (size_t i = 0; i < n; i++)
			text[i] = "<|a|>b  \n\xc3"[rng(10)];
		n_id = vocab_tokenize(v, scratch, text, n, true, special, simple, TEXT_MAX);
		assert_int_equal(vocab_tokenize_mixed(v, scratch, text, n, true, &all, special, mixed, TEXT_MAX), n_id);
		assert_memory_equal(mixed, simple, (size_t)n_id * sizeof(*mixed));
	}
}

/* A text without control tokens is the same whatever its ranges: pieces and merges reach across their borders. */
static void test_borders_cut_nothing(void **state)
{
	uint32_t mixed[TEXT_MAX], simple[TEXT_MAX];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		const struct vocab *v = vocab[round & 1];
		struct jinja_range range[RANGE_MAX];
		char text[TEXT_MAX];
		size_t n = rng(60), n_range = 0;
		int n_id;

		for (size_t i = 0; i < n; i++)
			text[i] = "abth e12'  \n\xc3"[rng(13)];
		for (uint32_t at = rng(4); n_range < RANGE_MAX && at < n; at += rng(6)) {
			range[n_range].begin = at;
			range[n_range++].end = at += 1 + rng(8);
		}
		n_id = vocab_tokenize(v, scratch, text, n, false, false, simple, TEXT_MAX);
		assert_int_equal(vocab_tokenize_mixed(v, scratch, text, n, false, range, n_range, mixed, TEXT_MAX),
				 n_id);
		assert_memory_equal(mixed, simple, (size_t)n_id * sizeof(*mixed));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_control_tokens_lie_inside_a_range),
		cmocka_unit_test(test_a_users_bytes_complete_no_control_token),
		cmocka_unit_test(test_what_is_not_allowed_hides_nothing),
		cmocka_unit_test(test_all_and_none_are_the_simple_rules),
		cmocka_unit_test(test_borders_cut_nothing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
