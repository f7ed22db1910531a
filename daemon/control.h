/*
 * The control thread's loop, on io_uring: accepts clients, shakes hands, sees them go, answers statistics, and ends on
 * SIGTERM or SIGINT after running requests have finished or the configured time is over. It never touches a request.
 */
#ifndef GYRE_DAEMON_CONTROL_H
#define GYRE_DAEMON_CONTROL_H

#include "daemon/daemon.h"

/* Serves until a signal. signal_fd and listen_fd stay the caller's. 0 or -errno. */
int control_run(struct daemon *d, int listen_fd, int signal_fd, struct error *e);

#endif
