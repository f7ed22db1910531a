/*
 * SQ rings -> requests -> the engines' queues. One leader at a time is at the desk (desk.h): it drains the rings, users in turn and
 * each as far as its part of the drain goes, and routes every request to the engine with the least load. A leader that comes by between two steps and finds somebody there goes on with what
 * is in its inbox. The control thread hands sessions over and takes them back through two small lists under a lock.
 *
 * An SQE is copied once; what its completion needs is checked for room first, and an entry that finds none stays in the SQ.
 * A session has always room for one request in the pool; beside those, a user takes more while it holds less than it leaves to
 * others. What is beyond its share is refused with -EBUSY and does not wait, so that a CANCEL behind it comes through.
 * Before each step a leader has completions promised to each of its requests, as many as its CQ has room for: without, its rows
 * pause, so nothing is ever dropped.
 */
#ifndef GYRE_DAEMON_INTAKE_INTAKE_H
#define GYRE_DAEMON_INTAKE_INTAKE_H

#include "daemon/intake/helper.h"
#include "daemon/session/session.h"
#include "daemon/flow/queue.h"
#include "daemon/flow/request_pool.h"

#define INTAKE_SESSION_MAX QUEUE_SESSION_MAX
#define INTAKE_INLINE_TEXT 128u  /* bytes of a prompt that are read at the desk: 4 us, 17 at the worst */
#define INTAKE_INLINE_MAX  4096u /* of one that comes as ids: 1 us */

struct intake_stats { /* written at the desk, read by the control thread; relaxed */
	uint64_t n_request, n_refused, n_session;
};

struct intake_options {
	const struct served *served;
	uint32_t n_draft, block_len;
	uint64_t spin_ns;
	uint32_t n_outrank, outrank[USER_OUTRANK_MAX]; /* uids that may go before others */
};

struct intake {
	_Alignas(64) uint32_t n_queue, n_draft;
	uint64_t spin_ns;

	/* The desk, and what belongs to whoever is there. */
	struct lock desk;
	uint32_t n_session, n_user; /* users that have sessions here */
	uint32_t first_user;        /* whose SQs are drained first in this step */
	int left;                   /* of this drain's work, for the user whose SQs are drained (drain.c) */
	struct session *session[INTAKE_SESSION_MAX];
	struct prompt_reader reader;
	struct helper helper;
	uint8_t text[INTAKE_INLINE_MAX]; /* private copies of a client's bytes */
	_Alignas(8) uint8_t opts[VALIDATE_OPTIONS_MAX];
	struct intake_stats stats;
	int epoll_fd;
	int wake_fd; /* eventfd: whoever waits at the desk */

	struct queue *queue[QUEUE_ENGINE_MAX]; /* [n_queue] */
	struct user_table users;               /* slots: under mail_lock */
	struct request_pool pool;
	int control_fd; /* the control thread's; not owned */
	pthread_mutex_t mail_lock;
	uint32_t has_mail;                                /* atomic */
	struct session *attaching, *detaching, *detached; /* under mail_lock */
	uint32_t is_closed;                               /* atomic: new requests are refused, the daemon drains */
};

int intake_init(struct intake *i, const struct intake_options *o, int control_fd);
void intake_deinit(struct intake *i);

/* Control thread. */
void intake_attach(struct intake *i, struct session *s);
void intake_detach(struct intake *i, struct session *s);
/* The sessions that everybody has let go of, linked by next. */
struct session *intake_take_detached(struct intake *i);
/* From now on new requests get -ESHUTDOWN. */
void intake_close(struct intake *i);
/* Any thread: whoever waits at the desk looks around. */
void intake_wake(struct intake *i);

/* The leader whose engine has q. */
void intake_drain(struct intake *i, struct queue *q);
/* Nothing to do: spins for a bounded time, then sleeps until a doorbell or mail, or something in q. */
void intake_park(struct intake *i, struct queue *q);

#endif
