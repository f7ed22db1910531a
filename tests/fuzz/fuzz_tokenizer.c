/*
 * Any text, both tokenizers: the tokens' bytes are the text, or it is refused. Each input is repeated up to 256 KiB, so a
 * case that takes quadratic time trips the fuzzer's time limit.
 */
#include "daemon/text/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (256u << 10)
#define N_WORD   12

static const char *const WORD[N_WORD] = { "<|a|>", "<|ab|>", "ab", "abab", " a", "aa",
					  "aaaa",  "  ",     "th", "the",  "12", "''" };
static const char *const MERGE[] = { "a b", "ab ab", "\xc4\xa0 a", "a a", "aa aa", "\xc4\xa0 \xc4\xa0",
				     "t h", "th e",  "1 2",        "' '" };

/* Bytes 0x00…0xff as tokens 0…255, then WORD. Spelled as GPT-2 spells bytes, or as SPM's byte tokens. */
static struct vocab *make(bool spm)
{
	static char spell[256 + N_WORD][16];
	struct text_span token[256 + N_WORD], merge[sizeof(MERGE) / sizeof(MERGE[0])];
	int32_t type[256 + N_WORD];
	float score[256 + N_WORD];
	struct vocab_source src = { .model = spm ? "llama" : "gpt2",
				    .pre = "llama-bpe",
				    .n_token = 256 + N_WORD,
				    .token = token,
				    .score = score,
				    .type = type,
				    .n_merge = sizeof(MERGE) / sizeof(MERGE[0]),
				    .merge = merge,
				    .bos = -1,
				    .eos = -1,
				    .eot = -1,
				    .unk = -1,
				    .pad = -1,
				    .add_space_prefix = spm };
	struct vocab *v = NULL;
	unsigned next = 0x100;
	char err[256];

	for (unsigned b = 0; b < 256; b++) {
		bool prints = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad);
		unsigned cp = prints ? b : next++;

		if (spm)
			snprintf(spell[b], 8, "<0x%02X>", b);
		else if (cp < 0x80)
			memcpy(spell[b], (char[]){ (char)cp, 0 }, 2);
		else
			memcpy(spell[b], (char[]){ (char)(0xc0 | cp >> 6), (char)(0x80 | (cp & 0x3f)), 0 }, 3);
		type[b] = spm ? 6 : 1;
	}
	for (int i = 0; i < N_WORD; i++) {
		const char *w = WORD[i];
		size_t k = 0;

		for (; *w; w++) {
			bool space = *w == ' ';
			const char *c = space ? (spm ? "\xe2\x96\x81" : "\xc4\xa0") : (char[]){ *w, 0 };

			memcpy(spell[256 + i] + k, c, strlen(c));
			k += strlen(c);
		}
		spell[256 + i][k] = 0;
		type[256 + i] = i < 2 ? 3 : 1;
	}
	for (uint32_t i = 0; i < 256 + N_WORD; i++) {
		token[i] = (struct text_span){ spell[i], (uint32_t)strlen(spell[i]) };
		score[i] = -(float)i;
	}
	for (uint32_t i = 0; i < src.n_merge; i++)
		merge[i] = (struct text_span){ MERGE[i], (uint32_t)strlen(MERGE[i]) };
	if (vocab_new(&v, &src, err, sizeof(err)))
		abort();
	return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct vocab *vocab[2];
	static struct vocab_scratch *s;
	static char text[TEXT_MAX];
	static uint32_t id[TEXT_MAX + 1];
	size_t len = 0, copies;

	if (!s) {
		vocab[0] = make(false);
		vocab[1] = make(true);
		s = vocab_scratch_new(TEXT_MAX);
	}
	if (n < 2 || n > TEXT_MAX)
		return 0;
	copies = data[0] < 250 ? 1 : TEXT_MAX / n;
	for (size_t i = 0; i < copies; i++, len += n - 1)
		memcpy(text + len, data + 1, n - 1);
	for (int k = 0; k < 2; k++) {
		int n_id = vocab_tokenize(vocab[k], s, text, len, false, n & 1, id, TEXT_MAX + 1);
		size_t at = 0;

		if (n_id < 0)
			abort();
		for (int i = 0; i < n_id; i++) {
			struct text_span t = vocab_token_bytes(vocab[k], id[i], false, true);

			if (k == 1 && t.n && t.p[0] == ' ' &&
			    (at == len || text[at] != ' ' || i == 0 || id[i - 1] == 256 || id[i - 1] == 257))
				t = (struct text_span){ t.p + 1, t.n - 1 }; /* the space that SPM puts in front */
			if (t.n > len - at || memcmp(text + at, t.p, t.n))
				abort();
			at += t.n;
		}
		if (at != len)
			abort();
	}
	return 0;
}
