/*
 * A vocabulary of 256 bytes and what a test adds. Byte-level: each byte by its stand-in; SPM: byte tokens, and the ASCII letters
 * once more as characters.
 */
#ifndef GYRE_TESTS_UTIL_TINY_VOCAB_H
#define GYRE_TESTS_UTIL_TINY_VOCAB_H

#include "daemon/text/text.h"

#define TINY_VOCAB_MAX 320u

struct tiny_vocab {
	struct vocab_source source; /* to be changed until tiny_vocab_make; the arrays are those of tiny_vocab.c */
	struct vocab *vocab;
	struct vocab_scratch *scratch;
	char err[256];
};

/* One at a time. No special ids, nothing added to a text. */
struct tiny_vocab tiny_vocab_start(const char *model);
/* text is kept. Returns the id. */
uint32_t tiny_vocab_add(struct tiny_vocab *t, const char *text, int32_t type);
/* Byte tokens become unused. */
void tiny_vocab_drop_bytes(struct tiny_vocab *t);
/* What vocab_new returns; nothing is left to free if that is an error. */
int tiny_vocab_try(struct tiny_vocab *t);
/* Fails the test on an error. */
void tiny_vocab_make(struct tiny_vocab *t);
void tiny_vocab_free(struct tiny_vocab *t);

#endif
