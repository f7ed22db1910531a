/*
 * An entry of an SQ -> an answer, or a request on its way to an engine. At the watch. What the client wrote is copied once, checked,
 * and only then used; what it costs is taken off `left`, in units of units.h. What is beyond a user's share of the pool is refused with
 * -EBUSY and does not wait, so that a CANCEL behind it comes through.
 */
#ifndef GYRE_DAEMON_INTAKE_TAKE_H
#define GYRE_DAEMON_INTAKE_TAKE_H

#include "daemon/intake/helper.h"
#include "daemon/intake/place.h"

#define INTAKE_INLINE_TEXT 128u  /* bytes of a prompt that are read at the watch: 4 us, 17 at the worst */
#define INTAKE_INLINE_MAX  4096u /* of one that comes as ids: 1 us */

enum take_fate {
	TAKE_WAITS,   /* for room in the CQ, at the helper, in the pool */
	TAKE_GOES_ON, /* its text is being copied; s->job has the one copy of the entry */
	TAKE_MADE,    /* a request has been made of it */
	TAKE_ANSWERED,
};

struct taker {
	int left;                            /* of this drain's work, for the user whose SQs are drained */
	uint32_t is_closed;                  /* atomic: new requests are refused, the daemon drains */
	uint64_t n_request, n_refused;       /* counters */
	uint64_t refusal[METER_REFUSAL_MAX]; /* counters */
	struct queue *own;                   /* of the leader that is here */
	struct event_ring *events;           /* its */

	/* Not owned. */
	struct roster *roster;
	struct handover *handover;
	struct served *served;  /* [SERVED_MAX] */
	const uint32_t *n_text; /* atomic: texts that have been read */

	struct prompt_reader reader;
	struct words words;              /* why the entry in hand is refused */
	uint8_t text[INTAKE_INLINE_MAX]; /* private copies of a client's bytes */
	_Alignas(8) uint8_t opts[VALIDATE_OPTIONS_MAX];
};

/* -ENOMEM. */
int take_init(struct taker *t);
void take_deinit(struct taker *t);
/* From now on new requests get -ESHUTDOWN. Any thread. */
void take_close(struct taker *t);

/* sqe: a private copy of what is at the head of s's SQ; not looked at while s->job is set. */
enum take_fate take_entry(struct taker *t, struct queue *own, struct session *s, const struct gyre_sqe *sqe);
/* Requests whose text the helper has read go on to an engine. */
void take_texts(struct taker *t, struct queue *own);

#endif
