/*
 * Why it matters: a family whose training texts were in form C has never seen "e" and an accent apart. The forms of whole texts
 * are compared with the reference in test_vocabs.c; here stand the promises that the merging relies on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/gguf/gguf.h"
#include "daemon/text/nfc.h"
#include "daemon/text/unicode.h"
#include "daemon/text/vocab.h"
#include "daemon/text/vocab_gguf.h"
#include "daemon/util/utf8.h"

#include <string.h>

#define CODE_END 0x110000u

static _Alignas(int32_t) char room[4096 * NFC_ROOM_BYTES];
static char out[4096 * NFC_GROWTH];

static void expect(const char *text, const char *want)
{
	size_t n = nfc_write(out, text, strlen(text), room);

	if (n != strlen(want) || memcmp(out, want, n))
		fail_msg("'%s' becomes '%.*s', not '%s'", text, (int)n, out, want);
}

static bool is_surrogate(uint32_t c)
{
	return c >= 0xd800 && c < 0xe000;
}

static void test_no_character_grows_by_more(void **state)
{
	size_t most = 0;

	(void)state;
	for (uint32_t c = 0; c < CODE_END; c++) {
		char text[4];
		size_t n = is_surrogate(c) ? 0 : utf8_encode(text, c);
		size_t n_out = n ? nfc_write(out, text, n, room) : 0;

		assert_true(n_out <= n * NFC_GROWTH);
		most = n_out > most ? n_out : most;
	}
	assert_int_equal(most, 12); /* the bound is no larger than it must be */
}

/* A character that is plain stays as it is, and what stands in front of it does too. */
static void test_plain_text_is_in_form_c(void **state)
{
	static bool follows[CODE_END]; /* composes with a character in front */

	(void)state;
	for (uint32_t c = 0; c < CODE_END; c++) {
		uint32_t d[UNICODE_DECOMPOSED_MAX];
		int n = is_surrogate(c) ? 0 : unicode_decompose(c, d);

		for (int i = 1; i < n; i++)
			follows[d[i]] = true;
	}
	for (uint32_t c = 0; c < CODE_END; c++) {
		char text[4];
		size_t n = is_surrogate(c) ? 0 : utf8_encode(text, c);

		if (!n || !nfc_is_plain(text, n))
			continue;
		assert_false(follows[c]);
		assert_int_equal(unicode_combining(c), 0);
		assert_int_equal(nfc_write(out, text, n, room), n);
		assert_memory_equal(out, text, n);
	}
}

static void test_texts(void **state)
{
	(void)state;
	expect("", "");
	expect("cafe\xcc\x81!", "caf\xc3\xa9!");
	expect("e\xcc\x81\xcc\xa3", "\xe1\xba\xb9\xcc\x81");            /* the dot below comes first, and composes */
	expect("\xcc\x81\xcc\xa3x", "\xcc\xa3\xcc\x81x");               /* no letter in front */
	expect("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81"); /* 각 of three */
	expect("\xe2\x84\xab\xe2\x84\xa6", "\xc3\x85\xce\xa9");         /* units of measurement are letters */
	expect("\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc");             /* one that is never composed */
	expect("\xef\xa4\x80", "\xe8\xb1\x88");
	expect("a\xcc\x80\xcc\x80", "\xc3\xa0\xcc\x80");
	assert_true(nfc_is_plain("the 中文 ほげ 한국 мир é 😀", strlen("the 中文 ほげ 한국 мир é 😀")));
	assert_false(nfc_is_plain("e\xcc\x81", 3));
}

/* Marks above and below in turn, more than are sorted one by one: those below come first, each kind in its order. */
static void test_a_long_run_of_marks_is_sorted(void **state)
{
	char text[1 + 600 * 2], want[sizeof(text)], *below = want + 1, *above = want + 1 + 600;

	(void)state;
	text[0] = want[0] = 'x';
	for (int i = 0; i < 600; i++) {
		bool is_below = i % 2;
		char mark[2] = { (char)0xcc, (char)(is_below ? (i % 4 == 1 ? 0xad : 0xa3) : (i % 4 ? 0x81 : 0x82)) };

		memcpy(text + 1 + 2 * i, mark, 2);
		memcpy(is_below ? below : above, mark, 2);
		below += is_below ? 2 : 0;
		above += is_below ? 0 : 2;
	}
	assert_int_equal(nfc_write(out, text, sizeof(text), room), sizeof(text));
	assert_memory_equal(out, want, sizeof(text));
}

static struct vocab *open_vocab(void)
{
	struct vocab *v = NULL;
	char why[256];
	struct error e;
	struct gguf *g;

	assert_int_equal(gguf_open(&g, "tests/golden/vocabs/nfc.gguf", &e), 0);
	assert_int_equal(vocab_from_gguf(&v, g, why, sizeof(why)), 0);
	gguf_close(g);
	return v;
}

/* As long a text as the scratch takes, of the character that grows most, all one piece; then nothing of it is left. */
static void test_the_longest_text_grows_and_is_wiped(void **state)
{
	static uint32_t id[VOCAB_ID_MAX(4000)];
	struct vocab *v = open_vocab();
	struct vocab_scratch *s = vocab_scratch_new(4000 * VOCAB_GROWTH);
	struct vocab_scratch *small = vocab_scratch_new(11999);
	static char text[4000];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i += 4)
		memcpy(text + i, "\xf0\x9d\x85\xa0", 4);
	assert_true(vocab_tokenize(v, s, text, sizeof(text), false, false, id, VOCAB_ID_MAX(sizeof(text))) > 0);
	vocab_scratch_wipe(s);
	assert_int_equal(vocab_tokenize(v, small, text, sizeof(text), false, false, id, VOCAB_ID_MAX(sizeof(text))),
			 -ENOBUFS);
	vocab_scratch_free(small);
	for (size_t i = 0; i < 12000; i++)
		assert_int_equal(s->text[i], 0);
	for (size_t i = 0; i < 12000 * sizeof(*s->symbol); i++)
		assert_int_equal(s->arena[i], 0);
	vocab_scratch_free(s);
	vocab_free(v);
}

/* Two letters that would compose stay apart where a token or a byte that is no text stands between them. */
static void test_each_stretch_is_its_own(void **state)
{
	static uint32_t one[64], two[64];
	struct vocab *v = open_vocab();
	struct vocab_scratch *s = vocab_scratch_new(64 * VOCAB_GROWTH);
	int n = vocab_tokenize(v, s, "e\xcc\x81", 3, false, false, one, 64);

	(void)state;
	assert_int_equal(vocab_tokenize(v, s, "\xc3\xa9", 2, false, false, two, 64), n);
	assert_memory_equal(one, two, (size_t)n * sizeof(*one));
	n = vocab_tokenize(v, s, "e\xff\xcc\x81", 4, false, false, one, 64);
	for (int i = 0, at = 0; i < n; i++) {
		struct text_span t = vocab_token_bytes(v, one[i], false, true);

		assert_memory_equal("e\xff\xcc\x81" + at, t.p, t.n);
		at += (int)t.n;
	}
	vocab_scratch_free(s);
	vocab_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_character_grows_by_more),
		cmocka_unit_test(test_plain_text_is_in_form_c),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_a_long_run_of_marks_is_sorted),
		cmocka_unit_test(test_the_longest_text_grows_and_is_wiped),
		cmocka_unit_test(test_each_stretch_is_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
