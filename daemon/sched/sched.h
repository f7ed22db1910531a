/*
 * Which rows ride in the next step. Continuous batching: every running stream gets its row first, then prompts are read
 * in chunks. Rows, seats, logit rows and KV blocks are divided between the users that want them (README.md has the bounds);
 * within a user priority orders, then turns. What rows take is learned (cost.h), how long a step may be and whose time it is follows (fair.h).
 *
 * A model with states has a slot for each sequence that runs, which is taken before its first row and given up whole; then all is
 * computed again.
 *
 * KV blocks are taken as positions are reached. When the pool is short, the user that holds most beyond its share gives up what
 * it took last; that is recomputed later, and by the numerical contract no stream changes. Within its share a user's first request
 * can always be served, and each user in turn may outgrow it, so there is no deadlock. Owner: the leader thread. Nothing here
 * allocates after sched_init; planning takes O(live) and a sort of what is nearly sorted.
 */
#ifndef GYRE_DAEMON_SCHED_SCHED_H
#define GYRE_DAEMON_SCHED_SCHED_H

#include "daemon/kv/prefix.h"
#include "daemon/flow/queue.h"
#include "daemon/sched/cost.h"

_Static_assert(KV_USER_MAX == USER_MAX, "a user of a hold");

struct sched_options {
	uint32_t n_row;     /* rows of one step */
	uint32_t n_draft;   /* guesses per stream and step at most */
	uint32_t block_len; /* positions per KV block; a context, where there are slots alone */
	uint64_t
		gap_ns; /* a step is no longer, as far as it can be told; 0: a multiple of what it has to do (fair.h) */
	/* A user served so lately is expected back: another's steps are as short as if they shared. */
	uint64_t recent_ns;
	uint32_t window;       /* positions that a row sees in any layer, itself included; 0: all */
	uint32_t n_state;      /* positions that a slot counts as in a claim */
	struct prefix *prefix; /* NULL: nothing is kept for others */
	bool is_prefix_shared; /* what one user has left there, others find */
};

/* What is sorted: live requests, users. */
struct sched_rank {
	uint64_t key;  /* smaller is served first */
	uint32_t item; /* index into queue.live, or of the user */
};

/* Who was served when. */
struct sched_served {
	uint64_t at_ns; /* 0: nobody yet */
	uint32_t user;
};

/* What a user holds of what all share, and up to how much it may take from others. */
struct sched_hold {
	uint32_t n, n_limit;
};

/* A user in this engine. But for the first three, of this step. */
struct sched_user {
	double virtual_ns; /* time that it has used, by its weight, or was too long away to have used (fair.h) */
	uint32_t n_waited; /* steps since one had a row of its prompts, if it has any */
	bool is_hungry;    /* it wanted more of the last step that it was there for */

	uint32_t n_live, n_ended; /* requests; those whose end is told in this step */
	struct sched_hold block, slot;
	uint32_t first, n_rank;     /* its part of rank[] */
	uint32_t n_prompt;          /* of these, how many have more than one row to run */
	uint32_t oldest;            /* in live: its first request by priority and arrival */
	uint32_t n_seat, n_logit;   /* what is left of its share in this step, */
	uint32_t n_wanted, n_taken; /* rows */
	double part_ns, taken_ns;   /* in time, too; what it has had in this step */
	uint32_t weight;            /* parts of the time that it has, where others have theirs */
	struct request *claimant;   /* who claims positions next, of those that wait to */
	uint32_t n_kept;            /* blocks and slots of requests that are kept */
	uint32_t n_pinned;          /* blocks of those that are pinned; of n_kept none of them is */
	bool is_above;
};

struct sched {
	struct kv *kv;
	struct sched_options o;
	uint64_t n_preempted, n_token_prompt; /* n_preempted: blocks taken back */
	uint64_t n_cache_query, n_cache_hit;  /* counters: tokens of prompts that were looked up; that were not run */
	uint64_t n_plan;
	struct cost cost;            /* what steps take here */
	double front_ns, burst_ns;   /* virtual time that nobody is behind; how far that is behind who had most */
	uint64_t gap_told_ns;        /* counter: how long the last step was allowed to be */
	uint32_t n_row_last;         /* rows of the last step */
	struct sched_served last[2]; /* the last two users that were served, the later one first */

	/* Of this step. */
	uint64_t now_ns;
	uint32_t n_rank, n_user; /* requests that may run; users that have one */
	uint32_t n_above;        /* users that go before others */
	uint32_t n_who;          /* users with any request: of who[], the first n_user may run */
	uint32_t n_row_max;      /* that the step may have: one, until something is known of what they take */
	uint32_t n_row, n_logit; /* taken so far */
	uint32_t n_kept;         /* blocks and slots of requests that are kept, but for those that are pinned: */
	uint32_t n_pinned, n_slot_pinned;
	struct cost_work work;    /* what that makes */
	double gap_ns, before_ns; /* how long the step may be; what it took before the first rows in hand */
	double least_ns;          /* the virtual time of who had least, of those that want more */
	bool is_shared;           /* by users, or one is expected */
	struct sched_rank rank[QUEUE_REQUEST_MAX], who[USER_MAX], spare[QUEUE_REQUEST_MAX];
	struct sched_user user[USER_MAX];

	/* The request whose user may hold more blocks than its share until it ends. 0: none. */
	uint64_t grower;
	uint32_t grower_user, grower_need;
	bool is_stuck; /* and nobody could run beside it: it may have all */
};

void sched_init(struct sched *s, struct kv *kv, const struct sched_options *o);

/* Fills the batch and its list of ended requests. false: there is nothing to run and nothing to say. */
bool sched_plan(struct sched *s, struct queue *q, struct batch *b);

#endif
