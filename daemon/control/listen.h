/*
 * The listening socket. A file that nobody answers on is replaced; one that a live daemon serves is left alone. While it looks
 * and replaces, PATH.lock is held and then removed: of daemons that start at once, one gets the path and the others are told.
 */
#ifndef GYRE_DAEMON_CONTROL_LISTEN_H
#define GYRE_DAEMON_CONTROL_LISTEN_H

#include "daemon/util/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

struct listener {
	int fd;
	struct sockaddr_un at;
	dev_t dev; /* of the file that was made for it, */
	ino_t ino; /* which somebody may replace; 0: it is another's */
	bool has_lock;
	char lock[sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof(".lock")];
};

#define LISTENER_NONE ((struct listener){ .fd = -1 })

/* Of the file: who may write to it may connect. */
struct listen_access {
	mode_t mode; /* 0: by the umask */
	gid_t group; /* (gid_t)-1: the process's */
	int type;    /* 0: SOCK_SEQPACKET */
};

/* A socket at path; access NULL: by the umask, of the process's group. -errno; -EADDRINUSE: a live daemon answers there. */
int listen_open(struct listener *l, const char *path, const struct listen_access *access, struct error *e);
/* One that a service manager has made and keeps: fd is the listener's then. 0, or -EPROTOTYPE: it is none. */
int listen_adopt(struct listener *l, int fd, struct error *e);
/* The mode and group of the file that was made. -ENOENT: it is another's, or another stands in its place. */
int listen_change(const struct listener *l, const struct listen_access *access);
/* Removes the file, unless another stands in its place by now, and closes the socket. Once more does nothing. */
void listen_close(struct listener *l);
/* Before the process ends, by another thread, at any moment of listen_open or later: what it has made of l[n] is removed, and nothing more is
 * made, since whoever would make it waits for ever. */
void listen_abandon(struct listener *l, uint32_t n);

#endif
