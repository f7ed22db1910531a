/* Which of the known words somebody may have meant. */
#ifndef GYRE_DAEMON_UTIL_NEAREST_H
#define GYRE_DAEMON_UTIL_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *word; /* as it was written */
	size_t n;         /* its length */
	const char *best; /* NULL: none is near */
	size_t distance;
};

void nearest_begin(struct nearest *near, const char *word, size_t n);
/* A known word. It counts as near if it differs from the written one by at most a third of its letters, or by one. */
void nearest_offer(struct nearest *near, const char *known);

#endif
