/*
 * Numbers as people write them in options and files: decimal digits and nothing else. No sign, no blanks, no hexadecimal, no trailing
 * words: a number misread is worse than a number refused.
 */
#ifndef GYRE_DAEMON_UTIL_NUMBER_H
#define GYRE_DAEMON_UTIL_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* -EINVAL: it is no whole number. -ERANGE: it is 2^64 or more. */
int number_whole(const char *s, uint64_t *v);
/* The same with a unit of 1024: K, M, G or T, in either case, alone or as in KiB. */
int number_bytes(const char *s, uint64_t *v);
/* A finite decimal number; an exponent may follow. -EINVAL, -ERANGE. */
int number_real(const char *s, double *v);

/* "from 1 to 1024", "of 1 at least" (max: UINT64_MAX), exact. Returns text. */
const char *number_range(char *text, size_t n, uint64_t min, uint64_t max);
/* "900.0 GiB". Returns text. */
const char *number_size(char *text, size_t n, uint64_t bytes);

#endif
