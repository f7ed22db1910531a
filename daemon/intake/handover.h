/*
 * Sessions change hands: the control thread attaches and detaches them, whoever has the watch takes them into the roster and drops
 * them, and the last who holds one gives it back. What is on its way lies in three lists under a lock.
 */
#ifndef GYRE_DAEMON_INTAKE_HANDOVER_H
#define GYRE_DAEMON_INTAKE_HANDOVER_H

#include "daemon/session/session.h"
#include "shm/atomic.h"

#include <pthread.h>

struct handover {
	pthread_mutex_t lock;
	uint32_t has_mail; /* atomic: there is something for the watch; a hint, the lock orders */
	struct session *attaching, *detaching, *detached; /* under the lock, linked by next */
	int control_fd, wake_fd; /* eventfds of the control thread and of the watch; not owned */
	bool is_shared;          /* there are several leaders, or will be: the watch's, as is every lock's */

	/* Under the lock. */
	bool wants_shared;       /* the loader's: there will be another leader */
	uint32_t n_call, n_seen; /* calls of the loader's, and those that whoever has the watch has seen */
	pthread_cond_t seen;
};

void handover_init(struct handover *h, int control_fd, int wake_fd, bool is_shared);

/* Control thread. */
void handover_attach(struct handover *h, struct session *s);
void handover_detach(struct handover *h, struct session *s);
/* The sessions that everybody has let go of, linked by next. */
struct session *handover_take_detached(struct handover *h);

/* The watch. To the end under the lock: a session just admitted may be put on the other list as soon as it is free. */
/* false: there is nothing. true: the lock is held until handover_end. */
bool handover_begin(struct handover *h);
/* One that has come, one that is to go, or NULL. Read in this order: then nobody goes who has not come. */
struct session *handover_next_attached(struct handover *h);
struct session *handover_next_detached(struct handover *h);
/* Of s, which has been dropped from the roster, the watch holds nothing any more. */
void handover_let_go(struct handover *h, struct session *s);
void handover_end(struct handover *h);

/* The watch: the control thread looks around. */
void handover_call_control(struct handover *h);
/* A leader: one request of s less. */
void handover_put(struct handover *h, struct session *s);

/*
 * The loader: waits until whoever has the watch, or comes to it next, has seen what this thread has stored so far, and has done with what
 * it read before. want_shared: and has had every lock shared. There is a leader.
 */
void handover_await(struct handover *h, bool want_shared);

static inline bool handover_has_mail(const struct handover *h)
{
	return load_relaxed(&h->has_mail);
}

#endif
