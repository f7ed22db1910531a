/*
 * Why it matters: a text that is split in other places than the model's own tokenizer splits it becomes other tokens, and nothing
 * fails. So each pre-tokenizer, by every name it has, is held to the pieces that HuggingFace's tokenizers make with the
 * patterns the models came with (tests/golden/pre.txt, tools/golden/pre.py).
 */
#include "daemon/text/pre.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_MAX  4096
#define N_TEXT    128
#define PIECE_MAX 4096

static char text[N_TEXT][TEXT_MAX], line[4 * TEXT_MAX], names[4 * TEXT_MAX];
static size_t text_n[N_TEXT];
static uint32_t n_text;

struct pieces {
	uint32_t n, len[PIECE_MAX];
};

static int put(void *arg, const char *p, size_t n)
{
	struct pieces *at = arg;

	(void)p;
	assert_true(at->n < PIECE_MAX && n > 0);
	at->len[at->n++] = (uint32_t)n;
	return 0;
}

static void expect_pieces(const struct pre *pre, struct pre_scratch *s, const char *name, uint32_t i, const char *want)
{
	struct pieces got = { 0 };
	uint32_t k = 0;

	assert_int_equal(pre_split(pre, s, text[i], text_n[i], put, &got), 0);
	for (char *end; *want && *want != '\n'; want = end, k++)
		if (k >= got.n || got.len[k] != strtoul(want, &end, 10))
			fail_msg("%s: piece %u of '%s' is of %u bytes, not %s", name, k, text[i],
				 k < got.n ? got.len[k] : 0, want);
	assert_int_equal(k, got.n);
}

/* A name's pieces of each text, from where the file stands; there again afterwards for the next name. */
static void expect_name(FILE *f, const char *name)
{
	struct pre pre = { 0 };
	struct pre_scratch s = { 0 };

	if (pre_init(&pre, name))
		fail_msg("no pre-tokenizer '%s'", name);
	assert_int_equal(pre_scratch_init(&s), 0);
	for (uint32_t i = 0; i < n_text; i++) {
		assert_non_null(fgets(line, sizeof(line), f));
		expect_pieces(&pre, &s, name, i, line);
	}
	pre_scratch_deinit(&s);
	pre_deinit(&pre);
}

static void read_text(const char *hex)
{
	unsigned byte;

	assert_true(n_text < N_TEXT);
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		text[n_text][text_n[n_text]++] = (char)byte;
	n_text++;
}

static void test_pieces_are_the_reference_tokenizers(void **state)
{
	FILE *f = fopen("tests/golden/pre.txt", "r");
	uint32_t n_name = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		long at = ftell(f);

		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "text ", 5)) {
			read_text(line + 5);
			continue;
		}
		assert_int_equal(strncmp(line, "pre ", 4), 0);
		snprintf(names, sizeof(names), "%s", line + 4);
		for (char *save, *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
			fseek(f, at, SEEK_SET);
			expect_name(f, name);
			n_name++;
		}
	}
	fclose(f);
	for (uint32_t i = 0; pre_row(i); i++)
		for (const char *z = pre_row(i)->names; z; z = strchr(z + 1, ' '))
			n_name--;
	assert_int_equal(n_name, 0); /* as many as there are */
}

static void test_names(void **state)
{
	(void)state;
	assert_ptr_equal(pre_find(NULL), pre_find("default"));
	assert_ptr_equal(pre_find(""), pre_find("default"));
	assert_null(pre_find("gpt"));
	assert_null(pre_find("smollm "));
	assert_null(pre_find("smollm starcoder"));
	assert_null(pre_find(" "));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_pieces_are_the_reference_tokenizers),
					    cmocka_unit_test(test_names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
