/*
 * The daemon: what it serves, the intake before it, what they share, and the threads. Each engine has its leader; the control
 * thread (main) owns sockets, signals and start-up.
 */
#ifndef GYRE_DAEMON_DAEMON_H
#define GYRE_DAEMON_DAEMON_H

#include "daemon/control/control.h"

struct daemon {
	struct intake intake;
	struct registry models;
	struct kernels kernels;
	struct config config;
	struct layouts layouts;

	int control_fd; /* eventfd: a leader wakes the control thread */
};

/* Loads the model and takes all memory; nothing runs yet. 0 or -errno with e. */
int daemon_open(struct daemon *d, const struct config *c, struct error *e);
void daemon_close(struct daemon *d);
/* Starts the leader threads; stop waits for them to finish their steps. */
int daemon_start(struct daemon *d);
void daemon_stop(struct daemon *d);
/* For the control thread. */
struct control_parts daemon_parts(struct daemon *d);

#endif
