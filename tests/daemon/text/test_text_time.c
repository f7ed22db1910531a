/*
 * Why it matters: a prompt comes from a stranger. One that took quadratic time would hold the text helper, and with it every
 * other long prompt, for hours. So texts made to be bad are timed at two lengths, and the longer one may cost little more
 * than in proportion: a ratio within one run, never a time.
 */
#include "daemon/text/pre.h"
#include "daemon/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SMALL  1024u
#define FACTOR 16u
#define LARGE  (SMALL * FACTOR)
#define SLACK  4 /* n log n, caches that overflow, a busy machine; a quadratic text has 16 */
#define RUNS   2
#define N_PAIR (26u * 26u)
#define ID_MAX (3 * LARGE + 1) /* a byte that forms no character is three to some */

/* ---- a vocabulary: every byte, runs of a and of spaces doubled, every pair of letters ---- */

static char spelling[4096][256];
static struct text_span token[4096], merge[4096];
static char merge_text[4096][512];
static float score[4096];
static int32_t type[4096];
static uint32_t n_token, n_merge;

/* GPT-2's printable stand-in for a byte. */
static const char *stand_in(unsigned b)
{
	static char z[4];
	unsigned c = b, next = 0x100;

	if (!((b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae)) {
		for (unsigned i = 0; i < b; i++)
			next += !((i >= 0x21 && i <= 0x7e) || (i >= 0xa1 && i <= 0xac) || i >= 0xae);
		c = next;
	}
	memset(z, 0, sizeof(z));
	z[0] = c < 0x80 ? (char)c : (char)(0xc0 | c >> 6);
	z[1] = c < 0x80 ? 0 : (char)(0x80 | (c & 0x3f));
	return z;
}

static uint32_t add(const char *z, int32_t kind)
{
	snprintf(spelling[n_token], sizeof(spelling[0]), "%s", z);
	token[n_token] = (struct text_span){ spelling[n_token], (uint32_t)strlen(spelling[n_token]) };
	score[n_token] = -(float)n_token;
	type[n_token] = kind;
	return n_token++;
}

static void add_merge(const char *left, const char *right)
{
	char both[256];

	snprintf(merge_text[n_merge], sizeof(merge_text[0]), "%s %s", left, right);
	merge[n_merge] = (struct text_span){ merge_text[n_merge], (uint32_t)strlen(merge_text[n_merge]) };
	n_merge++;
	snprintf(both, sizeof(both), "%s%s", left, right);
	add(both, 1);
}

static void add_doubled(const char *unit)
{
	char run[128] = "";

	for (snprintf(run, sizeof(run), "%s", unit); 2 * strlen(run) < 64;) {
		char half[128];

		memcpy(half, run, sizeof(half));
		add_merge(half, half);
		strcat(run, half);
	}
}

static void add_words(const char *space)
{
	add_doubled("a");
	add_doubled(space);
	for (uint32_t i = 1; i < N_PAIR; i++)
		add_merge((char[]){ (char)('a' + i / 26), 0 }, (char[]){ (char)('a' + i % 26), 0 });
	add("<|im_start|>", 3);
	add("<|im_end|>", 3);
}

static struct vocab *make(const char *model, const char *pre)
{
	struct vocab_source src = {
		.model = model, .pre = pre, .bos = -1, .eos = -1, .eot = -1, .eom = -1, .unk = -1, .pad = -1
	};
	struct vocab *v;
	char err[256];

	n_token = n_merge = 0;
	if (!strcmp(model, "bert"))
		src.bos = src.eos = src.unk = 0;
	for (unsigned b = 0; b < 256; b++) {
		char hex[8];

		snprintf(hex, sizeof(hex), "<0x%02X>", b);
		if (pre)
			add(stand_in(b), 1);
		else
			add(hex, 6);
	}
	for (char c = 'a'; !pre && c <= 'z'; c++)
		add((char[]){ c, 0 }, 1);
	add_words(pre ? stand_in(' ') : "\xe2\x96\x81");
	src.n_token = n_token;
	src.token = token;
	src.score = score;
	src.type = type;
	src.n_merge = n_merge;
	src.merge = merge;
	if (vocab_new(&v, &src, err, sizeof(err)))
		fail_msg("%s", err);
	return v;
}

/* ---- texts: a unit again and again, or letters at random ---- */

static const char *const unit[] = {
	"a",
	" ",
	"\n",
	" \n",
	"A",
	"Aa",
	"1",
	"!",
	"'",
	"'s",
	"a ",
	"\t\r\n",
	"\xff",
	"\xc3",
	"\xcc\x81",
	"e\xcc\x81",
	"\xcc\x81\xcc\xa3",
	"\xe4\xb8\xad",
	"\xf0\x9f\x98\x80",
	"<|",
	"<|im_start|",
	"<|im_start|>",
	"\xc2\xa0",
	" a",
	"\xe2\x96\x81",
	"\xc7\x85",
	"\xe3\x80\x80x",
	"1a",
	"\xd9\xa3",
	"a.",
	"   1",
	"IMG",
	NULL,
};

static void fill(char *text, size_t n, const char *u)
{
	uint64_t state = 1;

	for (size_t i = 0; i < n; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		text[i] = u ? u[i % strlen(u)] : (char)('a' + (state >> 40) % 26);
	}
}

static double seconds(const struct vocab *v, struct vocab_scratch *s, const char *text, size_t n, uint32_t *id)
{
	double best = 1e9;

	for (int i = 0; i < RUNS; i++) {
		struct timespec a, b;
		double t;
		int r;

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
		r = vocab_tokenize(v, s, text, n, false, true, id, ID_MAX);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
		assert_true(r >= 0); /* some leave out all of a text */
		t = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9;
		best = t < best ? t : best;
	}
	return best;
}

static void check(const char *model, const char *pre)
{
	struct vocab *v = make(model, pre);
	struct vocab_scratch *s = vocab_scratch_new(LARGE);
	uint32_t *id = malloc(ID_MAX * sizeof(*id));
	char *text = malloc(LARGE);

	for (size_t i = 0; i < sizeof(unit) / sizeof(unit[0]); i++) {
		double small, large;

		fill(text, LARGE, unit[i]);
		small = seconds(v, s, text, SMALL, id);
		large = seconds(v, s, text, LARGE, id);
		if (large > SLACK * FACTOR * small)
			fail_msg("%s %s: '%s' again and again takes %.0f times as long at %u times the length", model,
				 pre ? pre : "", unit[i] ? unit[i] : "(letters)", large / small, FACTOR);
	}
	free(text);
	free(id);
	vocab_scratch_free(s);
	vocab_free(v);
}

static void test_bpe_is_near_linear(void **state)
{
	(void)state;
	for (uint32_t i = 0; pre_row(i); i++) {
		char name[64];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(pre_row(i)->names, " "), pre_row(i)->names);
		check("gpt2", name);
	}
}

static void test_spm_is_near_linear(void **state)
{
	(void)state;
	check("llama", NULL);
}

static void test_others_are_near_linear(void **state)
{
	static const char *const model[] = { "bert", "t5", "rwkv", "plamo2", "gemma4", "whitespace" };

	(void)state;
	for (size_t i = 0; i < sizeof(model) / sizeof(model[0]); i++)
		check(model[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_bpe_is_near_linear),
					    cmocka_unit_test(test_spm_is_near_linear),
					    cmocka_unit_test(test_others_are_near_linear) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
