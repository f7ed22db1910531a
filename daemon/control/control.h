/*
 * The control thread: accepts clients, shakes hands, sees them go, answers statistics, looks whether the engines move, and ends
 * on SIGTERM or SIGINT after running requests have finished or the configured time is over. It never touches a request. It waits on
 * a loop (loop/), of io_uring or of epoll.
 */
#ifndef GYRE_DAEMON_CONTROL_CONTROL_H
#define GYRE_DAEMON_CONTROL_CONTROL_H

#include "daemon/control/sandbox.h"
#include "daemon/config/config.h"
#include "daemon/engine/registry.h"
#include "daemon/intake/intake.h"

struct reload;

/* Of the daemon, what the control thread works on; it outlives the thread. */
struct control_parts {
	struct config *config; /* what it was started with, and has been told since */
	struct registry *models;
	struct intake *intake;
	int leader_fd;   /* eventfd: a leader has let go of sessions */
	const char *isa; /* for statistics, as the next */
	uint32_t n_thread;
	uint64_t session_bytes;             /* what all regions may take; 0: half of the memory that is left */
	const struct config_uids *admin;    /* who may load and unload models, beside root and our own user */
	const struct reload *reload;        /* reload.h; NULL: SIGHUP ends it, as SIGTERM does */
	bool is_confined;                   /* behind the sandbox, once all threads are there */
	const char *path[SANDBOX_PATH_MAX]; /* of the sockets' files that are its own to remove; NULL: none is */
	uint32_t drain_seconds;             /* for what runs when a signal comes */
	int metrics_fd;                     /* listens, and metrics are given there; -1: nowhere */
};

struct control;

/* Before the model is loaded: what it needs of the host is tried. signal_fd and listen_fd stay the caller's. 0 or -errno. */
int control_open(struct control **cp, int listen_fd, int signal_fd, struct error *e);
/* Serves until a signal; the leaders have been started, and are stopped before it returns. 0 or -errno. */
int control_run(struct control *c, const struct control_parts *p, struct error *e);
/* NULL does nothing. Returns NULL. */
struct control *control_close(struct control *c);

#endif
