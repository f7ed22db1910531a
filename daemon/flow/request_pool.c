#include "daemon/flow/request_pool.h"
#include "daemon/util/counter.h"
#include "daemon/util/memory.h"
#include "shm/atomic.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int request_pool_init(struct request_pool *p, uint32_t n, uint32_t n_ctx, uint32_t block_len, bool is_shared)
{
	size_t n_block = (n_ctx + block_len - 1) / block_len;

	memset(p, 0, sizeof(*p));
	lock_init(&p->lock, is_shared);
	p->n = n;
	p->n_ctx = n_ctx;
	p->request = memory_undumped(n, sizeof(*p->request)); /* stop strings, what is held back */
	p->token = memory_undumped((size_t)n * n_ctx, sizeof(*p->token));
	p->block = calloc(n * n_block, sizeof(*p->block));
	if (!p->request || !p->token || !p->block) {
		request_pool_deinit(p);
		return -ENOMEM;
	}
	for (uint32_t i = n; i-- > 0;) {
		struct request *r = &p->request[i];

		r->index = i;
		r->token = p->token + (size_t)i * n_ctx;
		r->block = p->block + (size_t)i * n_block;
		r->outcome = REQUEST_SETTLED;
		r->next = p->free;
		p->free = r;
	}
	return 0;
}

int request_pool_init_vectors(struct request_pool *p, uint32_t n_embd)
{
	p->n_embd = n_embd;
	p->vector = memory_undumped((size_t)p->n * n_embd, sizeof(*p->vector));
	if (!p->vector)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n; i++)
		p->request[i].vector = p->vector + (size_t)i * n_embd;
	return 0;
}

void request_pool_deinit(struct request_pool *p)
{
	memory_undumped_free(p->request, p->n, sizeof(*p->request));
	memory_undumped_free(p->token, (size_t)p->n * p->n_ctx, sizeof(*p->token));
	memory_undumped_free(p->vector, (size_t)p->n * p->n_embd, sizeof(*p->vector));
	free(p->block);
	memset(p, 0, sizeof(*p));
}

struct request *request_pool_get(struct request_pool *p)
{
	struct request *r;
	uint32_t index, *block;
	double *vector;
	int32_t *token;

	lock_take(&p->lock);
	r = p->free;
	if (r) {
		p->free = r->next;
		counter_set32(&p->n_live, p->n_live + 1);
	}
	lock_drop(&p->lock);
	if (!r)
		return NULL;
	index = r->index;
	token = r->token;
	block = r->block;
	vector = r->vector;
	memset(r, 0, offsetof(struct request, kept.hold.byte));
	r->index = index;
	r->token = token;
	r->block = block;
	r->vector = vector;
	return r;
}

void request_pool_put(struct request_pool *p, struct request *r)
{
	request_wipe(r, p->n_ctx);
	if (r->kept.n_pooled)
		explicit_bzero(r->vector, p->n_embd * sizeof(*r->vector));
	r->kept.state = REQUEST_FREE;
	store_relaxed(&r->outcome, REQUEST_SETTLED); /* one whose client has gone: no CANCEL finds it any more */
	lock_take(&p->lock);
	r->next = p->free;
	p->free = r;
	counter_set32(&p->n_live, p->n_live - 1);
	lock_drop(&p->lock);
}
