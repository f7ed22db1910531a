/*
 * Which CPUs the daemon may use, on which NUMA nodes they sit, and how many workers that makes: one per physical core that is
 * online and in the affinity mask and cpuset, performance cores only where there are two kinds, no more than the cgroup's CPU
 * quota. Reads /proc and /sys below a root given as a parameter; root "" is this machine.
 */
#ifndef GYRE_DAEMON_MACHINE_TOPOLOGY_H
#define GYRE_DAEMON_MACHINE_TOPOLOGY_H

#include "daemon/machine/numa.h"

#include <sched.h>
#include <stddef.h>
#include <stdint.h>

#define TOPOLOGY_CORE_MAX CPU_SETSIZE /* 1024: the CPUs of a cpu_set_t */

/* Workers fill a tier before the next: a second thread on a core slows the first, and every barrier waits for the slowest. */
enum topology_tier {
	TIER_CORE,    /* the first allowed hardware thread of a core */
	TIER_SLOW,    /* the same of an efficiency core, where there are faster ones */
	TIER_SIBLING, /* the second of a core; the third is TIER_SIBLING + 1 */
};

/* A hardware thread that a worker may be pinned to. */
struct topology_core {
	uint16_t cpu;
	uint16_t node;  /* id of the NUMA node whose memory is nearest: not its own where that has none */
	uint16_t first; /* the first allowed hardware thread of the same core */
	int16_t package;
	uint16_t tier; /* enum topology_tier */
};

struct topology {
	uint32_t n_cpu;     /* hardware threads that may be used */
	uint32_t n_core;    /* of these, TIER_CORE */
	uint32_t n_slow;    /* of these, TIER_SLOW */
	uint32_t n_package; /* online ones */
	uint32_t n_online;  /* hardware threads, allowed or not */
	uint32_t n_offline;
	uint32_t quota;    /* CPUs the cgroup grants, rounded down, at least 1; 0: no quota */
	uint32_t n_thread; /* the default: min(n_core, quota) */
	struct topology_core
		core[TOPOLOGY_CORE_MAX];   /* n_cpu of them, by tier, node and CPU: the first n_core are the cores */
	uint16_t n_core_on[NUMA_NODE_MAX]; /* physical cores online on numa.node[i], allowed or not */
	struct numa numa;
};

/*
 * mask NULL: the calling thread's, or under another root the one that its /proc/self/status tells. Files that are missing mean one
 * thread per core, node 0, no quota. -EINVAL: no CPU is left; -ENOENT: another root names no CPUs; *t then has no CPUs, and
 * n_thread 1: a layout of it is one that is not pinned.
 */
int topology_read(struct topology *t, const char *root, const cpu_set_t *mask);
/* The reason for n_thread, in words. */
void topology_why(const struct topology *t, char *why, size_t n);

/* n_thread of this machine, at least 1. */
int topology_default_threads(void);

#endif
