#include "daemon/kv/charge.h"
#include "daemon/util/counter.h"

#include <assert.h>
#include <errno.h>

/* n holds of a user. charge[block] is a block's first, charge[n_block + i] a further one or spare. */
struct charge {
	uint32_t user, n; /* n 0: of nobody */
	uint32_t next;    /* 0: none; charge[0] is a block's */
};

static struct charge *charges(const struct kv_book *k)
{
	return (struct charge *)(uintptr_t)(k->entry + 2 * ((size_t)k->n_block + k->n_slot));
}

size_t charge_bytes(size_t n_block)
{
	return 2 * n_block * sizeof(struct charge);
}

void charge_init(struct kv_book *k)
{
	struct charge *c = charges(k);

	for (uint32_t i = 0; i < k->n_block; i++)
		c[k->n_block + i].next = i + 1 < k->n_block ? k->n_block + i + 1 : 0;
	k->spare = k->n_block;
}

/* The user's charge of a block, or NULL. */
static struct charge *find(const struct kv_book *k, uint32_t user, uint32_t block)
{
	struct charge *c = charges(k), *at = &c[block];

	while (at->next && at->user != user)
		at = &c[at->next];
	return at->n && at->user == user ? at : NULL;
}

/* A new one, behind the block's first. */
static int add_user(struct kv_book *k, uint32_t user, uint32_t block)
{
	struct charge *c = charges(k), *first = &c[block];
	uint32_t i = k->spare;

	if (!first->n) {
		*first = (struct charge){ user, 1, 0 };
		counter_set32(&k->n_idle, k->n_idle - 1);
	} else if (!i) {
		return -ENOSPC;
	} else {
		k->spare = c[i].next;
		c[i] = (struct charge){ user, 1, first->next };
		first->next = i;
	}
	k->n_held[user]++;
	return 0;
}

void charge_open(struct kv_book *k, uint32_t user, uint32_t block)
{
	counter_set32(&k->n_idle, k->n_idle + 1);
	if (user != KV_NOBODY)
		(void)add_user(k, user, block); /* it has none yet */
}

int charge_add(struct kv_book *k, uint32_t user, uint32_t block)
{
	struct charge *c = user == KV_NOBODY ? NULL : find(k, user, block);

	if (user == KV_NOBODY)
		return 0;
	if (!c)
		return add_user(k, user, block);
	c->n++;
	return 0;
}

/* Where it stands is free for the one behind it. */
static void unlink_charge(struct kv_book *k, struct charge *at, uint32_t block)
{
	struct charge *c = charges(k);
	uint32_t *link = &c[block].next, i = (uint32_t)(at - c);

	if (i == block) {
		i = at->next;
		*at = i ? c[i] : (struct charge){ 0 };
		if (!i)
			counter_set32(&k->n_idle, k->n_idle + 1);
	} else {
		while (*link != i)
			link = &c[*link].next;
		*link = at->next;
	}
	if (i) {
		c[i] = (struct charge){ .next = k->spare };
		k->spare = i;
	}
}

void charge_drop(struct kv_book *k, uint32_t user, uint32_t block, bool is_free)
{
	if (user != KV_NOBODY) {
		struct charge *c = find(k, user, block);

		assert(c);
		if (--c->n == 0) {
			k->n_held[user]--;
			unlink_charge(k, c, block);
		}
	}
	if (!is_free)
		return;
	assert(!charges(k)[block].n);
	counter_set32(&k->n_idle, k->n_idle - 1);
}

uint32_t charge_sum(const struct kv_book *k, uint32_t block)
{
	const struct charge *c = charges(k);
	uint32_t n = c[block].n;

	for (uint32_t i = c[block].next; i; i = c[i].next)
		n += c[i].n;
	return n;
}

/* ---- check ---- */

/* Adds the block's charges to n_held. -EUCLEAN: they are more than its holds, or more than there can be. */
static int check_block(const struct kv_book *k, uint32_t block, uint32_t n_hold, uint32_t *n_held, uint32_t *n_further)
{
	const struct charge *c = charges(k);
	uint64_t sum = 0;

	if (!c[block].n)
		return c[block].next ? -EUCLEAN : 0;
	for (uint32_t i = block;; i = c[i].next) {
		if (!c[i].n || c[i].user >= KV_USER_MAX || find(k, c[i].user, block) != &c[i])
			return -EUCLEAN;
		sum += c[i].n;
		n_held[c[i].user]++;
		if (!c[i].next)
			break;
		if (c[i].next < k->n_block || c[i].next >= 2 * k->n_block || ++*n_further > k->n_block)
			return -EUCLEAN;
	}
	return sum > n_hold ? -EUCLEAN : 0;
}

int charge_check(const struct kv_book *k, const uint32_t *holder)
{
	uint32_t n_held[KV_USER_MAX] = { 0 }, n_idle = 0, n_further = 0;

	for (uint32_t i = 0; i < k->n_block; i++) {
		if (check_block(k, i, holder[i], n_held, &n_further) < 0)
			return -EUCLEAN;
		n_idle += holder[i] && !charges(k)[i].n;
	}
	for (uint32_t i = k->spare; i; i = charges(k)[i].next)
		if (i < k->n_block || i >= 2 * k->n_block || ++n_further > k->n_block)
			return -EUCLEAN;
	for (uint32_t i = 0; i < KV_USER_MAX; i++)
		if (n_held[i] != k->n_held[i])
			return -EUCLEAN;
	return n_idle == k->n_idle && n_further == k->n_block ? 0 : -EUCLEAN;
}
