/*
 * What others take of this host's CPUs: other processes, and the hypervisor's other guests (steal). Workers of a team wait for each other at every
 * barrier, so a core that is shared slows all of them down.
 */
#ifndef GYRE_DAEMON_MACHINE_BUSY_H
#define GYRE_DAEMON_MACHINE_BUSY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUSY_SHARE_MIN 0.1 /* of the CPUs' time: less is any host's */

/* A reading of /proc/stat, in clock ticks of all CPUs, and this process's own time in the same. */
struct busy {
	uint64_t all, used, steal;
	double own;
};

/* false: nothing can be read. */
bool busy_read(struct busy *b, const char *root);
/* Between two readings: whether it is worth a word, and then what it is and what it costs, in text[n]. */
bool busy_explain(const struct busy *from, const struct busy *to, char *text, size_t n);

#endif
