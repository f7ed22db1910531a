/*
 * The listening socket. A file that nobody answers on is replaced; one that a live daemon serves is left alone.
 */
#ifndef GYRE_DAEMON_LISTEN_H
#define GYRE_DAEMON_LISTEN_H

#include "daemon/util/error.h"

/* A SOCK_SEQPACKET socket at path, or -errno; -EADDRINUSE: a live daemon answers there. */
int listen_open(const char *path, struct error *e);

#endif
