/*
 * What becomes of requests, for the journal: fixed records in a ring of each engine. Its leader writes, without a system call, and
 * never waits; the control thread reads when it looks around, and puts them into words. When the ring is full a record is dropped
 * and counted. There is room for numbers only: nothing of a client's text can come into one.
 */
#ifndef GYRE_DAEMON_FLOW_EVENT_H
#define GYRE_DAEMON_FLOW_EVENT_H

#include "shm/atomic.h"

#include <stdbool.h>
#include <stdint.h>

#define EVENT_RING_MAX 1024u /* a power of two; the control thread looks five times a second */

struct request;
struct served;

/* How much is written: each level has those before it. */
enum event_level { EVENT_OFF, EVENT_ERRORS, EVENT_REQUESTS, EVENT_DEBUG };

enum event_kind {
	EVENT_ACCEPTED, /* debug */
	EVENT_SLOW,     /* errors: its first token came late */
	EVENT_ENDED,    /* requests; errors, if it failed */
	EVENT_REFUSED,  /* errors: no request was made of the entry */
	EVENT_KIND_MAX
};

struct event {
	uint8_t kind, opcode, reason; /* reason: enum meter_reason of one that ended, enum meter_refusal */
	int32_t res;
	uint32_t uid, session;
	uint64_t request; /* 0: none was made */
	const struct served *served;
	uint32_t n_prompt, n_token;
	uint64_t first_ns, whole_ns; /* since it came; 0: there is no first token */
};

struct event_ring {
	uint32_t level;   /* atomic: enum event_level; the control thread's */
	uint64_t slow_ns; /* atomic: to the first token; 0: nothing is slow */
	_Alignas(64) uint64_t tail;
	uint64_t n_dropped; /* counter: there was no room */
	_Alignas(64) uint64_t head;
	struct event event[EVENT_RING_MAX];
};

/* Control thread. What is written from now on. */
void event_set_level(struct event_ring *ring, enum event_level level, uint64_t slow_ns);
/* Control thread: the oldest, copied. false: there is none. */
bool event_take(struct event_ring *ring, struct event *e);

/* Leader: e, if there is room. */
void event_put(struct event_ring *ring, const struct event *e);
/* What of r there is to say, at now_ns. reason: of its end. */
void event_put_request(struct event_ring *ring, enum event_kind kind, const struct request *r, uint8_t reason,
		       uint64_t now_ns);

/* Any thread. */
static inline bool event_is_wanted(const struct event_ring *ring, enum event_level level)
{
	return load_relaxed(&ring->level) >= level;
}

#endif
