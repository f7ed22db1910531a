/*
 * The grants of this process's control groups: CPUs by time, CPUs by number, memory nodes, memory. Both versions of the interface are read,
 * below a root as in readfile.h.
 */
#ifndef GYRE_DAEMON_MACHINE_CGROUP_H
#define GYRE_DAEMON_MACHINE_CGROUP_H

#include <sched.h>
#include <stddef.h>
#include <stdint.h>

/* Whole CPUs that the quota grants, rounded down, at least 1; 0: no quota. */
uint32_t cgroup_quota(const char *root);
/* The cpuset's CPUs and memory nodes. -ENOENT: no cpuset is visible. */
int cgroup_cpus(cpu_set_t *cpus, const char *root);
int cgroup_mems(cpu_set_t *mems, const char *root);
/* Bytes up to the nearest limit of memory (memory.max, memory.high): free, or holding files that the kernel can read again. SIZE_MAX:
 * no limit. */
size_t cgroup_memory(const char *root);

#endif
