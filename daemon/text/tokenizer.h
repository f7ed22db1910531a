/*
 * The axis of tokenizers: one row per tokenizer.ggml.model. A new one is a file that defines its row, and a line in
 * tokenizer.c; nothing else asks which tokenizer a vocabulary has.
 */
#ifndef GYRE_DAEMON_TEXT_TOKENIZER_H
#define GYRE_DAEMON_TEXT_TOKENIZER_H

#include "daemon/text/text.h"

struct token_out;

struct tokenizer {
	const char *model; /* tokenizer.ggml.model; NULL: chosen by pre alone */
	const char
		*pre; /* a gpt2 file with one of these in tokenizer.ggml.pre is this tokenizer; a space around each */
	struct tokenizer_defaults defaults;
	uint32_t indexed;  /* the types vocab_find knows: bits 1 << enum token_type */
	uint8_t byte_type; /* the type of a token that is one byte, for byte_id */
	bool is_scored;    /* it needs tokenizer.ggml.scores */
	bool by_character; /* BPE merges characters, not bytes */
	bool leads;        /* it can put a space in front of a text */
	/* A normal token of the file -> out[n], as it appears in text. Returns its length, -1: it is no such spelling. */
	ssize_t (*spell)(char *out, const char *p, size_t n);
	/* Fills the tables that it needs beside those that vocab_new has filled. NULL: none. As vocab_new. */
	int (*init)(struct vocab *v, const struct vocab_source *src, char *err, size_t err_len);
	/* A text without added tokens -> ids; lead: with a space in front. n >= 1, at most s->max_bytes. 0 or negative. */
	int (*text)(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, bool lead,
		    struct token_out *o);
};

extern const struct tokenizer tokenizer_bpe, tokenizer_spm, tokenizer_wordpiece, tokenizer_unigram, tokenizer_rwkv,
	tokenizer_plamo, tokenizer_gemma, tokenizer_sarvam, tokenizer_words, tokenizer_dna;

/* NULL: no such tokenizer. pre may be NULL. */
const struct tokenizer *tokenizer_find(const char *model, const char *pre);
/* Their names, "a, b or c". Returns out. */
char *tokenizer_names(char *out, size_t out_len);

#endif
