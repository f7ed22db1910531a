/*
 * Inside libgyre: the session object. One thread at a time. The library's private counters are the truth of its own side;
 * shared words are only written from them.
 */
#ifndef GYRE_CLIENT_CLIENT_H
#define GYRE_CLIENT_CLIENT_H

#include "client/gyre.h"
#include "shm/region.h"

#include <stdbool.h>

struct gyre {
	struct region region;
	int socket_fd, event_fd;
	uint64_t spin_ns;
	bool has_hung_up;     /* the socket said so, once and for all */
	uint32_t parked_idle; /* the value of `parked` outside gyre_wait_cqe: spin, or socket after gyre_event_fd */

	uint32_t sq_tail; /* next entry to hand out; published: *sq_tail of the region */
	uint32_t sq_submitted;
	uint32_t sq_freed; /* entries whose arena bytes have been freed */
	uint32_t cq_head;
	uint32_t n_inflight; /* submitted requests whose last completion has not been seen */

	/* Arena positions run free, mod 2^64: [freed, alloc) is in use, offset = position mod arena_bytes. */
	uint64_t arena_alloc, arena_freed;
	uint64_t *arena_mark; /* [sq_entries]: where arena_freed goes when the entry is taken */

	struct abi_welcome welcome;
};

/* Connects g->socket_fd, where gyre_connect would. 0, or -errno with the words of p->error. */
int client_open_socket(struct gyre *g, const char *path, const struct gyre_params *p);
/* Has the peer closed its end? Takes no message. Remembers a yes. */
bool client_has_hung_up(struct gyre *g);

#endif
