/*
 * One client: its socket, its two regions, the daemon's ends of its rings. Made by the control thread at the handshake, freed by
 * it once intake and the last of its requests have let go of it. The socket stays the control thread's; leaders only send one
 * byte on it, never blocking.
 *
 * The SQ end is intake's, whichever leader is at it. The CQ end has one writer at a time, under the lock: leaders whose engines
 * run requests of this session, and intake. A step's completions are promised their entries before it, so that what another
 * engine or intake writes meanwhile takes none of them.
 */
#ifndef GYRE_DAEMON_SESSION_SESSION_H
#define GYRE_DAEMON_SESSION_SESSION_H

#include "daemon/flow/served.h"
#include "daemon/flow/words.h"
#include "daemon/util/lock.h"
#include "shm/region.h"
#include "shm/ring.h"

#include <stdbool.h>
#include <sys/socket.h>

/* What of a session has to outlive the process, beside its regions, which hold rings and counters, and its descriptors. */
struct session_kept {
	uint32_t uid;
	bool is_broken; /* intake's: its counters lied, nothing more is read from it */
};

struct session {
	struct session_kept kept;
	struct session *next; /* in a hand-off list */
	struct served *served;
	/* Of what it is served, when it was welcomed; arena_bytes is its own. */
	struct geometry geometry;
	uint32_t generation;
	uint32_t slot;   /* in the roster */
	uint32_t number; /* since the start: the control thread's */
	uint64_t n_done; /* counter, as n_request of the daemon page: requests that have gone back to the pool */
	int socket_fd;
	int doorbell_fd; /* eventfd that the client writes; the daemon only polls it */
	struct region region;
	struct sq_consumer sq;
	bool is_paused; /* intake's: it has entries that wait for CQ space */

	struct gyre_limits limits; /* of its user: each field atomic, written by the control thread */
	uint32_t weight;           /* likewise: parts of the time that its user has */

	/* Intake's, once it is in the roster. */
	struct user *user;
	struct session *before, *after; /* of the same user, in a circle */
	struct {
		struct request *before; /* what the next entry waits for (LINK); NULL: nothing */
		bool is_cut;            /* it fails, because one before it did */
	} chain;
	struct helper_job *job; /* the entry at the head: a long prompt, not all of which has been copied yet */

	/* Under the lock, as are the live counters of the daemon page. What each step uses lies together. */
	struct cq_producer cq;
	uint32_t n_piece;    /* of what it is served: completions that a token's bytes take at most */
	uint32_t n_promised; /* CQ entries kept for requests of steps under way */
	bool is_touched;     /* reserved entries wait for session_flush */
	uint32_t is_gone;    /* atomic, without the lock: nobody reads the CQ any more */
	struct lock lock;
	struct request *youngest; /* its requests, from the last one taken */
	uint32_t has_own;         /* atomic: a request of it is in its own place; looked at without the lock */
	uint32_t n_ref; /* atomic, without the lock: intake's, until the client has gone, and one of each request */
};

/* Makes regions and doorbell. socket_fd is taken over on success only. -errno. */
int session_new(struct session **sp, struct served *served, int socket_fd, uid_t uid, const struct abi_hello *hello);
/* Closes and unmaps what there is. NULL does nothing. Returns NULL. */
struct session *session_free(struct session *s);

/* What its user may have from now on. Control thread. */
void session_set_limits(struct session *s, const struct gyre_limits *l, uint32_t weight);

/* Its counters lied: nothing more is read from it. The control thread sees the hang-up and detaches it. */
void session_break(struct session *s);

/* All functions below except session_flush require the lock. */

/* Reloads the client's CQ head. false: it lied. */
bool session_load_space(struct session *s);
/* Keeps up to `most` entries for later, no fewer than `least`, or none. Reloads when that may help. Returns how many. */
uint32_t session_promise(struct session *s, uint32_t most, uint32_t least);
/* Of those, n go back, or are about to be written. */
void session_unpromise(struct session *s, uint32_t n);
/* The next completion, or NULL: no space. *result may be NULL. Published by session_flush. */
struct gyre_cqe *session_complete(struct session *s, uint64_t user_data, uint8_t **result);
/* The bytes of such a completion, p[n], n <= GYRE_RESULT_TEXT_BYTES: in it, or in its result slot. */
void session_put_bytes(struct gyre_cqe *cqe, uint8_t *result, const void *p, uint32_t n);
/* The only completion of an entry that no request was made of; res < 0: with words. There is space. */
void session_answer(struct session *s, uint64_t user_data, int res, const struct words *w);

/* A request of it comes in, and goes back to the pool. */
void session_link(struct session *s, struct request *r);
void session_unlink(struct session *s, struct request *r);
/* The place of r in the pool is another's to take. Once is enough. */
void session_leave_place(struct session *s, struct request *r);

/* Publishes what session_complete gave out, to whomever, and wakes the client if it is parked: true. Takes the lock. */
bool session_flush(struct session *s);

#endif
