/*
 * Who watches the rings. The watch is a mutex: its holder drains, and when there is nothing to do waits there, spinning and then
 * asleep on all doorbells. Other idle leaders wait aside, in their own queues. Whoever leaves for a step calls one of them to the
 * watch, so that while any engine is idle, somebody watches, and a new request waits for no other engine's step; if all are busy,
 * each drains between its steps. With one engine its leader always has the watch.
 */
#ifndef GYRE_DAEMON_INTAKE_WATCH_H
#define GYRE_DAEMON_INTAKE_WATCH_H

#include "daemon/intake/handover.h"
#include "daemon/intake/roster.h"

struct watch {
	struct lock lock;
	uint32_t n_queue; /* counter: engines there have ever been */
	uint64_t spin_ns; /* before it sleeps */
	int epoll_fd;     /* all doorbells, and: */
	int wake_fd;      /* eventfd: whoever has the watch looks around */

	/* What may bring work; not owned. */
	struct roster *roster;
	struct handover *handover;
	const uint32_t *n_text; /* atomic: texts that have been read (helper.h) */
	struct queue *queue;    /* [n_queue] of each engine */
};

/* The rest is the caller's to set. 0 or -errno. */
int watch_init(struct watch *w, bool is_shared);
void watch_deinit(struct watch *w);

/* Any thread: whoever has the watch looks around. */
void watch_call(struct watch *w);

/* false: somebody has it. */
bool watch_enter(struct watch *w);
/* The leader whose engine has q, after a drain. */
void watch_leave(struct watch *w, const struct queue *q);
/* The leader whose engine has q, and no work: returns when there may be some; may return spuriously. */
void watch_wait(struct watch *w, struct queue *q);

/* At the watch: the doorbell of s is listened to, and no longer. 0 or -errno. */
int watch_add(struct watch *w, struct session *s);
void watch_remove(struct watch *w, struct session *s);

#endif
