/*
 * The daemon: what it serves, the intake before it, what they share, and the threads. Each engine has its leader; the control
 * thread (main) owns sockets, signals and start-up.
 */
#ifndef GYRE_DAEMON_DAEMON_H
#define GYRE_DAEMON_DAEMON_H

#include "daemon/engine/served.h"
#include "daemon/control/health.h"

struct daemon {
	struct intake intake;
	struct served served;
	struct kernels kernels;
	struct config config;
	struct layouts layouts;
	struct health health[QUEUE_ENGINE_MAX]; /* the control thread's */

	int control_fd; /* eventfd: a leader wakes the control thread */
};

/* Loads the model and takes all memory; nothing runs yet. 0 or -errno with e. */
int daemon_open(struct daemon *d, const struct config *c, struct error *e);
void daemon_close(struct daemon *d);
/* Starts the leader threads; stop waits for them to finish their steps. */
int daemon_start(struct daemon *d);
void daemon_stop(struct daemon *d);

#endif
