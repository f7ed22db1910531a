#include "daemon/kv/kv.h"
#include "daemon/kv/charge.h"
#include "daemon/util/counter.h"
#include "shm/atomic.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Blocks, or slots: free[n], of which the first *n_free are free, and holder[n]. */
struct shelf {
	uint32_t n, *n_free, *free, *holder;
	const uint32_t *n_absent;
};

static struct shelf blocks(const struct kv *kv)
{
	struct kv_book *k = kv->book;

	return (struct shelf){ k->n_block, &k->n_free, k->entry, k->entry + k->n_block, &kv->n_absent };
}

static struct shelf slots(const struct kv *kv)
{
	struct kv_book *k = kv->book;
	uint32_t *entry = k->entry + 2 * (size_t)k->n_block;

	return (struct shelf){ k->n_slot, &k->n_slot_free, entry, entry + k->n_slot, &kv->n_slot_absent };
}

/* The free stack is as deep as there are entries, so it never overflows; low ones come out first. */
static void shelf_fill(const struct shelf *s)
{
	counter_set32(s->n_free, s->n);
	for (uint32_t i = 0; i < s->n; i++)
		s->free[i] = s->n - 1 - i;
}

static int shelf_take(const struct shelf *s, uint32_t *out)
{
	uint32_t i;

	/* Low ones come out first and go back on top, so those without memory stay at the bottom. Pairs with kv_set_present and kv_set_slots_present. */
	if (*s->n_free <= load_acquire(s->n_absent))
		return -ENOSPC;
	i = s->free[*s->n_free - 1];
	counter_set32(s->n_free, *s->n_free - 1);
	assert(s->holder[i] == 0);
	s->holder[i] = 1;
	*out = i;
	return 0;
}

/* true: that was the last holder, who is still to be said to be gone (shelf_free). */
static bool shelf_drop(const struct shelf *s, uint32_t i)
{
	assert(i < s->n && s->holder[i] > 0);
	return --s->holder[i] == 0;
}

static void shelf_free(const struct shelf *s, uint32_t i)
{
	s->free[*s->n_free] = i;
	counter_set32(s->n_free, *s->n_free + 1);
}

/* ---- poison ---- */

static void poison(struct kv *kv, uint32_t block)
{
	for (const struct kv_mem *m = kv->mem; GYRE_CHECK && m < kv->mem + NODE_MAX; m++)
		for (const struct kv_part *p = m->part; p < m->part + m->n_part; p++)
			if (kv_is_paged(p))
				memset(kv_piece(m, p, kv->book->n_block, block), 0xff, p->bytes);
}

static void poison_slot(struct kv *kv, uint32_t slot)
{
	for (const struct kv_mem *m = kv->mem; GYRE_CHECK && m < kv->mem + NODE_MAX; m++)
		if (m->slot_bytes)
			memset(m->slot + slot * m->slot_bytes, 0xff, m->slot_bytes);
}

/* ---- the pool ---- */

static size_t limit(size_t n)
{
	return n < UINT32_MAX ? n : UINT32_MAX - 1;
}

int kv_init(struct kv *kv, const struct kv_mem *mem, uint32_t n_mem, size_t n_block, size_t n_slot)
{
	struct shelf block, slot;

	*kv = (struct kv){ 0 };
	if (n_block == 0)
		return -EINVAL;
	for (uint32_t i = 0; i < n_mem; i++)
		kv->mem[i] = mem[i];
	n_block = limit(n_block);
	n_slot = limit(n_slot);
	kv->book = calloc(1, sizeof(*kv->book) + 2 * (n_block + n_slot) * sizeof(kv->book->entry[0]) +
				     charge_bytes(n_block));
	if (!kv->book)
		return -ENOMEM;
	kv->book->n_block = (uint32_t)n_block;
	kv->book->n_slot = (uint32_t)n_slot;
	block = blocks(kv);
	slot = slots(kv);
	shelf_fill(&block);
	shelf_fill(&slot);
	charge_init(kv->book);
	for (uint32_t i = 0; i < block.n; i++)
		poison(kv, i);
	for (uint32_t i = 0; i < slot.n; i++)
		poison_slot(kv, i);
	return 0;
}

void kv_deinit(struct kv *kv)
{
	free(kv->book);
	*kv = (struct kv){ 0 };
}

