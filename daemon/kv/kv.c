#include "daemon/kv/kv.h"
#include "daemon/util/counter.h"
#include "shm/atomic.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t *stack(const struct kv *kv)
{
	return kv->book->entry;
}

static uint32_t *holders(const struct kv *kv)
{
	return kv->book->entry + kv->book->n_block;
}

/* The free stack is as deep as the pool has blocks, so it never overflows; low blocks come out first. */
static void stack_fill(struct kv *kv)
{
	counter_set32(&kv->book->n_free, kv->book->n_block);
	for (uint32_t i = 0; i < kv->book->n_block; i++)
		stack(kv)[i] = kv->book->n_block - 1 - i;
}

static void poison(struct kv *kv, uint32_t block)
{
	for (const struct kv_mem *m = kv->mem; GYRE_CHECK && m < kv->mem + NODE_MAX; m++)
		for (const struct kv_part *p = m->part; p < m->part + m->n_part; p++)
			if (kv_is_paged(p))
				memset(kv_piece(m, p, kv->book->n_block, block), 0xff, p->bytes);
}

int kv_init(struct kv *kv, const struct kv_mem *mem, uint32_t n_mem, size_t n)
{
	*kv = (struct kv){ 0 };
	if (n == 0)
		return -EINVAL;
	for (uint32_t i = 0; i < n_mem; i++)
		kv->mem[i] = mem[i];
	if (n >= UINT32_MAX)
		n = UINT32_MAX - 1;
	kv->book = calloc(1, sizeof(*kv->book) + 2 * n * sizeof(kv->book->entry[0]));
	if (!kv->book)
		return -ENOMEM;
	kv->book->n_block = (uint32_t)n;
	stack_fill(kv);
	for (uint32_t i = 0; i < kv->book->n_block; i++)
		poison(kv, i);
	return 0;
}

void kv_set_present(struct kv *kv, uint32_t n)
{
	store_release(&kv->n_absent, n < kv->book->n_block ? kv->book->n_block - n : 0); /* pairs with kv_alloc */
}

void kv_deinit(struct kv *kv)
{
	free(kv->book);
	*kv = (struct kv){ 0 };
}

int kv_alloc(struct kv *kv, uint32_t *block)
{
	uint32_t b;

	/* Low blocks come out first and go back on top, so those without memory stay at the bottom. Pairs with kv_set_present. */
	if (kv->book->n_free <= load_acquire(&kv->n_absent))
		return -ENOSPC;
	b = stack(kv)[kv->book->n_free - 1];
	counter_set32(&kv->book->n_free, kv->book->n_free - 1);
	assert(holders(kv)[b] == 0);
	holders(kv)[b] = 1;
	*block = b;
	return 0;
}

void kv_get(struct kv *kv, uint32_t block)
{
	assert(block < kv->book->n_block && holders(kv)[block] > 0 && holders(kv)[block] < UINT32_MAX);
	holders(kv)[block]++;
}

void kv_put(struct kv *kv, uint32_t block)
{
	assert(block < kv->book->n_block && holders(kv)[block] > 0);
	if (--holders(kv)[block] > 0)
		return;
	poison(kv, block);
	stack(kv)[kv->book->n_free] = block;
	counter_set32(&kv->book->n_free, kv->book->n_free + 1);
}

uint32_t kv_n_free(const struct kv *kv)
{
	return kv->book->n_free;
}

/* The free stack names each free block once: as many entries as blocks without holders, all of them distinct. */
static int check_free(const struct kv *kv)
{
	uint32_t n_unheld = 0;

	for (uint32_t i = 0; i < kv->book->n_block; i++)
		n_unheld += holders(kv)[i] == 0;
	if (kv->book->n_free != n_unheld)
		return -EUCLEAN;
	for (uint32_t i = 0; i < kv->book->n_free; i++) {
		if (stack(kv)[i] >= kv->book->n_block || holders(kv)[stack(kv)[i]] != 0)
			return -EUCLEAN;
		for (uint32_t j = 0; j < i; j++)
			if (stack(kv)[i] == stack(kv)[j])
				return -EUCLEAN;
	}
	return 0;
}

int kv_check(const struct kv *kv, uint64_t n_ref)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < kv->book->n_block; i++)
		sum += holders(kv)[i];
	return sum == n_ref ? check_free(kv) : -EUCLEAN;
}
