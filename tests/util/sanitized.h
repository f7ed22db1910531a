/*
 * Whether this and the programs that it starts are built with a sanitizer, whose runtime has memory, threads and system calls of its own:
 * terabytes of addresses, freed memory that is kept, an end where it may not ask for its thread's stack.
 */
#ifndef GYRE_TESTS_UTIL_SANITIZED_H
#define GYRE_TESTS_UTIL_SANITIZED_H

#include <stdbool.h>
#include <stdio.h>

#ifdef GYRE_SANITIZED
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

/* true: skip, which this has told, for the reason given. */
static inline bool is_sanitized(const char *why)
{
	if (IS_SANITIZED)
		printf("skip: %s\n", why);
	return IS_SANITIZED;
}

#endif
