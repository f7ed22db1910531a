/*
 * The signals that mean something to gyred become a descriptor that the control thread reads: a signalfd, or, where that is
 * forbidden, a pipe that a handler writes the same bytes to. Those that would end it over what one client did are ignored: a
 * socket without reader (SIGPIPE), a file larger than RLIMIT_FSIZE (SIGXFSZ); the call that caused them fails instead.
 */
#ifndef GYRE_DAEMON_CONTROL_SIGNALS_H
#define GYRE_DAEMON_CONTROL_SIGNALS_H

#include "daemon/util/error.h"

/* Before the first thread is made. A descriptor that gives struct signalfd_siginfo, for good; or -errno. */
int signals_open(struct error *e);

/* The descriptor gives nothing any more: from now on these signals end the process at once. */
void signals_surrender(void);

#endif
