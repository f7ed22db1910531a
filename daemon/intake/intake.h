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
	const struct served *served;
	uint32_t n_draft, block_len;
	uint64_t spin_ns;
	uint32_t n_outrank, outrank[USER_OUTRANK_MAX]; /* uids that may go before others */
};

struct intake {
	/* What each drain touches lies side by side. */
	_Alignas(64) struct watch watch;
	uint32_t n_draft;
	struct handover handover;
	struct roster roster;
	struct taker take;
	struct helper helper;
	struct request_pool pool;
};

/* control_fd: an eventfd of the control thread's, written when a session is given back. 0 or -errno, and nothing is left. */
int intake_init(struct intake *i, const struct intake_options *o, int control_fd);
/* A zero-filled struct does nothing. */
void intake_deinit(struct intake *i);

/* The leader whose engine has q. */
void intake_drain(struct intake *i, struct queue *q);
/* Nothing to do: spins for a bounded time, then sleeps until a doorbell or mail, or something in q. */
void intake_park(struct intake *i, struct queue *q);

/* Any thread. New requests get -ESHUTDOWN from now on. */
void intake_close(struct intake *i);

#endif
