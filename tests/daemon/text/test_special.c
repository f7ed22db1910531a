/*
 * Why it matters: what a model file leaves out is filled in by the reader of the file, and the model was trained with one way of
 * filling. Without BOS answers get worse; with an end mark that is not known they never stop.
 */
#include "daemon/text/text.h"
#include "tests/util/tiny_vocab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#define NORMAL  1
#define UNKNOWN 2
#define CONTROL 3
#define USER    4

static uint32_t id[64];

static int count(const struct tiny_vocab *t, const char *text, bool special)
{
	return vocab_tokenize(t->vocab, t->scratch, text, strlen(text), true, special, id, 64);
}

/* ---- defaults of absent keys ---- */

static void expect_bos(const char *pre, bool wanted)
{
	struct tokenizer_defaults d = tokenizer_defaults("gpt2", pre);

	if (d.add_bos != wanted)
		fail_msg("pre '%s': %s bos", pre ? pre : "", wanted ? "no" : "a");
}

static void test_bos_by_family(void **state)
{
	static const char *const with[] = { "llama3",   "llama-v3", "llama-bpe",    "falcon3", "falcon-h1", "pixtral",
					    "midm-2.0", "lfm2",     "jina-v5-nano", "tekken",  "chameleon" };
	static const char *const without[] = { "gpt-2", "qwen2",        "smollm",  "gpt-4o",
					       "dbrx",  "deepseek-llm", "default", "" };
	struct tokenizer_defaults spm = tokenizer_defaults("llama", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++)
		expect_bos(with[i], true);
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++)
		expect_bos(without[i], false);
	expect_bos(NULL, false);
	assert_true(spm.add_bos && !spm.add_eos && spm.add_space_prefix);
	assert_int_equal(spm.bos, 1);
	assert_int_equal(spm.eos, 2);
	assert_int_equal(spm.unk, 0);
}

static void test_merges_and_scores(void **state)
{
	struct tiny_vocab t = tiny_vocab_start("gpt2");

	(void)state;
	t.source.merge = NULL;
	assert_int_equal(tiny_vocab_try(&t), -EINVAL);
	assert_non_null(strstr(t.err, "merges"));
	t = tiny_vocab_start("llama");
	t.source.score = NULL;
	tiny_vocab_make(&t);
	assert_true(count(&t, "ab", false) > 0);
	tiny_vocab_free(&t);
}

static void test_unknown_pre_names_the_remedy(void **state)
{
	struct tiny_vocab t = tiny_vocab_start("gpt2");

	(void)state;
	t.source.pre = "no-such";
	assert_int_equal(tiny_vocab_try(&t), -EINVAL);
	assert_non_null(strstr(t.err, "\"no-such\""));
	assert_non_null(strstr(t.err, "tokenizer.ggml.pre"));
}

/* ---- ids outside the vocabulary ---- */

static void test_an_unused_id_may_be_anything(void **state)
{
	struct tiny_vocab t = tiny_vocab_start("gpt2");

	(void)state;
	t.source.pad = (int32_t)t.source.n_token;
	tiny_vocab_make(&t);
	assert_non_null(strstr(vocab_warning(t.vocab), "padding"));
	tiny_vocab_free(&t);
	t = tiny_vocab_start("gpt2");
	t.source.unk = t.source.eot = t.source.eom = t.source.bos = INT32_MAX;
	tiny_vocab_make(&t);
	assert_int_equal(vocab_bos(t.vocab), -1);
	assert_non_null(strstr(vocab_warning(t.vocab), "bos")); /* one without room is left out, none is cut short */
	assert_string_equal(strrchr(vocab_warning(t.vocab), ','), ", and is not used");
	tiny_vocab_free(&t);
	t = tiny_vocab_start("gpt2");
	tiny_vocab_make(&t);
	assert_string_equal(vocab_warning(t.vocab), "");
	tiny_vocab_free(&t);
}

static void test_a_used_id_may_not(void **state)
{
	struct tiny_vocab t = tiny_vocab_start("gpt2");

	(void)state;
	t.source.eos = (int32_t)t.source.n_token;
	assert_int_equal(tiny_vocab_try(&t), -EINVAL);
	t = tiny_vocab_start("gpt2");
	t.source.bos = (int32_t)t.source.n_token;
	t.source.add_bos = true;
	assert_int_equal(tiny_vocab_try(&t), -EINVAL);
	t = tiny_vocab_start("gpt2");
	t.source.add_bos = true;
	tiny_vocab_make(&t);
	assert_non_null(strstr(vocab_warning(t.vocab), "bos"));
	tiny_vocab_free(&t);
}

