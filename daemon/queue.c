#include "daemon/queue.h"
#include "daemon/util/counter.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int queue_init(struct queue *q, uint32_t n_ctx, uint32_t block_len)
{
	size_t n_block = (n_ctx + block_len - 1) / block_len;

	memset(q, 0, sizeof(*q));
	q->n_ctx = n_ctx;
	q->pool = calloc(QUEUE_REQUEST_MAX, sizeof(*q->pool));
	q->token = calloc((size_t)QUEUE_REQUEST_MAX * n_ctx, sizeof(*q->token));
	q->block = calloc(QUEUE_REQUEST_MAX * n_block, sizeof(*q->block));
	if (!q->pool || !q->token || !q->block) {
		queue_deinit(q);
		return -ENOMEM;
	}
	for (uint32_t i = QUEUE_REQUEST_MAX; i-- > 0;) {
		struct request *r = &q->pool[i];

		r->index = i;
		r->token = q->token + (size_t)i * n_ctx;
		r->block = q->block + (size_t)i * n_block;
		r->next = q->free;
		q->free = r;
	}
	return 0;
}

void queue_deinit(struct queue *q)
{
	free(q->pool);
	free(q->token);
	free(q->block);
	memset(q, 0, sizeof(*q));
}

struct request *queue_get(struct queue *q)
{
	struct request *r = q->free;
	uint32_t index;
	int32_t *token;
	uint32_t *block;

	if (!r)
		return NULL;
	q->free = r->next;
	index = r->index;
	token = r->token;
	block = r->block;
	memset(r, 0, offsetof(struct request, held));
	r->index = index;
	r->token = token;
	r->block = block;
	q->live[q->n_live] = r;
	counter_set32(&q->n_live, q->n_live + 1);
	return r;
}

void queue_reap(struct queue *q)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];

		if (r->state != REQUEST_DONE) {
			q->live[n++] = r;
			continue;
		}
		assert(!r->n_block);
		r->state = REQUEST_FREE;
		r->next = q->free;
		q->free = r;
	}
	counter_set32(&q->n_live, n);
}
