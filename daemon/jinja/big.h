/*
 * Integers past 64 bits: JINJA_BIG holds their decimal digits, and results that fit 64 bits again are JINJA_INT. They may have as many
 * digits as Python shows (4300); a longer one fails.
 */
#ifndef GYRE_DAEMON_JINJA_BIG_H
#define GYRE_DAEMON_JINJA_BIG_H

#include "daemon/jinja/ast.h"

#define JINJA_DIGITS_MAX 4300u

/* a and b: integers (JINJA_BOOL, JINJA_INT, JINJA_BIG). By Python's rules; NULL: failed. */
struct jinja_value *jinja_big_operate(struct jinja_scratch *s, enum jinja_op op, const struct jinja_value *a,
				      const struct jinja_value *b);
/* Of any two numbers, none of them NaN, exactly: <0, 0, >0. */
int jinja_big_compare(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b);
/* An optional sign and digits of that base, none or one at least. */
struct jinja_value *jinja_big_parse(struct jinja_scratch *s, const char *p, size_t n, unsigned base);
/* The integer part of a finite number. */
struct jinja_value *jinja_big_of_double(struct jinja_scratch *s, double f);
/* The digits of |v| in a base of at most 16. */
struct jinja_value *jinja_big_digits(struct jinja_scratch *s, const struct jinja_value *v, unsigned base, bool upper);

#endif
