/*
 * SQ rings -> requests -> the engines' queues. One leader at a time has the watch (watch.h): it drains the rings (drain.h), takes
 * their entries (take.h), and routes every request to the engine with the least load. A leader that comes by between two steps and finds
 * somebody there goes on with what is in its inbox. The control thread hands sessions over and takes them back (handover.h).
 */
#ifndef GYRE_DAEMON_INTAKE_INTAKE_H
#define GYRE_DAEMON_INTAKE_INTAKE_H

#include "daemon/intake/drain.h"
#include "daemon/intake/watch.h"

struct intake_options {
	struct served *served;        /* [SERVED_MAX] */
	uint32_t n_engine, block_len; /* n_engine: at first; there may be more later */
	uint64_t spin_ns;
	uint32_t n_outrank, outrank[USER_OUTRANK_MAX]; /* uids that may go before others */
};

struct intake {
	/* What each drain touches lies side by side. */
	_Alignas(64) struct watch watch;
	uint32_t n_text; /* atomic: texts that have been read */
	uint32_t block_len;
	struct handover handover;
	struct roster roster;
	struct taker take;
	struct queue queue[QUEUE_ENGINE_MAX]; /* of each engine, for as long as the daemon lives */
};

/* control_fd: an eventfd of the control thread's, written when a session is given back. 0 or -errno, and nothing is left. */
int intake_init(struct intake *i, const struct intake_options *o, int control_fd);
/* A zero-filled struct does nothing. */
void intake_deinit(struct intake *i);

/*
 * What requests of a model need here: places, and threads for its texts. Before it is said to be ready: its geometry, vocabulary, template
 * and queues are there. 0 or -errno, and nothing is left.
 */
int intake_open(struct intake *i, struct served *s);
/* Once nobody can reach it; a zero-filled model does nothing. */
void intake_shut(struct served *s);
/* The queue of one more engine; slot < QUEUE_ENGINE_MAX. */
struct queue *intake_queue(struct intake *i, uint32_t slot);
/* The loader: it is another thread's leader that will be made next: from now on locks are taken. There is a leader. */
void intake_share(struct intake *i);

/* The leader whose engine has q. */
void intake_drain(struct intake *i, struct queue *q);
/* Nothing to do: spins for a bounded time, then sleeps until a doorbell or mail, or something in q. */
void intake_park(struct intake *i, struct queue *q);

/* Any thread but a leader. Whose requests may go before others' from now on. */
void intake_set_outrank(struct intake *i, uint32_t n, const uint32_t *uid);
/* Any thread. New requests get -ESHUTDOWN from now on. */
void intake_close(struct intake *i);

#endif
