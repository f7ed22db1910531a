/* How files spell tokens. Each writes the text that p[n] stands for to out[n] and returns its length, -1: it is no such spelling. */
#ifndef GYRE_DAEMON_TEXT_SPELL_H
#define GYRE_DAEMON_TEXT_SPELL_H

#include <stdbool.h>
#include <sys/types.h>

/* U+2581, in files a space. */
#define SPELL_SPACE     "\xe2\x96\x81"
#define SPELL_SPACE_LEN 3

/* As it is. */
ssize_t spell_plain(char *out, const char *p, size_t n);
/* U+2581 is a space. */
ssize_t spell_space(char *out, const char *p, size_t n);
/* Python's bytes: \t, \n, \r, \xNN, and a backslash before a character that stands for itself. */
ssize_t spell_escaped(char *out, const char *p, size_t n);
/* "<0xE2>": one byte. */
bool spell_byte(char *out, const char *p, size_t n);

#endif
