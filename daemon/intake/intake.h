/*
 * SQ rings -> requests. The leader thread calls drain and park; the control thread hands sessions over and takes them back
 * through two small lists under a lock, which the leader looks at between steps only.
 *
 * An SQE is copied once; what its completion needs is checked for room first, and an entry that finds none stays in the SQ.
 * A session has always room for one request in the pool; with one there, it takes more while it holds less than it leaves to
 * others. What is beyond its share is refused with -EBUSY and does not wait, so that a CANCEL behind it comes through.
 * Each drain also grants every request the completions its CQ has room for: 0 pauses its rows, so nothing is ever dropped.
 */
#ifndef GYRE_DAEMON_INTAKE_INTAKE_H
#define GYRE_DAEMON_INTAKE_INTAKE_H

#include "daemon/intake/prompt.h"
#include "daemon/intake/session.h"
#include "daemon/queue.h"

#define INTAKE_SESSION_MAX QUEUE_SESSION_MAX

struct intake_stats { /* written by the leader, read by the control thread; relaxed */
	uint64_t n_request, n_refused, n_step, n_park, n_session;
};

struct intake_options {
	uint32_t n_vocab, n_ctx, n_draft;
	uint64_t spin_ns;
};

struct intake {
	struct geometry geometry; /* arena_bytes is each session's own */
	uint64_t spin_ns;
	uint32_t n_draft;
	uint32_t n_session, first; /* first: whose SQ is drained first in this step */
	struct session *session[INTAKE_SESSION_MAX];
	struct prompt_reader reader;
	struct prompt_helper helper;
	uint8_t text[PROMPT_INLINE_MAX]; /* private copies of a client's bytes */
	_Alignas(8) uint8_t opts[VALIDATE_OPTIONS_MAX];
	struct intake_stats stats;

	int epoll_fd;
	int wake_fd;    /* the leader's eventfd */
	int control_fd; /* the control thread's; not owned */
	pthread_mutex_t lock;
	uint32_t has_mail;                                /* atomic */
	struct session *attaching, *detaching, *detached; /* under lock */
	uint32_t is_closed;                               /* atomic: new requests are refused, the daemon drains */
};

int intake_init(struct intake *i, const struct vocab *v, const struct intake_options *o, int control_fd);
void intake_deinit(struct intake *i);

/* Control thread. */
void intake_attach(struct intake *i, struct session *s);
void intake_detach(struct intake *i, struct session *s);
/* The sessions that the leader has let go of, linked by next. */
struct session *intake_take_detached(struct intake *i);
/* From now on new requests get -ESHUTDOWN. */
void intake_close(struct intake *i);
void intake_wake(struct intake *i);

/* Leader. */
void intake_drain(struct intake *i, struct queue *q);
/* Nothing to do: spins for a bounded time, then sleeps until a doorbell or mail. Returns 0. */
int intake_park(struct intake *i);

#endif
