/*
 * The daemon's two ends of a session's rings. Both rings are single-producer single-consumer; the client's ends live in
 * libgyre. Owner: the leader thread. The other side's counter is hostile: it is loaded exactly once per call that says so,
 * checked against our own private counters, and a lie is -EPROTO, upon which the caller closes the session.
 *
 * Our own counters are kept privately (head, tail below); the shared words are only ever written from them.
 */
#ifndef GYRE_SHM_RING_H
#define GYRE_SHM_RING_H

#include "shm/abi.h"

#include <stdbool.h>

struct region;

struct sq_consumer {
	const uint32_t *shared_tail; /* client page; hostile */
	uint32_t *shared_head;       /* daemon page */
	const struct gyre_sqe *sqe;  /* [entries]; hostile */
	uint32_t entries;
	uint32_t head; /* next entry to peek */
	uint32_t tail; /* as of the last sq_consumer_load; tail - head <= entries always */
};

struct cq_producer {
	const uint32_t *shared_head; /* client page; hostile */
	uint32_t *shared_tail;       /* daemon page; futex word */
	struct gyre_cqe *cqe;        /* [entries] */
	uint8_t *result;             /* [entries][GYRE_RESULT_SLOT_BYTES] */
	uint32_t entries;
	uint32_t head; /* as of the last cq_producer_space */
	uint32_t tail; /* next entry to reserve; reserved ones lie behind *shared_tail until commit */
};

void sq_consumer_init(struct sq_consumer *q, const struct region *r);

/* Begin a drain: load the tail, once. How many entries wait (0 … entries), or -EPROTO if the client claims more than fit. */
int sq_consumer_load(struct sq_consumer *q);

/* Ask for the line of the entry at the head, which may not be written yet: no wait, no result. */
void sq_consumer_fetch(const struct sq_consumer *q);

/* Copy the entry at the head, once; false: the drain is at its end. The entry stays the daemon's until commit. */
bool sq_consumer_peek(const struct sq_consumer *q, struct gyre_sqe *copy);

/* Step over the entry just peeked. */
void sq_consumer_advance(struct sq_consumer *q);

/* Give all entries stepped over, and their arena bytes, back to the client. */
void sq_consumer_commit(struct sq_consumer *q);

void cq_producer_init(struct cq_producer *q, const struct region *r);

/* Load the client's head, once. How many entries can be reserved (0 … entries), or -EPROTO if the head is none we offered. */
int cq_producer_space(struct cq_producer *q);

/*
 * The next free entry, zeroed, or NULL if there was none at the last cq_producer_space. May be called repeatedly before one
 * commit. *result (may be NULL) is the entry's result slot of GYRE_RESULT_SLOT_BYTES, with its old contents.
 */
struct gyre_cqe *cq_producer_reserve(struct cq_producer *q, uint8_t **result);

/* Publish all reserved entries. Afterwards call doorbell_wake_client. */
void cq_producer_commit(struct cq_producer *q);

#endif
