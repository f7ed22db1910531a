/*
 * Numbers out of text, as Python's int() and float() read them: blanks around, a sign, underscores between digits.
 */
#ifndef GYRE_DAEMON_JINJA_NUMBER_H
#define GYRE_DAEMON_JINJA_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jinja_scratch;
struct jinja_value;

/* NULL, without failing: not an integer of that base (0: by prefix). However many digits it has. */
struct jinja_value *jinja_read_int(struct jinja_scratch *s, const char *p, size_t n, int base);
/* false: not an integer of that base (0: by prefix), or past 64 bits. */
bool jinja_parse_int(const char *p, size_t n, int base, int64_t *i);
bool jinja_parse_float(const char *p, size_t n, double *f);

#endif
