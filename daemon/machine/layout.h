/*
 * The places of a team's workers and of their memory: nodes of workers, in order, each on a NUMA node of the kernel's or on a virtual
 * one. Computed once at start from the topology and the options; data from then on.
 */
#ifndef GYRE_DAEMON_MACHINE_LAYOUT_H
#define GYRE_DAEMON_MACHINE_LAYOUT_H

#include "daemon/util/error.h"
#include "daemon/machine/topology.h"

#include <stdbool.h>

#define NODE_MAX 8 /* nodes that share one model */

struct layout_node {
	int n_worker; /* at least 1 */
	int os_node;  /* the kernel's number of the node that its memory is bound to; -1: memory may lie anywhere */
};

struct layout {
	int n_worker, n_node;
	struct layout_node node[NODE_MAX];
	bool is_pinned;                      /* cpu[] holds */
	bool is_crowded;                     /* more workers than hardware threads, those of other engines counted */
	int cpu[TOPOLOGY_CORE_MAX];          /* of worker i; workers go node by node */
	char why_worker[160], why_node[200]; /* "8 threads: physical cores ...", "2 nodes: one for each ..." */
};

/*
 * n_worker 0: the default of the topology. n_node 0: one for each NUMA node that has both workers and memory; more than there
 * are: virtual nodes, which divide the workers evenly. -EINVAL with the remedy when it cannot be had.
 */
int layout_make(struct layout *l, const struct topology *t, int n_worker, int n_node, struct error *e);
/* Nodes [first, first + n) alone: one engine's, where the nodes are divided between several. */
struct layout layout_part(const struct layout *l, int first, int n);

#endif
