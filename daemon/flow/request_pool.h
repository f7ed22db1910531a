/*
 * The request pool: every request the daemon will ever hold at once, made at start, one for all engines. intake takes requests
 * out; each goes back when its engine has let go of it.
 */
#ifndef GYRE_DAEMON_FLOW_REQUEST_POOL_H
#define GYRE_DAEMON_FLOW_REQUEST_POOL_H

#include "daemon/flow/queue.h"

struct request_pool {
	uint32_t n_ctx;
	uint32_t n, n_live; /* n_live: written under the lock, read by anyone */
	uint32_t n_kept;    /* atomic: of these, have ended and are kept, or are just being let go of */
	struct lock lock;
	struct request *free;    /* under lock */
	struct request *request; /* [n] */
	int32_t *token;          /* [n][n_ctx] */
	uint32_t *block;         /* [n][blocks of n_ctx] */
	uint32_t n_embd;
	double *vector; /* [n][n_embd]; NULL: none has any (request_pool_init_vectors) */
};

/* n requests. is_shared: by several engines. -ENOMEM. */
int request_pool_init(struct request_pool *p, uint32_t n, uint32_t n_ctx, uint32_t block_len, bool is_shared);
/* Room for a vector of each; untouched memory costs nothing. -ENOMEM. */
int request_pool_init_vectors(struct request_pool *p, uint32_t n_embd);
void request_pool_deinit(struct request_pool *p);

/* A request with nothing set but its arrays, open; NULL: there is none. */
struct request *request_pool_get(struct request_pool *p);
void request_pool_put(struct request_pool *p, struct request *r);

#endif
