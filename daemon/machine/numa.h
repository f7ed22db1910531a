/*
 * The NUMA nodes of a machine: CPUs, memory and huge pages of each, and how far they are apart. Node ids may have gaps; here nodes
 * have indices, and each its id. A machine that says nothing of nodes is one node with everything.
 */
#ifndef GYRE_DAEMON_MACHINE_NUMA_H
#define GYRE_DAEMON_MACHINE_NUMA_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#define NUMA_NODE_MAX 1024 /* as many as Linux knows: NODES_SHIFT is 10 at most */

struct numa_huge {
	uint64_t total, free; /* pages */
};

struct numa_node {
	int id;         /* the kernel's */
	int package;    /* of its first CPU; -1: it has none, or nothing is said */
	cpu_set_t cpus; /* online ones; empty: memory only */
	bool has_memory;
	bool is_allowed; /* memory may be taken here: cpuset.mems */
	uint64_t mem_bytes, free_bytes;
	struct numa_huge huge_2m, huge_1g;
	/*
	 * Index of the node whose memory its CPUs use: itself, or the nearest with CPUs and memory (of several as near, they are
	 * shared out); a node without CPUs only where no other memory is allowed.
	 */
	int home;
};

/* Large, but places beyond the n nodes are never touched, so they take no memory. */
struct numa {
	int n;
	struct numa_node node[NUMA_NODE_MAX];           /* [n], by id */
	uint8_t distance[NUMA_NODE_MAX][NUMA_NODE_MAX]; /* [n][n], from and to; 10 within a node; 0: not said */
};

/* online: CPUs that run. mems: ids of nodes from which memory may be taken, NULL: any. */
void numa_read(struct numa *m, const char *root, const cpu_set_t *online, const cpu_set_t *mems);
/* Index of the node that the CPU sits on; 0 where nothing is known. */
int numa_of_cpu(const struct numa *m, int cpu);
/* Index of the node with this id, -1: none. */
int numa_index(const struct numa *m, int id);

#endif
