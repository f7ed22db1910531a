/*
 * Each tokenizer model reads a text by rules of its own, and one id that its reference does not give is a word the model never
 * saw. tests/golden/vocabs has a small vocabulary for every one of them, what each of its tokens is in text ("p"), texts with
 * their ids ("t"), and with what the family puts around a text ("s"; tools/golden/vocabs.py); $GYRE_GOLDEN_VOCABS names another folder, for the long comparisons.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/text/vocab.h"
#include "daemon/text/vocab_gguf.h"
#include "daemon/gguf/gguf.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 65536

static struct vocab_scratch *scratch;
static char text[TEXT_MAX];
static uint32_t want[TEXT_MAX], got[TEXT_MAX];

static struct vocab *open_vocab(const char *path)
{
	struct vocab *v = NULL;
	char why[256] = "";
	struct error e;
	struct gguf *g;

	if (gguf_open(&g, path, &e))
		fail_msg("%s: %s", path, e.text);
	if (vocab_from_gguf(&v, g, why, sizeof(why)))
		fail_msg("%s: %s", path, why);
	gguf_close(g);
	return v;
}

/* "-": empty. *h ends behind it. */
static size_t unhex(char **h)
{
	size_t n = 0;
	unsigned byte;

	for (; n < TEXT_MAX && **h != ' ' && **h != '-' && sscanf(*h, "%2x", &byte) == 1; *h += 2)
		text[n++] = (char)byte;
	*h += **h == '-';
	return n;
}

static void expect_piece(const char *path, const struct vocab *v, uint32_t id, size_t n)
{
	struct text_span t = vocab_token_bytes(v, id, false, true);

	if (t.n != n || memcmp(t.p, text, n))
		fail_msg("%s: token %u is '%.*s', not '%.*s'", path, id, (int)t.n, t.p, (int)n, text);
}

static void expect_ids(const char *path, const struct vocab *v, size_t n, bool special, char *at)
{
	int n_want = 0, n_got, used;

	for (; sscanf(at, "%u%n", &want[n_want], &used) == 1; at += used)
		n_want++;
	n_got = vocab_tokenize(v, scratch, text, n, special, false, got, TEXT_MAX);
	if (n_got != n_want || memcmp(got, want, sizeof(*got) * (size_t)n_got))
		fail_msg("%s: other ids for '%.*s'", path, (int)n, text);
}

static uint32_t check_file(const char *path)
{
	char *txt = strdup(path), *line = NULL;
	struct vocab *v = open_vocab(path);
	uint32_t n_text = 0, n_piece = 0;
	size_t room = 0;
	FILE *f;

	strcpy(strrchr(txt, '.'), ".txt");
	f = fopen(txt, "r");
	assert_non_null(f);
	while (getline(&line, &room, f) > 0) {
		char *at = line + 2;
		size_t n = unhex(&at);

		if (line[0] == 'p')
			expect_piece(txt, v, n_piece++, n);
		else
			expect_ids(txt, v, n, line[0] == 's', at);
		n_text += line[0] == 't';
	}
	assert_true(n_piece == 0 || n_piece == vocab_size(v));
	fclose(f);
	free(line);
	free(txt);
	vocab_free(v);
	return n_text;
}

static void test_ids_are_the_references(void **state)
{
	const char *folder = getenv("GYRE_GOLDEN_VOCABS");
	uint32_t n_text = 0;
	char pattern[4096];
	glob_t files;

	(void)state;
	scratch = vocab_scratch_new(TEXT_MAX * VOCAB_GROWTH);
	snprintf(pattern, sizeof(pattern), "%s/*.gguf", folder ? folder : "tests/golden/vocabs");
	assert_int_equal(glob(pattern, 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++)
		n_text += check_file(files.gl_pathv[i]);
	assert_true(n_text > 50 * files.gl_pathc);
	print_message("%zu vocabularies, %u texts\n", files.gl_pathc, n_text);
	globfree(&files);
	vocab_scratch_free(scratch);
}

/* What a user wrote stays neither as text nor as ids. */
static void test_a_path_is_wiped(void **state)
{
	static const char *const path[] = { "tests/golden/vocabs/t5.gguf", "tests/golden/vocabs/plamo2.gguf" };
	static const char secret[] = "what the user wrote";

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct vocab_scratch *s = vocab_scratch_new(64);
		struct vocab *v = open_vocab(path[i]);

		assert_true(vocab_tokenize(v, s, secret, strlen(secret), false, false, got, TEXT_MAX) > 0);
		vocab_scratch_wipe(s);
		assert_null(memmem(s->arena, 65 * SCRATCH_PER_BYTE, "wrote", 5));
		for (size_t k = 0; k < strlen(secret); k++)
			assert_int_equal(scratch_path(s)[k], 0);
		vocab_free(v);
		vocab_scratch_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ids_are_the_references),
					    cmocka_unit_test(test_a_path_is_wiped) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
