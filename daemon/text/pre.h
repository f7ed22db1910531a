/*
 * The split of a text into pieces before byte-level BPE, after tokenizer.ggml.pre. Patterns apply one after another: each
 * splits the pieces of the one before into its matches and the stretches between them; look-ahead sees only its own piece.
 */
#ifndef GYRE_DAEMON_TEXT_PRE_H
#define GYRE_DAEMON_TEXT_PRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRE_PATTERN_MAX 6

struct pre_row {
	const char *names;                    /* of tokenizer.ggml.pre, a space between two */
	const char *pattern[PRE_PATTERN_MAX]; /* NULL ends the list */
	/* The pattern, counted from 1, whose matches are cut into threes of characters, the odd ones first; 0: none. */
	uint8_t by_three;
	bool only_threes;   /* in front of threes is the only place where that pattern cuts */
	bool ignore_merges; /* a piece that is a token is that token, whatever the merges say */
	const char *nfc;    /* those of the names whose models were trained on texts in form C, a space between two */
	/* Where the file does not say: */
	bool add_bos;
	const char *strips_before; /* the token that takes the white space in front of it */
};

struct pre {
	const struct pre_row *row;
	bool is_nfc;                 /* a text is taken in form C before */
	void *code[PRE_PATTERN_MAX]; /* pcre2_code, compiled for the JIT */
};

/* Memory for matching, one per thread. */
struct pre_scratch {
	void *match_data, *match_context, *jit_stack;
};

typedef int pre_piece_fn(void *arg, const char *p, size_t n);

/* NULL and "" are "default". NULL: no row of that name. */
const struct pre_row *pre_find(const char *name);
/* Is the name, of pre_find's, one of the row's nfc? */
bool pre_is_nfc(const struct pre_row *row, const char *name);
/* Row i, NULL past the last. */
const struct pre_row *pre_row(uint32_t i);
/* -EINVAL: no row of that name, or a pattern that PCRE2 refuses. */
int pre_init(struct pre *pre, const char *name);
void pre_deinit(struct pre *pre);
int pre_scratch_init(struct pre_scratch *s);
void pre_scratch_deinit(struct pre_scratch *s);
/* Calls piece for each piece of the n bytes at p, in order, until one returns non-zero, and returns that. p is UTF-8. */
int pre_split(const struct pre *pre, struct pre_scratch *s, const char *p, size_t n, pre_piece_fn *piece, void *arg);

#endif