/* ---- ends of a generation ---- */

static void expect_end(const char *model, const char *text, int32_t type)
{
	struct tiny_vocab t = tiny_vocab_start(model);
	uint32_t end = tiny_vocab_add(&t, text, type);

	tiny_vocab_make(&t);
	if (!vocab_is_end(t.vocab, end))
		fail_msg("%s, type %d: '%s' ends nothing", model, type, text);
	assert_int_equal(vocab_token_bytes(t.vocab, end, false, false).n, 0);
	assert_int_equal(count(&t, text, true), 1);
	assert_true(count(&t, text, false) > 1);
	if ((type == NORMAL) != !!strstr(vocab_warning(t.vocab), text))
		fail_msg("'%s', type %d: warning '%s'", text, type, vocab_warning(t.vocab));
	tiny_vocab_free(&t);
}

static void test_end_marks_by_text(void **state)
{
	static const char *const mark[] = {
		"<|eot_id|>",
		"<|im_end|>",
		"<|end|>",
		"<|return|>",
		"<|call|>",
		"<|flush|>",
		"<|calls|>",
		"<end_of_turn>",
		"<|endoftext|>",
		"</s>",
		"<|eom_id|>",
		"<EOT>",
		"_<EOT>",
		"[EOT]",
		"[EOS]",
		"<eos>",
		"<turn|>",
		"<|end_of_text|>",
		"<|fim_pad|>",
		"<fim-pad>",
		"<fim_pad>",
		"<PAD>",
		"[PAD]",
		"<|fim_repo|>",
		"<fim-repo>",
		"<REPO>",
		"<reponame>",
		"[e~[",
		"<|eot|>",
		"<|repo_name|>",
		"<|file_sep|>",
		"<|tool_response>",
		"<end_of_utterance>",
		"<｜end▁of▁sentence｜>",
		"<|END_OF_TURN_TOKEN|>",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(mark) / sizeof(mark[0]); i++) {
		expect_end("gpt2", mark[i], CONTROL);
		expect_end("gpt2", mark[i], NORMAL);
		expect_end("gpt2", mark[i], USER);
		expect_end("llama", mark[i], NORMAL);
	}
}

static void test_ends_the_file_names(void **state)
{
	struct tiny_vocab t = tiny_vocab_start("gpt2");

	(void)state;
	t.source.eos = (int32_t)tiny_vocab_add(&t, "<x>", CONTROL);
	t.source.eot = (int32_t)tiny_vocab_add(&t, "<y>", CONTROL);
	t.source.eom = (int32_t)tiny_vocab_add(&t, "<z>", CONTROL);
	tiny_vocab_add(&t, "<w>", CONTROL);
	tiny_vocab_make(&t);
	for (uint32_t i = 0; i < t.source.n_token; i++)
		assert_int_equal(vocab_is_end(t.vocab, i), (int32_t)i == t.source.eos || (int32_t)i == t.source.eot ||
								   (int32_t)i == t.source.eom);
	tiny_vocab_free(&t);
}

/* Where an answer has several messages, <|end|> ends one of them; it is written, and a user's text still cannot make it. */
static void expect_message_mark(const char *a, const char *b)
{
	struct tiny_vocab t = tiny_vocab_start("gpt2");
	uint32_t end = tiny_vocab_add(&t, "<|end|>", CONTROL);

	tiny_vocab_add(&t, a, CONTROL);
	tiny_vocab_add(&t, b, CONTROL);
	tiny_vocab_make(&t);
	assert_false(vocab_is_end(t.vocab, end));
	assert_true(vocab_is_end(t.vocab, end + 1));
	assert_true(vocab_is_end(t.vocab, end + 2));
	assert_int_equal(vocab_token_bytes(t.vocab, end, false, false).n, 7);
	assert_true(count(&t, "<|end|>", false) > 1);
	assert_int_equal(count(&t, "<|end|>", true), 1);
	tiny_vocab_free(&t);
}

static void test_marks_that_others_tell(void **state)
{
	struct tiny_vocab t = tiny_vocab_start("gpt2");
	uint32_t s = tiny_vocab_add(&t, "</s>", CONTROL);
	uint32_t channel = tiny_vocab_add(&t, "<|channel|>", CONTROL);

	(void)state;
	tiny_vocab_add(&t, "<|tool_response>", CONTROL);
	tiny_vocab_make(&t);
	assert_false(vocab_is_end(t.vocab, s));
	assert_int_equal(vocab_token_bytes(t.vocab, channel, false, false).n, 11);
	tiny_vocab_free(&t);
	expect_message_mark("<|return|>", "<|call|>");
	expect_message_mark("<|calls|>", "<|flush|>");
}

