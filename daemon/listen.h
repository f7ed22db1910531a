/*
 * The listening socket. A file that nobody answers on is replaced; one that a live daemon serves is left alone. While it looks
 * and replaces, PATH.lock is held and then removed: of daemons that start at once, one gets the path and the others are told.
 */
#ifndef GYRE_DAEMON_LISTEN_H
#define GYRE_DAEMON_LISTEN_H

#include "daemon/util/error.h"

/* A SOCK_SEQPACKET socket at path, or -errno; -EADDRINUSE: a live daemon answers there. */
int listen_open(const char *path, struct error *e);

#endif
