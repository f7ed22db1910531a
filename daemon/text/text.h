/*
 * Text <-> token ids. Knows no file format: struct vocab_source has a model file's facts.
 *
 * A vocab is immutable once made, so any number of threads share one; each brings its own vocab_scratch.
 * Every input byte reaches a token: invalid UTF-8 is tokenized as bytes, so that tokenizing and writing the bytes of the
 * tokens back gives the text exactly; but "bert" and "t5" rewrite a text before, as they were trained, and lose something.
 */
#ifndef GYRE_DAEMON_TEXT_TEXT_H
#define GYRE_DAEMON_TEXT_TEXT_H

#include "daemon/jinja/jinja.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct text_span {
	const char *p; /* not NUL-terminated */
	uint32_t n;
};

/* A model file's facts about its vocabulary; the caller owns it, vocab_new copies. */
struct vocab_source {
	const char *model; /* tokenizer.ggml.model */
	const char *pre;   /* tokenizer.ggml.pre: "smollm", "llama-bpe", "qwen2", … NULL: default */
	uint32_t n_token;
	const struct text_span *token; /* [n_token] */
	const float *score;            /* NULL or [n_token] */
	const int32_t *type; /* NULL or [n_token]: 1 normal 2 unknown 3 control 4 user-defined 5 unused 6 byte */
	uint32_t n_merge;
	const struct text_span *merge;        /* [n_merge]: "a b", the first ranks highest */
	int32_t bos, eos, eot, eom, unk, pad; /* -1: none */
	bool add_bos, add_eos, add_space_prefix;
	bool strips_after;         /* added tokens take the white space behind them */
	const char *strips_before; /* the token of this text takes the white space in front of it; NULL: none does */
	bool collapse_space;       /* t5: runs of white space are one, none at the ends */
	bool lowercase, strip_accents; /* bert */
	struct text_span charsmap;     /* t5: SentencePiece's precompiled normalizer; n 0: none */
};

/* Values for keys that a model file leaves out; an id -1: none. */
struct tokenizer_defaults {
	bool add_bos, add_eos, add_space_prefix;
	const char *strips_before;
	bool cls_sep; /* cls and sep stand for bos and eos, and always are added */
	int32_t bos, eos, unk, pad;
};

/* Bytes that one of a text becomes at most before the text is cut: in form C. */
#define VOCAB_GROWTH 3
/* Ids that a text of n bytes becomes at most. */
#define VOCAB_ID_MAX(n) ((size_t)(n)*12 + 2)

struct vocab;
struct vocab_scratch;

/* By tokenizer.ggml.model and .pre. A tokenizer that is not known has no special tokens and adds nothing. */
struct tokenizer_defaults tokenizer_defaults(const char *model, const char *pre);

/*
 * -EINVAL and a message naming the remedy, or -ENOMEM. A special id that no text needs and that is outside the vocabulary counts
 * as none, with a warning; so does a token whose text tells another type than the file does (a mark that ends a generation).
 */
int vocab_new(struct vocab **vocabp, const struct vocab_source *src, char *err, size_t err_len);
/* NULL does nothing. Returns NULL. */
struct vocab *vocab_free(struct vocab *v);

/* Working memory of one thread, for texts of up to max_bytes, grown as they may be (below 64 MiB). NULL: no memory. */
struct vocab_scratch *vocab_scratch_new(size_t max_bytes);
struct vocab_scratch *vocab_scratch_free(struct vocab_scratch *s);
/* Nothing of the texts since the last time is left in it. */
void vocab_scratch_wipe(struct vocab_scratch *s);

/*
 * Text -> ids. parse_special also recognises control tokens in the text (what chat templates write), otherwise only
 * user-defined ones. add_special adds bos and eos where the model wants them. Returns the number of ids, -ENOBUFS when
 * that is more than n_id or the text grows past what the scratch is for, -EINVAL for a text longer than the scratch allows. A byte that the vocabulary has no token for is
 * the unknown token where the tokenizer has one, and else left out, as in training. No heap allocation. Time is n log n for every input.
 */
int vocab_tokenize(const struct vocab *v, struct vocab_scratch *s, const char *text, size_t n, bool add_special,
		   bool parse_special, uint32_t *id, size_t n_id);

/* A text that goes on from another, whose ids come before it: neither bos and eos nor the space that an SPM vocabulary puts in front. */
int vocab_tokenize_on(const struct vocab *v, struct vocab_scratch *s, const char *text, size_t n, bool parse_special,
		      uint32_t *id, size_t n_id);

/*
 * A text of mixed trust: control tokens are recognised only where all their bytes lie in control[n_control], which ascends, such as
 * the ranges that a template wrote; ranges that touch count as one. A control token that is not allowed hides none that is. Nothing
 * else depends on the ranges: pieces and merges reach across their borders. Otherwise as vocab_tokenize.
 */
int vocab_tokenize_mixed(const struct vocab *v, struct vocab_scratch *s, const char *text, size_t n, bool add_special,
			 const struct jinja_range *control, size_t n_control, uint32_t *id, size_t n_id);

/*
 * The exact bytes of a token in a stream. A control token gives its text if special, else nothing; an id out of range
 * gives nothing. first: the token opens a text, so the space that an SPM vocabulary puts in front is taken off.
 * Points into the vocab.
 */
struct text_span vocab_token_bytes(const struct vocab *v, uint32_t id, bool first, bool special);

/* The oddities of the file that were settled in some way; "": none. */
const char *vocab_warning(const struct vocab *v);

uint32_t vocab_size(const struct vocab *v);
int32_t vocab_bos(const struct vocab *v);
int32_t vocab_eos(const struct vocab *v);
/* Does the model want its bos in front of a text? */
bool vocab_adds_bos(const struct vocab *v);
/* eos, eot, eom, and every token whose text is known to end a generation (<|im_end|>, </s>, …). */
bool vocab_is_end(const struct vocab *v, uint32_t id);

#endif