void kv_set_present(struct kv *kv, uint32_t n)
{
	uint32_t n_absent = n < kv->book->n_block ? kv->book->n_block - n : 0;

	store_release(&kv->n_absent, n_absent); /* pairs with shelf_take */
}

void kv_set_slots_present(struct kv *kv, uint32_t n)
{
	uint32_t n_absent = n < kv->book->n_slot ? kv->book->n_slot - n : 0;

	store_release(&kv->n_slot_absent, n_absent); /* pairs with shelf_take */
}

int kv_alloc(struct kv *kv, uint32_t user, uint32_t *block)
{
	struct shelf s = blocks(kv);
	int r = shelf_take(&s, block);

	if (r == 0)
		charge_open(kv->book, user, *block);
	return r;
}

int kv_get(struct kv *kv, uint32_t user, uint32_t block)
{
	struct shelf s = blocks(kv);
	int r;

	assert(block < s.n && s.holder[block] > 0 && s.holder[block] < UINT32_MAX);
	r = charge_add(kv->book, user, block);
	s.holder[block] += r == 0;
	return r;
}

void kv_put(struct kv *kv, uint32_t user, uint32_t block)
{
	struct shelf s = blocks(kv);
	bool is_free = shelf_drop(&s, block);

	charge_drop(kv->book, user, block, is_free);
	if (!is_free)
		return;
	poison(kv, block);
	shelf_free(&s, block);
}

void kv_copy(struct kv *kv, uint32_t to, uint32_t from)
{
	uint32_t n = kv->book->n_block;

	assert(kv_n_hold(kv, to) == 1 && kv_n_hold(kv, from) > 0);
	for (const struct kv_mem *m = kv->mem; m < kv->mem + NODE_MAX; m++)
		for (const struct kv_part *p = m->part; p < m->part + m->n_part; p++)
			if (kv_is_paged(p))
				memcpy(kv_piece(m, p, n, to), kv_piece(m, p, n, from), p->bytes);
}

int kv_slot_alloc(struct kv *kv, uint32_t *slot)
{
	struct shelf s = slots(kv);

	return shelf_take(&s, slot);
}

void kv_slot_put(struct kv *kv, uint32_t slot)
{
	struct shelf s = slots(kv);

	if (!shelf_drop(&s, slot))
		return;
	poison_slot(kv, slot);
	shelf_free(&s, slot);
}

void kv_slot_copy(struct kv *kv, uint32_t to, uint32_t from)
{
	for (const struct kv_mem *m = kv->mem; m < kv->mem + NODE_MAX; m++)
		if (m->slot_bytes)
			memcpy(m->slot + to * m->slot_bytes, m->slot + from * m->slot_bytes, m->slot_bytes);
}

uint32_t kv_n_free(const struct kv *kv)
{
	return kv->book->n_free;
}

uint32_t kv_n_slot_free(const struct kv *kv)
{
	return kv->book->n_slot_free;
}

uint32_t kv_n_held(const struct kv *kv, uint32_t user)
{
	return kv->book->n_held[user];
}

uint32_t kv_n_hold(const struct kv *kv, uint32_t block)
{
	return blocks(kv).holder[block];
}

uint32_t kv_n_user_hold(const struct kv *kv, uint32_t block)
{
	return charge_sum(kv->book, block);
}

/* ---- check ---- */

/* The free stack names each free entry once: as many as there are without holders, all of them distinct. */
static int shelf_check(const struct shelf *s, uint64_t n_ref)
{
	uint32_t n_unheld = 0;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		n_unheld += s->holder[i] == 0;
		sum += s->holder[i];
	}
	if (sum != n_ref || *s->n_free != n_unheld)
		return -EUCLEAN;
	for (uint32_t i = 0; i < *s->n_free; i++) {
		if (s->free[i] >= s->n || s->holder[s->free[i]] != 0)
			return -EUCLEAN;
		for (uint32_t j = 0; j < i; j++)
			if (s->free[i] == s->free[j])
				return -EUCLEAN;
	}
	return 0;
}

int kv_check(const struct kv *kv, uint64_t n_ref, uint32_t n_slot)
{
	struct shelf block = blocks(kv), slot = slots(kv);
	int r = shelf_check(&block, n_ref);

	if (r == 0)
		r = shelf_check(&slot, n_slot);
	return r < 0 ? r : charge_check(kv->book, block.holder);
}
