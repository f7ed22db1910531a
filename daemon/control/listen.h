/*
 * The listening socket. A file that nobody answers on is replaced; one that a live daemon serves is left alone. While it looks
 * and replaces, PATH.lock is held and then removed: of daemons that start at once, one gets the path and the others are told.
 */
#ifndef GYRE_DAEMON_CONTROL_LISTEN_H
#define GYRE_DAEMON_CONTROL_LISTEN_H

#include "daemon/util/error.h"

#include <sys/types.h>
#include <sys/un.h>

struct listener {
	int fd;
	struct sockaddr_un at;
	dev_t dev; /* of the file that was made for it, */
	ino_t ino; /* which somebody may replace */
};

/* A SOCK_SEQPACKET socket at path. -errno; -EADDRINUSE: a live daemon answers there. */
int listen_open(struct listener *l, const char *path, struct error *e);
/* Removes the file, unless another stands in its place by now. Async-signal-safe; once more does nothing. */
void listen_unlink(const struct listener *l);
/* That, and closes the socket. */
void listen_close(struct listener *l);

#endif
