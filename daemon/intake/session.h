/*
 * One client: its socket, its two regions, the daemon's ends of its rings. Made by the control thread at the handshake,
 * owned by the leader thread from attach to detach, freed by the control thread after that. The socket stays the control
 * thread's; the leader only sends one byte on it, never blocking.
 */
#ifndef GYRE_DAEMON_INTAKE_SESSION_H
#define GYRE_DAEMON_INTAKE_SESSION_H

#include "shm/region.h"
#include "shm/ring.h"

#include <stdbool.h>
#include <sys/socket.h>

struct session {
	struct session *next; /* in a hand-off list */
	uint32_t slot;        /* in intake's table; KV owner */
	int socket_fd;
	int doorbell_fd; /* eventfd that the client writes; the daemon only polls it */
	uid_t uid;
	gid_t gid;
	pid_t pid;
	struct region region;
	struct sq_consumer sq;
	struct cq_producer cq;
	uint32_t n_space; /* CQ entries free and not yet reserved */
	bool is_touched;  /* reserved entries wait for session_flush */
	bool is_broken;   /* its counters lied: nothing more is read from it */
	bool is_paused;   /* it has work that waits for CQ space */
};

/* Makes regions and doorbell. socket_fd is taken over on success only. -errno. */
int session_new(struct session **sp, int socket_fd, const struct ucred *peer, const struct abi_hello *hello);
/* Closes and unmaps what there is. NULL does nothing. Returns NULL. */
struct session *session_free(struct session *s);

/* Reloads the client's CQ head. false: it lied, the session is broken. */
bool session_load_space(struct session *s);
/* The next completion, or NULL: no space. *result may be NULL. Published by session_flush. */
struct gyre_cqe *session_complete(struct session *s, uint64_t user_data, uint8_t **result);
/* Publishes what session_complete gave out and wakes the client if it is parked. */
void session_flush(struct session *s);

#endif