/* ---- added tokens in a text ---- */

static void test_the_unknown_token_by_its_text(void **state)
{
	static const char *const model[] = { "gpt2", "llama" };

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct tiny_vocab t = tiny_vocab_start(model[k]);
		uint32_t unk = tiny_vocab_add(&t, "<unk>", UNKNOWN);

		tiny_vocab_make(&t);
		assert_int_equal(count(&t, "<unk>", true), 1);
		assert_int_equal(id[0], unk);
		assert_int_equal(count(&t, "<unk>", false), 5);
		tiny_vocab_free(&t);
	}
}

/* Phi-3's added tokens take the white space behind them, but for three. */
static void test_strips_after(void **state)
{
	struct tiny_vocab t = tiny_vocab_start("gpt2");
	uint32_t user = tiny_vocab_add(&t, "<|user|>", CONTROL), end = tiny_vocab_add(&t, "<|end|>", CONTROL);

	(void)state;
	tiny_vocab_add(&t, "<s>", CONTROL);
	t.source.strips_after = true;
	tiny_vocab_make(&t);
	assert_int_equal(count(&t, "<|user|>\n a<|end|>\xe3\x80\x80\r\n", true), 3);
	assert_int_equal(id[0], user);
	assert_int_equal(id[2], end);
	assert_int_equal(count(&t, "<s>\n<|user|>", true), 3);
	assert_int_equal(count(&t, "<|user|>\n", false), 9);
	tiny_vocab_free(&t);
}

static void test_strips_before(void **state)
{
	struct tiny_vocab t = tiny_vocab_start("gpt2");
	uint32_t mask = tiny_vocab_add(&t, "<mask>", CONTROL);

	(void)state;
	t.source.strips_before = "<mask>";
	tiny_vocab_make(&t);
	assert_int_equal(count(&t, "a \t\xc2\xa0<mask> b", true), 4);
	assert_int_equal(id[1], mask);
	assert_int_equal(count(&t, " <mask>", true), 1);
	assert_int_equal(count(&t, "a\xa0<mask>", true), 3); /* half a character is no white space */
	tiny_vocab_free(&t);
	assert_string_equal(tokenizer_defaults("gpt2", "jina-v2-de").strips_before, "<mask>");
	assert_string_equal(tokenizer_defaults("gpt2", "modern-bert").strips_before, "[MASK]");
	assert_null(tokenizer_defaults("gpt2", "gpt-2").strips_before);
}

/* ---- bytes without a token ---- */

static void test_nothing_in_a_text_is_refused(void **state)
{
	static const char *const model[] = { "gpt2", "llama" };

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct tiny_vocab t = tiny_vocab_start(model[k]);

		t.source.type = NULL; /* no byte tokens in the one that has them by type */
		tiny_vocab_make(&t);
		for (unsigned b = 1; b < 256; b++)
			assert_true(count(&t, (char[]){ (char)b, 'a', (char)b, (char)b, 0 }, true) >= 0);
		tiny_vocab_free(&t);
	}
}

/* Once for several in a row, as SentencePiece does. */
static void test_unknown_characters_of_spm(void **state)
{
	struct tiny_vocab t = tiny_vocab_start("llama");
	uint32_t unk = tiny_vocab_add(&t, "<unk>", UNKNOWN);

	(void)state;
	t.source.unk = (int32_t)unk;
	tiny_vocab_drop_bytes(&t);
	tiny_vocab_make(&t);
	assert_int_equal(count(&t,
			       "a\xc3\xa9\xe4\xb8\xad"
			       "b\xc3\xa9",
			       false),
			 4);
	assert_int_equal(id[1], unk);
	assert_int_equal(id[3], unk);
	tiny_vocab_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bos_by_family),
		cmocka_unit_test(test_merges_and_scores),
		cmocka_unit_test(test_unknown_pre_names_the_remedy),
		cmocka_unit_test(test_an_unused_id_may_be_anything),
		cmocka_unit_test(test_a_used_id_may_not),
		cmocka_unit_test(test_end_marks_by_text),
		cmocka_unit_test(test_ends_the_file_names),
		cmocka_unit_test(test_marks_that_others_tell),
		cmocka_unit_test(test_the_unknown_token_by_its_text),
		cmocka_unit_test(test_strips_after),
		cmocka_unit_test(test_strips_before),
		cmocka_unit_test(test_nothing_in_a_text_is_refused),
		cmocka_unit_test(test_unknown_characters_of_spm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
