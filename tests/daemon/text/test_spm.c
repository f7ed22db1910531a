/*
 * Why it matters: SPM merges over the whole text, and gyre does it word by word where the vocabulary allows. The ids must be the
 * same, or every prompt would be another one than the model was trained on.
 */
#include "daemon/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_WORD  300u
#define N_TOKEN (256u + N_WORD + 1u)
#define N_TEXT  64u
#define SPACE   "\xe2\x96\x81" /* as the file spells it */

static char spelling[N_TOKEN][64];
static struct text_span token[N_TOKEN];
static float score[N_TOKEN];
static int32_t type[N_TOKEN];
static uint32_t n_token;
static uint64_t rng_state = 3;

static uint32_t rng(uint32_t n)
{
	rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng_state >> 33) % n;
}

static void add(const char *z, float s, int32_t kind)
{
	snprintf(spelling[n_token], sizeof(spelling[0]), "%s", z);
	token[n_token] = (struct text_span){ spelling[n_token], (uint32_t)strlen(z) };
	score[n_token] = s;
	type[n_token++] = kind;
}

/* Spaces in front, then letters: "  abca". Scores repeat, so that ties occur. */
static void add_word(void)
{
	char z[64] = "";

	for (uint32_t n = rng(3); n; n--)
		strcat(z, SPACE);
	for (uint32_t n = rng(5); n; n--)
		strcat(z, (char[]){ (char)('a' + rng(4)), 0 });
	add(*z ? z : "a", -(float)rng(40), 1);
}

static struct vocab *make(uint32_t n)
{
	struct vocab_source src = { .model = "llama", .n_token = n, .token = token, .score = score, .type = type };
	struct vocab *v;
	char err[256];

	src.bos = src.eos = src.eot = src.eom = src.unk = src.pad = -1;
	src.add_space_prefix = true;
	if (vocab_new(&v, &src, err, sizeof(err)))
		fail_msg("%s", err);
	return v;
}

/* A token that no text here holds reaches over a space, so that the second vocabulary merges the whole text at once. */
static void test_word_by_word_is_the_same(void **state)
{
	struct vocab_scratch *s = vocab_scratch_new(N_TEXT);
	struct vocab *words, *whole;

	(void)state;
	for (uint32_t b = 0; b < 256; b++) {
		char hex[8];

		snprintf(hex, sizeof(hex), "<0x%02X>", b);
		add(hex, 0, 6);
	}
	for (uint32_t i = 0; i < N_WORD; i++)
		add_word();
	add("z" SPACE "z", 0, 1);
	words = make(n_token - 1);
	whole = make(n_token);
	for (uint32_t round = 0; round < 20000; round++) {
		uint32_t a[N_TEXT + 1], b[N_TEXT + 1];
		size_t n = 1 + rng(N_TEXT - 1);
		char text[N_TEXT];
		int n_id;

		for (size_t i = 0; i < n; i++)
			text[i] = "abcd    \n\xc3"[rng(10)];
		n_id = vocab_tokenize(words, s, text, n, true, false, a, N_TEXT + 1);
		assert_true(n_id > 0);
		assert_int_equal(vocab_tokenize(whole, s, text, n, true, false, b, N_TEXT + 1), n_id);
		assert_memory_equal(a, b, sizeof(a[0]) * (size_t)n_id);
	}
	vocab_free(words);
	vocab_free(whole);
	vocab_scratch_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_word_by_word_is_the_same) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
