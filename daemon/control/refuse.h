/*
 * Clients that a service manager's socket has kept waiting for a gyred that cannot serve. Left alone they would have the manager start
 * it again and again, until that gives the socket up and nobody can come even after the mistake has been mended.
 */
#ifndef GYRE_DAEMON_CONTROL_REFUSE_H
#define GYRE_DAEMON_CONTROL_REFUSE_H

/* Answers every hello that waits with the reason, -ENODEV, and hangs up. Takes two seconds at most. */
void refuse_waiting(int listen_fd, const char *why);

#endif
