/*
 * Which rows ride in the next step. Continuous batching: every running stream gets its row first, then prompts are read
 * in chunks within the step's row budget. Order of service: priority, then turns between uids, then arrival.
 *
 * KV blocks are taken as positions are reached. When the pool is short, the last in that order gives its blocks up and is
 * recomputed later; by the numerical contract its stream does not change. The first in order can always be served, so
 * there is no deadlock. Owner: the leader thread. Nothing here allocates after sched_init.
 */
#ifndef GYRE_DAEMON_SCHED_SCHED_H
#define GYRE_DAEMON_SCHED_SCHED_H

#include "daemon/kv/kv.h"
#include "daemon/queue.h"

struct sched_options {
	uint32_t n_row;     /* rows of one step */
	uint32_t chunk;     /* rows of one prompt in one step; 0: n_row */
	uint32_t n_draft;   /* guesses per stream and step at most */
	uint32_t block_len; /* positions per KV block */
	uint32_t n_piece;   /* completions that a token's bytes take at most; 0: 2 */
};

struct sched_rank {
	struct request *request;
	uint64_t key;   /* smaller is served first */
	uint32_t n_row; /* rows its blocks have room for in this step; 0: none */
};

struct sched {
	struct kv *kv;
	struct sched_options o;
	uint32_t n_rank;
	struct sched_rank rank[QUEUE_REQUEST_MAX];
	uint64_t n_preempted, n_token_prompt;
};

void sched_init(struct sched *s, struct kv *kv, const struct sched_options *o);

/* Fills the batch and its list of ended requests. false: there is nothing to run and nothing to say. */
bool sched_plan(struct sched *s, struct queue *q, struct batch *b);

#endif
