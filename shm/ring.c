/* The daemon's ends of the rings; the contract is in ring.h. */
#include "shm/ring.h"

#include "shm/atomic.h"
#include "shm/region.h"

#include <errno.h>
#include <string.h>

void sq_consumer_init(struct sq_consumer *q, const struct region *r)
{
	*q = (struct sq_consumer){
		.shared_tail = &r->client->sq_tail,
		.shared_head = &r->daemon->sq_head,
		.sqe = region_sqe(r),
		.entries = r->layout.sq_entries,
		.head = load_relaxed(&r->daemon->sq_head), /* our own word: 0, or where the predecessor stopped */
	};
	q->tail = q->head;
}

int sq_consumer_load(struct sq_consumer *q)
{
	uint32_t tail = load_acquire(q->shared_tail); /* pairs with the store-release in gyre_submit */

	/* A tail behind the last one claimed un-submits entries; one past head + entries would let us read a slot twice. */
	if (tail - q->head > q->entries || tail - q->head < q->tail - q->head)
		return -EPROTO;
	q->tail = tail;
	return (int)(tail - q->head);
}

void sq_consumer_fetch(const struct sq_consumer *q)
{
	__builtin_prefetch(&q->sqe[q->head & (q->entries - 1)]);
}

bool sq_consumer_peek(const struct sq_consumer *q, struct gyre_sqe *copy)
{
	if (q->head == q->tail)
		return false;
	memcpy(copy, &q->sqe[q->head & (q->entries - 1)], sizeof(*copy));
	/* The compiler must not read the slot again where the caller reads the copy: the client may still be writing it. */
	__asm__ volatile("" : "+m"(*copy) : : "memory");
	return true;
}

void sq_consumer_advance(struct sq_consumer *q)
{
	if (q->head != q->tail)
		q->head++;
}

void sq_consumer_commit(struct sq_consumer *q)
{
	store_release(q->shared_head, q->head); /* pairs with the load-acquire in sq_taken */
}

void cq_producer_init(struct cq_producer *q, const struct region *r)
{
	*q = (struct cq_producer){
		.shared_head = &r->client->cq_head,
		.shared_tail = &r->daemon->cq_tail,
		.cqe = region_cqe(r),
		.result = (uint8_t *)r->daemon + r->layout.result_off,
		.entries = r->layout.cq_entries,
		.tail = load_relaxed(&r->daemon->cq_tail),
	};
	/* Where the client's head is we don't know (an adopted session): any place in the ring is plausible. A lie shows again later. */
	q->head = q->tail - q->entries;
	(void)cq_producer_space(q);
}

int cq_producer_space(struct cq_producer *q)
{
	uint32_t head = load_acquire(q->shared_head); /* pairs with the store-release in gyre_cqe_seen */
	uint32_t offered = load_relaxed(
		q->shared_tail); /* our own word: the client can't have seen entries that are only reserved */

	/* The head moves from the last one seen towards what we have published, never back and never past it. */
	if (head - q->head > offered - q->head)
		return -EPROTO;
	q->head = head;
	return (int)(q->entries - (q->tail - head));
}

struct gyre_cqe *cq_producer_reserve(struct cq_producer *q, uint8_t **result)
{
	uint32_t i = q->tail & (q->entries - 1);

	if (q->tail - q->head >= q->entries)
		return NULL;
	q->tail++;
	memset(&q->cqe[i], 0, sizeof(q->cqe[i]));
	if (result)
		*result = q->result + (size_t)i * GYRE_RESULT_SLOT_BYTES;
	return &q->cqe[i];
}

void cq_producer_commit(struct cq_producer *q)
{
	store_release(q->shared_tail, q->tail); /* pairs with gyre_peek_cqe, has_completion and doorbell_spin */
}
