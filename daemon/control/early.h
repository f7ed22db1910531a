/*
 * Signals from the first moment of main until the control loop reads them: a thread waits for them, since a configuration from a slow
 * disk, the wait for another daemon's lock, or loading a model looks at no flag. Nobody has been promised anything yet, so ending is
 * removing what is in the file system. Only SIGHUP is kept for later, once a configuration's file has been read.
 */
#ifndef GYRE_DAEMON_CONTROL_EARLY_H
#define GYRE_DAEMON_CONTROL_EARLY_H

#include "daemon/control/listen.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct early {
	struct listener *listener; /* [n_listener] */
	uint32_t n_listener;
	int signal_fd, ready_fd;
	uint32_t keeps_hup; /* atomic: a configuration has been read, and SIGHUP asks to read it again, later */
	bool was_hup;       /* after early_stop: it has asked */
	pthread_t thread;
};

/* From now on a signal ends the process with status 0. l[n]: LISTENER_NONE, or listen_open may be under way. -errno. */
int early_start(struct early *w, struct listener *l, uint32_t n, int signal_fd, struct error *e);
/* What comes later is for the control loop to read: the thread has only polled. */
void early_stop(struct early *w);

#endif
