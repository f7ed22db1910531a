/*
 * Writes a model's file again as another converter would have: tensors of a layer as one, with blocks that predict further tokens, with
 * a tower for images beside it. What it computes stays.
 */
#ifndef GYRE_TESTS_UTIL_REFILE_H
#define GYRE_TESTS_UTIL_REFILE_H

#include <stdint.h>

#define REFILE_JOIN_MAX 3

struct refile {
	/* In layers that have all of .of: one tensor .to in their place, with the rows of each behind the other's, expert by expert. */
	const struct refile_join {
		const char *to, *of[REFILE_JOIN_MAX];
	} * join;
	uint32_t n_join;
	uint32_t n_nextn;     /* blocks behind the last: the first's tensors again, and one of their own */
	const char *extra[2]; /* vectors of 8, by their whole names */
};

/* How many tensors have been joined; -1: the file cannot be read or written. */
int refile_write(const char *to, const char *from, const struct refile *r);

#endif
