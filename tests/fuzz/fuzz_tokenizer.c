/*
 * Any text, for SPM and every pre-tokenizer of BPE: the tokens' bytes are the text, wherever control tokens are allowed. An input
 * that begins with 0xff, 0 is repeated up to 16 KiB, so that a case which takes quadratic time trips the fuzzer's time limit.
 */
#include "daemon/text/pre.h"
#include "tests/fuzz/bytes_vocab.h"

#define TEXT_MAX   (64u << 10)
#define REPEAT_MAX (16u << 10)
#define ROW_MAX    64u

static struct vocab *vocab[1 + ROW_MAX]; /* SPM, then BPE by row */
static uint32_t n_vocab;

static void make_vocabs(void)
{
	vocab[n_vocab++] = bytes_vocab(true);
	for (uint32_t i = 0; pre_row(i); i++) {
		char name[64];

		if (i == ROW_MAX)
			abort();
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(pre_row(i)->names, " "), pre_row(i)->names);
		vocab[n_vocab++] = bytes_vocab_pre(false, name);
	}
}

/* Every other stretch of `width` bytes; 0: none, 1: all. How many ranges. */
static size_t make_ranges(struct jinja_range *range, size_t len, uint32_t width)
{
	size_t n = 0;

	if (width == 1)
		range[n++] = (struct jinja_range){ 0, UINT32_MAX };
	else if (width)
		for (uint32_t at = 0; at < len; at += 2 * width)
			range[n++] = (struct jinja_range){ at, at + width };
	return n;
}

static void check(const char *text, size_t len, const uint32_t *id, int n_id, uint32_t k)
{
	size_t at = 0;

	if (n_id < 0)
		abort();
	for (int i = 0; i < n_id; i++) {
		struct text_span t = vocab_token_bytes(vocab[k], id[i], false, true);

		if (k == 0 && t.n && t.p[0] == ' ' &&
		    (at == len || text[at] != ' ' || i == 0 || (id[i - 1] >= 256 && id[i - 1] < 256 + N_CONTROL)))
			t = (struct text_span){ t.p + 1, t.n - 1 }; /* the space that SPM puts in front */
		if (t.n > len - at || memcmp(text + at, t.p, t.n))
			abort();
		at += t.n;
	}
	if (at != len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct jinja_range range[TEXT_MAX / 2];
	static struct vocab_scratch *s;
	static char text[TEXT_MAX];
	static uint32_t id[TEXT_MAX + 1];
	size_t len = 0, copies, n_range;
	uint32_t k;

	if (!s) {
		make_vocabs();
		s = vocab_scratch_new(TEXT_MAX);
	}
	if (n < 3 || n > TEXT_MAX)
		return 0;
	copies = data[0] < 255 || data[1] || n > REPEAT_MAX ? 1 : REPEAT_MAX / n;
	for (size_t i = 0; i < copies; i++, len += n - 2)
		memcpy(text + len, data + 2, n - 2);
	k = (data[0] + (uint32_t)n) % n_vocab;
	n_range = make_ranges(range, len, data[1]);
	check(text, len, id, vocab_tokenize_mixed(vocab[k], s, text, len, false, range, n_range, id, TEXT_MAX + 1), k);
	return 0;
}
