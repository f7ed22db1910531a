/*
 * SentencePiece's precompiled normalizer: a trie of strings (XOR-compressed double array) and the replacement of each. The
 * bytes come from a model file and are hostile: charsmap_init checks every entry that a text can reach, and that no text
 * grows by more than CHARSMAP_GROWTH, so that working memory has a bound.
 *
 * Layout: u32 bytes of the array, the array of u32, then the replacements, each ended by a NUL. An entry: bits 10 to 30 the
 * offset of its children (times 256 if bit 9 is set), bit 8 whether a string ends there, bits 0 to 7 its label; the entry
 * that a string's end leads to has bit 31 set and where the replacement begins.
 */
#ifndef GYRE_DAEMON_TEXT_CHARSMAP_H
#define GYRE_DAEMON_TEXT_CHARSMAP_H

#include "daemon/text/text.h"

#define CHARSMAP_GROWTH  12u  /* bytes of one; NFKC's worst, U+FDFA, makes 33 of 3 */
#define CHARSMAP_KEY_MAX 256u /* bytes of a string that is looked for; NFKC's longest have about 20 */

struct charsmap {
	uint32_t n_unit; /* 0: no normalizer */
	uint32_t *unit;
	char *text;
	uint32_t n_text;
};

/* 0, -ENOMEM, or -EINVAL: malformed, or a replacement is too long. n 0: a map that replaces nothing. */
int charsmap_init(struct charsmap *c, const char *p, size_t n);
void charsmap_deinit(struct charsmap *c);
/* The longest string at p that has a replacement: its length, 0 if there is none. */
size_t charsmap_match(const struct charsmap *c, const char *p, size_t n, struct text_span *replacement);

#endif
