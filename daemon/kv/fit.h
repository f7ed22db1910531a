/*
 * How many blocks of keys and values a pool may have that nobody gave a size. Arithmetic only.
 */
#ifndef GYRE_DAEMON_KV_FIT_H
#define GYRE_DAEMON_KV_FIT_H

#include <stdint.h>
#include <stddef.h>

struct kv_room {
	size_t block_bytes; /* of a block there */
	size_t available;   /* memory there */
};

#define KV_FIT_ROOM  ((size_t)64 << 20) /* beside the pool, for requests, texts and rings */
#define KV_FIT_LEAST 256u               /* positions; a pool of fewer is of no use */

/*
 * n_wanted blocks, or as many as fit each of room[n_room] with `reserve` left. Whoever has less than n_context blocks' room gives up
 * the comfort of KV_FIT_ROOM before he gives up blocks.
 */
size_t kv_fit(size_t n_wanted, size_t n_context, const struct kv_room *room, uint32_t n_room, size_t reserve);

#endif
