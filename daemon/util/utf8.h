/*
 * UTF-8 as Unicode 15 table 3-7 defines it: no overlong forms, no surrogates, nothing past U+10FFFF.
 */
#ifndef GYRE_DAEMON_UTIL_UTF8_H
#define GYRE_DAEMON_UTIL_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length of the character at p, 0 if the n bytes there start no valid character. */
size_t utf8_char_len(const char *p, size_t n);

/* Length of the white space character (Unicode's) that the n bytes at p begin with, or end with; 0: none. */
size_t utf8_space_len(const char *p, size_t n);
size_t utf8_space_before(const char *p, size_t n);

/*
 * How many of the n bytes at p form only whole characters: n, less a character cut off at the end. Bytes that can never
 * become a character count as whole, so that a stream never waits for bytes that cannot come.
 */
size_t utf8_whole(const char *p, size_t n);

/* The character of a valid sequence of that length. */
uint32_t utf8_decode(const char *p, size_t len);
/* A character up to U+10FFFF -> out[4]. Returns its length. */
size_t utf8_encode(char *out, uint32_t cp);

#endif
