/*
 * A text's tokens, indexed by the tokens before each: where did the end of a stream stand before, and what followed? Hash chains as
 * compressors have them: places behind the same three tokens are linked from the latest on, and the latest place behind the
 * same eight is found at once, so a long match is found however often its last three tokens stood there. Adding a token and
 * finding take bounded time, whatever the length. Arithmetic and the caller's memory only.
 */
#ifndef GYRE_DAEMON_SPEC_SUFFIX_H
#define GYRE_DAEMON_SPEC_SUFFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUFFIX_MIN   3u /* tokens that match: fewer guess wrong too often */
#define SUFFIX_LONG  8u
#define SUFFIX_MAX   64u /* a longer match counts as this one */
#define SUFFIX_PLACE 16u /* places behind the same three tokens that are looked at */

/* Places are positions + 1, so that zeroed memory is an empty index. */
struct suffix {
	uint32_t n;        /* tokens that are in it */
	uint32_t n_head;   /* a power of two */
	uint32_t *head;    /* [n_head] the latest place behind three tokens with this hash */
	uint32_t *far;     /* [n_head] behind eight */
	uint32_t *earlier; /* [n_max] the place before it in its chain */
};

struct suffix_match {
	uint32_t from;   /* what followed there is token[from]... */
	uint32_t length; /* tokens before it that match, SUFFIX_MIN to SUFFIX_MAX */
	bool is_alone;   /* at all places that were looked at the same token followed */
};

/* Of a text of up to n_max tokens. */
size_t suffix_bytes(uint32_t n_max);
/* memory: suffix_bytes, zeroed, for uint32_t. */
void suffix_init(struct suffix *s, void *memory, uint32_t n_max);
/* For another text. */
void suffix_clear(struct suffix *s);
/* Tokens up to token[n), or `most` more: true when it has them all. What it has must still be what token begins with. */
bool suffix_add(struct suffix *s, const int32_t *token, uint32_t n, uint32_t most);
/* Where the last tokens of tail[n_tail] stood in token, which it has, and which tail may be itself. Of the tokens that followed, the one whose
 * places match longest; among those about as long, the most frequent; of its places the longest, then the latest. false: nowhere. */
bool suffix_find(const struct suffix *s, const int32_t *token, const int32_t *tail, uint32_t n_tail,
		 struct suffix_match *m);

#endif
