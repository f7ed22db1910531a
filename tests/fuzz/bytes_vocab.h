/*
 * A vocabulary for the fuzz targets: bytes 0x00…0xff as tokens 0…255, then three control tokens, a user-defined one, and a few
 * words; spelled as GPT-2 spells bytes, or as SPM's byte tokens.
 */
#ifndef GYRE_TESTS_FUZZ_BYTES_VOCAB_H
#define GYRE_TESTS_FUZZ_BYTES_VOCAB_H

#include "daemon/text/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_CONTROL 3
#define N_WORD    14

static const char *const WORD[N_WORD] = { "<|a|>", "<|ab|>", "<|a|>b", "<|", "ab",  "abab", " a",
					  "aa",    "aaaa",   "  ",     "th", "the", "12",   "''" };
static const char *const MERGE[] = { "a b", "ab ab", "\xc4\xa0 a", "a a", "aa aa", "\xc4\xa0 \xc4\xa0",
				     "t h", "th e",  "1 2",        "' '" };

/* pre: of byte-level BPE */
static inline struct vocab *bytes_vocab_pre(bool spm, const char *pre)
{
	static char spell[256 + N_WORD][16];
	struct text_span token[256 + N_WORD], merge[sizeof(MERGE) / sizeof(MERGE[0])];
	int32_t type[256 + N_WORD];
	float score[256 + N_WORD];
	struct vocab_source src = { .model = spm ? "llama" : "gpt2",
				    .pre = pre,
				    .n_token = 256 + N_WORD,
				    .token = token,
				    .score = score,
				    .type = type,
				    .n_merge = sizeof(MERGE) / sizeof(MERGE[0]),
				    .merge = merge,
				    .bos = -1,
				    .eos = -1,
				    .eot = -1,
				    .eom = -1,
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
		type[256 + i] = i < N_CONTROL ? 3 : i == N_CONTROL ? 4 : 1;
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

static inline struct vocab *bytes_vocab(bool spm)
{
	return bytes_vocab_pre(spm, "llama-bpe");
}

/* A template of gyred's own. */
static inline struct chat *bytes_chat(const char *name)
{
	const struct chat_token token[] = { { "bos_token", { "<|a|>", 5 } }, { "eos_token", { "<|ab|>", 6 } } };
	const struct chat_source src = { .text = chat_builtin(name), .token = token, .n_token = 2 };
	struct chat *c = NULL;
	char err[256];

	if (chat_new(&c, &src, err, sizeof(err)))
		abort();
	return c;
}

#endif
