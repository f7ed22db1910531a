/*
 * The request pool: every request the daemon will ever hold at once, made at start, and the live ones in order of arrival.
 * Owner: the leader thread. intake puts requests in, sched takes them out once they are done.
 */
#ifndef GYRE_DAEMON_QUEUE_H
#define GYRE_DAEMON_QUEUE_H

#include "daemon/batch.h"

#define QUEUE_SESSION_MAX 256u /* each has one request that nobody else can take */
#define QUEUE_REQUEST_MAX (QUEUE_SESSION_MAX + BATCH_SEQ_MAX)

struct queue {
	uint32_t n_ctx;
	uint32_t n_live;
	struct request *live[QUEUE_REQUEST_MAX]; /* arrival order */
	struct request *free;
	struct request *pool; /* [QUEUE_REQUEST_MAX] */
	int32_t *token;       /* [QUEUE_REQUEST_MAX][n_ctx] */
	uint32_t *block;      /* [QUEUE_REQUEST_MAX][blocks of n_ctx] */
};

int queue_init(struct queue *q, uint32_t n_ctx, uint32_t block_len);
void queue_deinit(struct queue *q);

/* A request with nothing set but its arrays, at the end of the live ones; NULL: the pool is exhausted. */
struct request *queue_get(struct queue *q);
/* Removes the DONE requests from the live ones; their blocks have been given back. */
void queue_reap(struct queue *q);

#endif
