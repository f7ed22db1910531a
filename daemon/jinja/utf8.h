/*
 * Characters in bytes. A byte that begins no valid sequence is a character of its own, so that any bytes can be walked, and come out
 * as they went in.
 */
#ifndef GYRE_DAEMON_JINJA_UTF8_H
#define GYRE_DAEMON_JINJA_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The number of a lone byte b: no character has it, and jinja_utf8_put gives the byte back (Python's surrogateescape). */
#define UTF8_LONE 0xdc00u

/* The character at p (n > 0 bytes are there); *len: its bytes. */
uint32_t jinja_utf8_get(const char *p, size_t n, size_t *len);
/* Up to 4 bytes; how many. */
size_t jinja_utf8_put(char *to, uint32_t c);

#endif
