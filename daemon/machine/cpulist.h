/*
 * The kernel's lists of CPUs and of nodes, "0-3,8,10-11", as sets of bits.
 */
#ifndef GYRE_DAEMON_MACHINE_CPULIST_H
#define GYRE_DAEMON_MACHINE_CPULIST_H

#include <sched.h>
#include <stddef.h>

/* Unreadable text ends the list; numbers from CPU_SETSIZE on are left out. */
void cpulist_parse(cpu_set_t *set, const char *s);
/* The list in a file of its own. 0 or -errno, and then the set is empty. */
int cpulist_read(cpu_set_t *set, const char *root, const char *path);
/* Cut to fit, at a comma. Returns s. */
char *cpulist_format(char *s, size_t n, const cpu_set_t *set);

#endif
