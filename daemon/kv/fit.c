#include "daemon/kv/fit.h"

#include "daemon/util/minmax.h"

#include <stdbool.h>

size_t kv_n_slot(const struct kv_cost *c, size_t n)
{
	size_t n_few = min_size((n + KV_SLOT_FEW_BLOCKS - 1) / KV_SLOT_FEW_BLOCKS, KV_SLOT_FEW);

	if (!c->slot)
		return 0;
	return min_size(c->block ? max_size(n / KV_SLOT_BLOCKS, n_few) : n, KV_SLOT_MAX);
}

size_t kv_pool_bytes(const struct kv_cost *c, size_t n_block)
{
	return n_block * c->block + kv_n_slot(c, n_block) * c->slot;
}

/* Do they fit? */
static bool does_fit(size_t n, const struct kv_cost *c, const struct kv_room *room, size_t left)
{
	size_t n_slot = kv_n_slot(c, n);

	if (room->block_bytes && n > left / room->block_bytes)
		return false;
	left -= n * room->block_bytes;
	return !room->slot_bytes || n_slot <= left / room->slot_bytes;
}

/* The most of n that fit: bytes grow with the blocks. */
static size_t most(size_t n, const struct kv_cost *c, const struct kv_room *room, size_t left)
{
	size_t least = 0;

	while (least < n) {
		size_t mid = n - (n - least) / 2;

		if (does_fit(mid, c, room, left))
			least = mid;
		else
			n = mid - 1;
	}
	return n;
}

size_t kv_divide(const struct kv_cost *c, size_t bytes)
{
	const struct kv_room room = { c->block, c->slot, bytes };

	return most(c->block ? bytes / c->block : KV_SLOT_MAX, c, &room, bytes);
}

static size_t fit(size_t n, const struct kv_cost *c, const struct kv_room *room, uint32_t n_room, size_t reserve)
{
	for (uint32_t i = 0; i < n_room; i++)
		n = most(n, c, &room[i], room[i].available > reserve ? room[i].available - reserve : 0);
	return n;
}

size_t kv_fit(size_t n_wanted, size_t n_context, const struct kv_cost *c, const struct kv_room *room, uint32_t n_room,
	      size_t reserve)
{
	size_t roomy = fit(n_wanted, c, room, n_room, reserve + KV_FIT_ROOM);

	if (roomy >= n_context)
		return roomy;
	return min_size(fit(n_wanted, c, room, n_room, reserve), n_context);
}
