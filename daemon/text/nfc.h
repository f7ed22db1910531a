/* Unicode's normal form C, in which some families' texts were when their models were trained. */
#ifndef GYRE_DAEMON_TEXT_NFC_H
#define GYRE_DAEMON_TEXT_NFC_H

#include <stdbool.h>
#include <stddef.h>

#define NFC_GROWTH     3  /* bytes that one becomes at most: of U+1D160's 4 bytes 12 */
#define NFC_ROOM_BYTES 16 /* of working memory for a byte of text: 1.5 characters decomposed, and as many to sort */

/* False where the n bytes at p, which are UTF-8, may be in another form; true for most text, which costs a look at each character. */
bool nfc_is_plain(const char *p, size_t n);
/*
 * The n bytes at p, which are UTF-8, in form C -> out[n * NFC_GROWTH]; room[n * NFC_ROOM_BYTES] is aligned as int32_t is.
 * Returns the length. Time is linear in n, whatever the text.
 */
size_t nfc_write(char *out, const char *p, size_t n, void *room);

#endif
