#include "daemon/kv/fit.h"

#include "daemon/util/minmax.h"

static size_t fit(size_t n, const struct kv_room *room, uint32_t n_room, size_t reserve)
{
	for (uint32_t i = 0; i < n_room; i++) {
		size_t left = room[i].available > reserve ? room[i].available - reserve : 0;

		if (room[i].block_bytes)
			n = min_size(n, left / room[i].block_bytes);
	}
	return n;
}

size_t kv_fit(size_t n_wanted, size_t n_context, const struct kv_room *room, uint32_t n_room, size_t reserve)
{
	size_t roomy = fit(n_wanted, room, n_room, reserve + KV_FIT_ROOM);

	if (roomy >= n_context)
		return roomy;
	return min_size(fit(n_wanted, room, n_room, reserve), n_context);
}
