/*
 * Which CPUs the daemon may use, and how many workers that makes: one per physical core in the affinity mask, no more
 * than the cgroup's CPU quota. Reads /proc and /sys below a root given as a parameter; root "" is this machine.
 */
#ifndef GYRE_DAEMON_UTIL_TOPOLOGY_H
#define GYRE_DAEMON_UTIL_TOPOLOGY_H

#include <sched.h>
#include <stddef.h>
#include <stdint.h>

#define TOPOLOGY_CORE_MAX CPU_SETSIZE /* 1024: what a cpu_set_t names */

struct topology_core {
	uint16_t cpu;  /* the lowest allowed hardware thread of the core: where a worker is pinned */
	uint16_t node; /* NUMA node */
};

struct topology {
	uint32_t n_cpu;    /* hardware threads in the mask */
	uint32_t n_core;   /* physical cores among them */
	uint32_t n_node;   /* NUMA nodes among these */
	uint32_t quota;    /* CPUs the cgroup grants, rounded down, at least 1; 0: no quota */
	uint32_t n_thread; /* the default: min(n_core, quota) */
	struct topology_core core[TOPOLOGY_CORE_MAX]; /* by node, then CPU */
};

/* mask NULL: the calling thread's. Files that are missing mean one thread per core, node 0, no quota. */
int topology_read(struct topology *t, const char *root, const cpu_set_t *mask);

/* n_thread of this machine, at least 1; why receives the reason in words. */
int cpu_default_threads(char *why, size_t n);

#endif
