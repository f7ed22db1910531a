/*
 * HybridDNA: byte-level BPE, but the text between <dna> and </dna>, or behind <dna> to the end, is bases: in upper case, cut
 * into sixes, the last one filled up with A; a six without a token is <oov>. In the file U+E000 behind a six tells it from the
 * word of the same letters.
 */
#include "daemon/text/vocab.h"

#include <string.h>

#define SIX 6u

static const char OPEN[] = "<dna>", CLOSE[] = "</dna>", OOV[] = "<oov>", MARK[] = "\xee\x80\x80";

static uint32_t find(const struct vocab *v, const char *z)
{
	return vocab_find(v, z, strlen(z));
}

static uint32_t find_six(const struct vocab *v, const char *six)
{
	uint32_t node = 0;

	for (uint32_t i = 0; i < SIX; i++)
		if (!(node = trie_step(&v->trie, node, six[i])))
			return TOKEN_NONE;
	for (const char *m = MARK; *m; m++)
		if (!(node = trie_step(&v->trie, node, *m)))
			return TOKEN_NONE;
	return v->trie.id[node];
}

static int put_bases(const struct vocab *v, const char *p, size_t n, uint32_t oov, struct token_out *o)
{
	int r = 0;

	for (size_t at = 0; !r && at < n; at += SIX) {
		char six[SIX];
		uint32_t id;

		for (size_t i = 0; i < SIX; i++) {
			char c = at + i < n ? p[at + i] : 'A';

			six[i] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
		}
		id = find_six(v, six);
		r = token_out_put(o, id == TOKEN_NONE ? oov : id);
	}
	return r;
}

static int dna_text(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, bool lead,
		    struct token_out *o)
{
	uint32_t open = find(v, OPEN), close = find(v, CLOSE), oov = find(v, OOV);
	bool all = open != TOKEN_NONE && close != TOKEN_NONE && oov != TOKEN_NONE;
	int r = 0;

	for (size_t at = 0; !r && at < n;) {
		const char *from = all ? memmem(p + at, n - at, OPEN, strlen(OPEN)) : NULL, *to;
		size_t n_text = from ? (size_t)(from - p) - at : n - at, n_base;

		if (n_text && (r = tokenizer_bpe.text(v, s, p + at, n_text, lead, o)))
			return r;
		if (!from)
			return 0;
		at += n_text + strlen(OPEN);
		to = memmem(p + at, n - at, CLOSE, strlen(CLOSE));
		n_base = to ? (size_t)(to - p) - at : n - at;
		if ((r = token_out_put(o, open)) || (r = put_bases(v, p + at, n_base, oov, o)))
			return r;
		at += n_base + (to ? strlen(CLOSE) : 0);
		r = to ? token_out_put(o, close) : 0;
	}
	return r;
}

/* A token with the mark is outside of GPT-2's byte map; its text is without. */
static int dna_init(struct vocab *v, const struct vocab_source *src, char *err, size_t err_len)
{
	int r = tokenizer_bpe.init(v, src, err, err_len);

	if (!r)
		r = trie_init(&v->trie, v, 1u << TOKEN_RAW);
	for (uint32_t i = 0; !r && i < v->n_token; i++) {
		struct text_span *t = &v->token[i];

		if (v->type[i] == TOKEN_RAW && t->n > strlen(MARK) &&
		    !memcmp(t->p + t->n - strlen(MARK), MARK, strlen(MARK)))
			t->n -= (uint32_t)strlen(MARK);
	}
	return r;
}

const struct tokenizer tokenizer_dna = {
	.model = "hybriddna",
	.defaults = { .bos = -1, .eos = -1, .unk = -1, .pad = -1 },
	.indexed = 1u << TOKEN_NORMAL | 1u << TOKEN_USER,
	.byte_type = TOKEN_NORMAL,
	.spell = bytemap_decode,
	.init = dna_init,
	.text = dna_text,
};
