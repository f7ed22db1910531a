/*
 * The requests of one engine: those it runs, in order of arrival, and those that have been routed to it and wait in its inbox.
 * Owner of the live ones: the engine's leader. The inbox is filled by whoever drains the rings, maybe another engine's leader;
 * the leader moves it to the live ones between steps. Here it also sleeps when somebody else watches the rings.
 */
#ifndef GYRE_DAEMON_FLOW_QUEUE_H
#define GYRE_DAEMON_FLOW_QUEUE_H

#include "daemon/flow/batch.h"
#include "daemon/flow/meter.h"
#include "daemon/util/lock.h"

#define QUEUE_ENGINE_MAX  8u    /* engines of a daemon */
#define QUEUE_PREFIX_MAX  4096u /* a power of two */
#define QUEUE_SESSION_MAX 2048u /* each has one request that nobody else can take */
_Static_assert(QUEUE_SESSION_MAX == USER_MAX, "a slot for each session's user");
#define QUEUE_REQUEST_MAX (QUEUE_SESSION_MAX + QUEUE_ENGINE_MAX * BATCH_SEQ_MAX)

/* What a step touches lies together: the pass before has pushed it out of the caches, and each line is 0.1 us. */
struct queue {
	_Alignas(64) struct request *done;  /* reaped, linked by next: intake gives them back to the pool */
	uint64_t n_step, n_park;            /* counters of its leader's */
	uint64_t n_ticket;                  /* tickets given out; the leader's */
	uint32_t n_pin, n_pinned;           /* atomic: requests that pin, or are to; their positions */
	uint64_t load;                      /* atomic: rows to come of everything in here (request_rows) */
	struct request *inbox, **inbox_end; /* under lock */
	uint32_t n_inbox;                   /* atomic; written under lock */
	uint32_t n_live;
	uint32_t n_running;   /* counter: of these, in the step */
	uint32_t n_kept;      /* counter: of these, have ended and are kept */
	uint64_t keep_end_ns; /* when the first of them is to be let go of; the leader's */
	struct lock lock;
	struct request *live[QUEUE_REQUEST_MAX]; /* arrival order; the leader's */

	pthread_cond_t cond;
	uint32_t is_rung;    /* atomic: do not sleep, or wake up; the leader clears it */
	uint32_t is_idle;    /* atomic: its leader may be sleeping here */
	uint32_t is_waiting; /* atomic: its leader had nothing to do, and spins or sleeps, here or at the watch */
	struct meter meter;
	/* Atomic: hashes (util/hashchain.h) of what its engine's prefix cache has, at their own place; a hint, for whoever routes. */
	uint64_t prefix[QUEUE_PREFIX_MAX];
};

/* is_shared: there are other engines. */
void queue_init(struct queue *q, bool is_shared);
void queue_deinit(struct queue *q);

/* Any thread that holds r. Wakes the leader if it sleeps here. */
void queue_put(struct queue *q, struct request *r);
/* Any thread: the leader returns from its sleep, or does not fall asleep the next time. */
void queue_ring(struct queue *q);
/* Any thread, as of some moment past. */
uint64_t queue_load(const struct queue *q);

/* Leader: inbox -> live. */
void queue_take(struct queue *q);
/* Leader: the load is what the live ones still have to run. */
void queue_weigh(struct queue *q);
/* Leader: DONE requests -> done, but for those that others wait for; their blocks have been given back. */
void queue_reap(struct queue *q);
/* Leader: sleeps until there is something in the inbox, or a ring, or timeout_ms are over; -1: without end. */
void queue_wait(struct queue *q, int timeout_ms);
/* Leader: was it rung? Forgets it. */
bool queue_is_rung(struct queue *q);

#endif
