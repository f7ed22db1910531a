/*
 * A vocabulary comes from a stranger's file. What a table of it promises and does not hold must be found when it is made, with a
 * word that helps, since nothing is checked again while texts are read; and odd numbers must not take a text anywhere else.
 */
#include "daemon/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>

#define N_UNIT 256u
#define N_BYTE 256u
#define N_MORE 4u

/* A character map of one block: entry i's child by label c lies at i ^ offset ^ c. */
static struct {
	uint32_t bytes;
	uint32_t unit[N_UNIT];
	char text[64];
} map;

static char spelling[N_BYTE][8];
static struct text_span token[N_BYTE + N_MORE];
static int32_t type[N_BYTE + N_MORE];
static float score[N_BYTE + N_MORE];
static char err[256];

/* "A" becomes text[at…]. */
static void set_map(const char *to)
{
	memset(&map, 0, sizeof(map));
	map.bytes = sizeof(map.unit);
	map.unit['A'] = 'A' | 1u << 8 | 0x80u << 10;
	map.unit['A' ^ 0x80] = 1u << 31;
	snprintf(map.text, sizeof(map.text), "%s", to);
}

static struct vocab_source source(const char *model)
{
	struct vocab_source s = { .model = model,
				  .n_token = N_BYTE + N_MORE,
				  .token = token,
				  .type = type,
				  .score = score,
				  .charsmap = { (const char *)&map, sizeof(map) },
				  .unk = N_BYTE,
				  .bos = N_BYTE,
				  .eos = N_BYTE,
				  .eot = -1,
				  .pad = -1 };

	for (unsigned b = 0; b < N_BYTE; b++) {
		snprintf(spelling[b], sizeof(spelling[b]), "<0x%02X>", b);
		token[b] = (struct text_span){ spelling[b], 6 };
		type[b] = 6;
		score[b] = 0;
	}
	token[N_BYTE] = (struct text_span){ "<unk>", 5 };
	type[N_BYTE] = 2;
	for (unsigned i = 1; i < N_MORE; i++) {
		token[N_BYTE + i] = (struct text_span){ "aaa", i };
		type[N_BYTE + i] = 1;
		score[N_BYTE + i] = -1;
	}
	set_map("a");
	return s;
}

static void expect_refused(const struct vocab_source *s, const char *word)
{
	struct vocab *v = NULL;

	memset(err, 0, sizeof(err));
	assert_int_equal(vocab_new(&v, s, err, sizeof(err)), -EINVAL);
	if (!strstr(err, word))
		fail_msg("'%s' does not say '%s'", err, word);
}

static void test_tables_that_lie_are_refused(void **state)
{
	struct vocab_source s = source("t5");

	(void)state;
	map.unit['A'] = 'A' | 1u << 8 | 0x180u << 10; /* its end lies outside */
	expect_refused(&s, "charsmap");
	set_map("a");
	map.unit['A' ^ 0x80] = 1u << 31 | sizeof(map.text);
	expect_refused(&s, "charsmap");
	set_map("a");
	map.text[sizeof(map.text) - 1] = 'x'; /* the last replacement has no end */
	expect_refused(&s, "charsmap");
	set_map("aaaaaaaaaaaaa"); /* thirteen times as long */
	expect_refused(&s, "charsmap");
	set_map("a");
	map.bytes = sizeof(map);
	expect_refused(&s, "charsmap");
	set_map("a");
	s.charsmap.n = 3;
	expect_refused(&s, "charsmap");
}

static void test_what_a_tokenizer_needs_is_asked_for(void **state)
{
	static const char *const by_byte[] = { "rwkv", "plamo2" };
	struct vocab_source s;
	char *longest = calloc(1, 5000);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		s = source(by_byte[i]);
		s.unk = -1;
		token[7].n = 0;
		expect_refused(&s, "byte 0x07");
	}
	s = source("t5");
	s.unk = -1;
	type[7] = 1;
	expect_refused(&s, "unknown_token_id");
	s = source("bert");
	s.unk = -1;
	expect_refused(&s, "[UNK]");
	s = source("t5");
	token[N_BYTE + 1] = (struct text_span){ memset(longest, 'a', 5000), 5000 };
	expect_refused(&s, "too long");
	s = source("none");
	expect_refused(&s, "no vocabulary");
	s = source("sentencepiece");
	expect_refused(&s, "plamo2");
	free(longest);
}

/* A circle in the map, and a text of its longest string: found to be no string, in the time of its length. */
static void test_a_map_that_bites_its_tail_ends(void **state)
{
	struct vocab_source s = source("t5");
	struct vocab_scratch *scratch = vocab_scratch_new(1u << 16);
	uint32_t *id = malloc((2u << 16) * sizeof(*id));
	char *text = memset(malloc(1u << 16), 'A', 1u << 16);
	struct vocab *v;

	(void)state;
	map.unit['A'] = 'A' | 'A' << 10; /* its children are its parent's: A by A, for ever */
	assert_int_equal(vocab_new(&v, &s, err, sizeof(err)), 0);
	assert_true(vocab_tokenize(v, scratch, text, 1u << 16, false, false, id, 2u << 16) > 0);
	free(text);
	free(id);
	vocab_free(v);
	vocab_scratch_free(scratch);
}

/* The scratch holds a text that grows by as much as a map may make it, to the last byte. */
static void test_the_largest_growth_fits(void **state)
{
	struct vocab_source s = source("t5");
	struct vocab_scratch *scratch = vocab_scratch_new(1000);
	struct vocab *v;
	uint32_t id[12001];
	char text[1000];

	(void)state;
	set_map("aaaaaaaaaaaa");
	memset(text, 'A', sizeof(text));
	assert_int_equal(vocab_new(&v, &s, err, sizeof(err)), 0);
	assert_int_equal(vocab_tokenize(v, scratch, text, sizeof(text), false, false, id, 12001), 4000);
	for (int i = 0; i < 4000; i++)
		assert_int_equal(id[i], N_BYTE + 3);
	vocab_free(v);
	vocab_scratch_free(scratch);
}

static void test_odd_scores_make_ids_all_the_same(void **state)
{
	static const float odd[] = { NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f };
	static const char *const model[] = { "t5", "plamo2", "llama" };
	struct vocab_scratch *scratch = vocab_scratch_new(64);

	(void)state;
	for (size_t m = 0; m < 3; m++)
		for (size_t i = 0; i < 6 * 6; i++) {
			struct vocab_source s = source(model[m]);
			uint32_t id[128];
			struct vocab *v;
			int n;

			score[N_BYTE + 1] = odd[i % 6];
			score[N_BYTE + 2] = odd[i / 6];
			assert_int_equal(vocab_new(&v, &s, err, sizeof(err)), 0);
			n = vocab_tokenize(v, scratch, "aaaa b aaaaa", 12, false, false, id, 128);
			assert_in_range(n, 1, 13);
			for (int k = 0; k < n; k++)
				assert_true(id[k] < N_BYTE + N_MORE);
			vocab_free(v);
		}
	vocab_scratch_free(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_that_lie_are_refused),
		cmocka_unit_test(test_what_a_tokenizer_needs_is_asked_for),
		cmocka_unit_test(test_a_map_that_bites_its_tail_ends),
		cmocka_unit_test(test_the_largest_growth_fits),
		cmocka_unit_test(test_odd_scores_make_ids_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
