/*
 * A pool: one mapping that holds weights or KV for the daemon's life, in the largest pages the host gives. Tried in order:
 * 1 GiB hugetlb (configured and free), 2 MiB hugetlb, memfd with transparent huge pages, anonymous memory with
 * transparent huge pages, 4 KiB memfd with a warning that names the command that fixes it. Every page is present when
 * pool_map returns, so the step path never faults.
 *
 * A pool of a NUMA node has all its pages there or is not made: none is placed elsewhere in silence.
 */
#ifndef GYRE_DAEMON_WEIGHTS_POOL_H
#define GYRE_DAEMON_WEIGHTS_POOL_H

#include "daemon/util/error.h"
#include "daemon/machine/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_RESERVE ((size_t)64 << 20) /* what a pool leaves to everybody else */

enum pool_kind { POOL_NONE, POOL_HUGE_1G, POOL_HUGE_2M, POOL_THP_MEMFD, POOL_THP_ANON, POOL_4K, POOL_KIND_MAX };

struct pool {
	uint8_t *base; /* aligned to at least 2 MiB unless POOL_4K (4 KiB) */
	size_t bytes;  /* mapped: what was asked for, rounded up to the page size of the kind */
	int fd;        /* the memfd; -1 for POOL_THP_ANON */
	enum pool_kind kind;
	bool is_present; /* every page */
	bool is_counted; /* in the budget */
	int os_node;     /* the kernel's number of the node that the pages are bound to; -1: to none */
};

/* Zero-filled, read-write, prefaulted. name appears in /proc/PID/maps. -ENOMEM: e names what to free or to configure;
 * -EPERM: the pages cannot be bound to os_node here. */
int pool_map(struct pool *p, size_t bytes, int os_node, const char *name, struct error *e);
/* As pool_map, but pages that are not hugetlb are left out: pool_populate takes them, before the first write. */
int pool_reserve(struct pool *p, size_t bytes, int os_node, const char *name, struct error *e);
/* Whether n reserved pools can all have their pages, as each of them can: -ENOMEM with the remedy. `name` is that of the pools. */
int pool_suffice(const struct pool *p, uint32_t n, const char *name, struct error *e);
/*
 * All pools together take no more than `bytes` from now on; 0: what the machine and the cgroup have. Any thread makes and unmaps pools.
 */
void pool_set_budget(uint64_t bytes);
/* Bytes of it that no pool has; SIZE_MAX: there is none. */
size_t pool_budget_left(void);
/* Makes the pages present that [begin, end) touches. Any number of threads. 0 or -errno. */
int pool_populate(const struct pool *p, const uint8_t *begin, const uint8_t *end);
/* From here on a write to the pool is a SIGSEGV. */
int pool_protect(struct pool *p, struct error *e);
/* Zero-filled struct or an unmapped pool: does nothing. */
void pool_unmap(struct pool *p);

/* How many pages there are and how many of them lie on os_node; of a pool bound to none, as many. 0 or -errno. */
int pool_placement(const struct pool *p, size_t *n_page, size_t *n_there);

/* The same of n nodes' pools, logged; `what` is in them. -ENOMEM with the remedy: a page lies elsewhere. */
int pool_check(const struct pool *p, uint32_t n, const char *what, struct error *e);

const char *pool_kind_name(enum pool_kind kind); /* "2 MiB huge pages" */
/* The kind of smallest pages among n pools. */
enum pool_kind pool_kind_least(const struct pool *p, uint32_t n);

/*
 * One node has nothing to keep apart: where its memory cannot be bound (containers forbid mbind) it may lie anywhere, with a warning.
 * Several nodes are left as they are, for their pools to be refused.
 */
void pool_relax(struct layout *l);

#endif
