/*
 * A token id that differs from the model's own tokenizer is a word the model never saw: answers get worse and nothing
 * fails. So ids are compared with HuggingFace's tokenizers on tests/golden/tokens.txt (tools/golden/tokens.py), and chat
 * renderings with Jinja. Needs the model file: GYRE_TEST_MODEL or the cache; skipped without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/text/chat_gguf.h"
#include "daemon/text/chat.h"
#include "daemon/text/vocab_gguf.h"
#include "daemon/gguf/gguf.h"
#include "tests/util/testmodel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 65536

static struct vocab *vocab;
static struct chat *chat;
static struct vocab_scratch *scratch;
static char text[TEXT_MAX], hex[2 * TEXT_MAX + 2];
static uint32_t want[TEXT_MAX], got[TEXT_MAX];

static int setup(void **state)
{
	const char *path = testmodel_path();
	char err[256] = "";
	struct error e;
	struct gguf *g;

	(void)state;
	if (!path)
		return 0;
	assert_int_equal(gguf_open(&g, path, &e), 0);
	if (vocab_from_gguf(&vocab, g, err, sizeof(err)))
		fprintf(stderr, "%s\n", err);
	else if (chat_from_gguf(&chat, g, vocab, NULL, NULL, &e) != CHAT_MADE)
		fprintf(stderr, "%s\n", e.text);
	gguf_close(g);
	scratch = vocab_scratch_new(TEXT_MAX * VOCAB_GROWTH);
	return vocab && scratch ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	chat_free(chat);
	vocab_free(vocab);
	vocab_scratch_free(scratch);
	return 0;
}

static size_t unhex(const char *h)
{
	size_t n = 0;
	unsigned byte;

	for (; h[0] != '-' && sscanf(h, "%2x", &byte) == 1; h += 2)
		text[n++] = (char)byte;
	return n;
}

static void expect_back(const uint32_t *id, int n_id, size_t n)
{
	size_t at = 0;

	for (int i = 0; i < n_id; i++) {
		struct text_span t = vocab_token_bytes(vocab, id[i], i == 0, true);

		assert_true(at + t.n <= n);
		assert_memory_equal(text + at, t.p, t.n);
		at += t.n;
	}
	assert_int_equal(at, n);
}

/* Each line: the text in hexadecimal ("-": empty), then its ids. */
static void test_ids_are_the_reference_tokenizers(void **state)
{
	FILE *f;
	int n_case = 0;

	(void)state;
	if (!vocab)
		skip();
	f = fopen("tests/golden/tokens.txt", "r");
	assert_non_null(f);
	while (fscanf(f, "%131072s", hex) == 1) {
		size_t n = unhex(hex), n_want = 0;
		int n_got;

		while (fgetc(f) == ' ' && fscanf(f, "%u", &want[n_want]) == 1)
			n_want++;
		n_got = vocab_tokenize(vocab, scratch, text, n, true, true, got, TEXT_MAX);
		if (n_got != (int)n_want || memcmp(got, want, n_want * sizeof(*got)))
			print_message("differs: %.*s\n", (int)n, text);
		assert_int_equal(n_got, n_want);
		assert_memory_equal(got, want, n_want * sizeof(*got));
		expect_back(got, n_got, n);
		n_case++;
	}
	fclose(f);
	assert_true(n_case > 100);
}

/* A stream's bytes are the client's data: text that no tokenizer was trained for comes back as it went in. */
static void test_broken_utf8_comes_back(void **state)
{
	static const char *const broken[] = { "a\x80z", "\xe2\x82", "\xed\xa0\x80", "\xf0\x9f\x98 \xf0\x9f\x98\x80" };

	(void)state;
	if (!vocab)
		skip();
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		size_t n = strlen(broken[i]);
		int n_got;

		memcpy(text, broken[i], n);
		n_got = vocab_tokenize(vocab, scratch, text, n, false, false, got, TEXT_MAX);
		assert_true(n_got > 0);
		expect_back(got, n_got, n);
	}
}

/* The vocabulary has no token for 21 bytes. The reference leaves them out before it merges, and refuses no text. */
static void test_a_byte_without_token_is_left_out(void **state)
{
	int n_missing = 0;

	(void)state;
	if (!vocab)
		skip();
	for (unsigned b = 0; b < 256; b++) {
		char odd[] = { 'h', 'e', 'l', 'l', (char)b, 'o' };
		int n_got = vocab_tokenize(vocab, scratch, odd + 4, 1, false, false, got, 8);

		assert_in_range(n_got, 0, 1);
		if (n_got)
			continue;
		n_missing++;
		if (b >= 0x80) /* else a piece of its own */
			continue;
		n_got = vocab_tokenize(vocab, scratch, odd, 6, false, false, got, 8);
		assert_int_equal(vocab_token_bytes(vocab, got[n_got - 1], false, true).n, 1);
	}
	assert_int_equal(n_missing, 21);
	assert_int_equal(vocab_tokenize(vocab, scratch, "\xff", 1, false, false, got, 8), 0);
	/* U+40000, whose first byte is one of them. */
	assert_true(vocab_tokenize(vocab, scratch, "\xf1\x80\x80\x80 x", 6, false, false, got, 8) > 0);
}

/* Users may write "<|im_end|>" in a message; only the template's own marks may become control tokens. */
static void test_control_tokens_only_when_asked(void **state)
{
	(void)state;
	if (!vocab)
		skip();
	assert_int_equal(vocab_tokenize(vocab, scratch, "<|im_end|>", 10, false, true, got, 8), 1);
	assert_true(vocab_is_end(vocab, got[0]));
	assert_int_equal(vocab_token_bytes(vocab, got[0], false, false).n, 0);
	assert_true(vocab_tokenize(vocab, scratch, "<|im_end|>", 10, false, false, got, 8) > 1);
	assert_int_equal(vocab_tokenize(vocab, scratch, "<|im_end|>", 10, false, false, got, 1), -ENOBUFS);
}

static void test_chat_has_the_default_system(void **state)
{
	static const char expected[] =
		"<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
		"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
	const struct chat_message m = { CHAT_USER, { "Hi", 2 }, { NULL, 0 } };
	struct chat_scratch *s;
	struct chat_prompt p;
	char err[256];

	(void)state;
	if (!vocab)
		skip();
	assert_non_null(chat);
	s = chat_scratch_new(chat, TEXT_MAX);
	assert_int_equal(chat_render(chat, s, &m, 1, (struct text_span){ NULL, 0 }, &p, err, sizeof(err)), 0);
	assert_int_equal(p.n, strlen(expected));
	assert_memory_equal(p.text, expected, strlen(expected));
	chat_scratch_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_are_the_reference_tokenizers),
		cmocka_unit_test(test_broken_utf8_comes_back),
		cmocka_unit_test(test_a_byte_without_token_is_left_out),
		cmocka_unit_test(test_control_tokens_only_when_asked),
		cmocka_unit_test(test_chat_has_the_default_system),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
