/*
 * The team: n workers that run one function together (SPMD). The caller of team_run is worker 0; the others are threads
 * made by team_new and pinned to the CPUs of the layout. Between runs they spin for a bounded time, then park on a futex. Workers
 * go node by node: those of a node meet each other first and share out its work among themselves.
 *
 * Memory order: what any worker wrote before a barrier is seen by every worker after it; what the caller wrote before
 * team_run is seen by fn, and what fn wrote is seen after team_run returns. One thread calls team_run, always the same.
 */
#ifndef GYRE_DAEMON_TEAM_TEAM_H
#define GYRE_DAEMON_TEAM_TEAM_H

#include "daemon/util/error.h"
#include "daemon/machine/layout.h"
#include "daemon/util/profile.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define TEAM_MAX 1024 /* as many as a cpu_set_t names */

struct team;

/* Worker 0, the caller, is never moved: l->cpu[0] is not used. */
int team_new(struct team **tp, const struct layout *l, struct error *e);
/* Ends and joins the workers; not from inside a run. NULL does nothing. Returns NULL. */
struct team *team_free(struct team *t);

/* Runs fn(arg, worker) on workers 0..n-1 and returns when all have returned. Allocates nothing. */
void team_run(struct team *t, void (*fn)(void *arg, int worker), void *arg);
/* Inside a run: returns when every worker has come here. All workers pass the same barriers. */
void team_barrier(struct team *t, int worker);
/* The caller, between runs: whether workers spin before they park, when this run is over. At first they do. */
void team_set_spin(struct team *t, bool is_spinning);
int team_size(const struct team *t);
/* A node's workers are first, first + 1, ... first + n - 1. */
struct team_node {
	int index, first, n;
};
int team_n_node(const struct team *t);
/* The node of a worker. */
const struct team_node *team_node(const struct team *t, int worker);
/* i < team_n_node. */
const struct team_node *team_node_at(const struct team *t, int i);
/* A worker's laps. Each worker records into its own profile; worker 0 starts with its first team_run. Waits at barriers are counted here. */
const struct profile *team_profile(const struct team *t, int worker);

/* The thread of a worker, who is not the caller. Any thread. */
pthread_t team_thread(const struct team *t, int worker);
/* CPU time of all workers but the caller. Any thread. */
uint64_t team_cpu_ns(const struct team *t);

/* Worker's share [*begin, *end) of n_items, cut at multiples of align (>= 1); shares differ by at most align. */
void team_range(size_t n_items, int n_worker, int worker, size_t align, size_t *begin, size_t *end);

#endif
