/*
 * How many blocks and slots a pool has: how its bytes are divided between the two, and what a pool may have that nobody gave a size.
 * Arithmetic only.
 *
 * A pool is said in blocks, and its slots follow from them, because what sequences keep by position and what they keep as a whole is wanted
 * together: a slot for each 1,024 positions, and where there are fewer than 4,096, for each 256, up to four. Where nothing is kept by
 * position a block is a whole context, costs nothing, and each slot has one.
 */
#ifndef GYRE_DAEMON_KV_FIT_H
#define GYRE_DAEMON_KV_FIT_H

#include <stdint.h>
#include <stddef.h>

#define KV_FIT_ROOM  ((size_t)64 << 20) /* beside the pool, for requests, texts and rings */
#define KV_FIT_LEAST 256u               /* positions; a pool of fewer is of no use */

#define KV_SLOT_BLOCKS     32u  /* of 32 positions, beside a slot */
#define KV_SLOT_FEW        4u   /* slots, which a smaller pool has as well */
#define KV_SLOT_FEW_BLOCKS 8u   /* beside each of these at least */
#define KV_SLOT_MAX        256u /* a step has no more sequences (BATCH_SEQ_MAX) */

/* What a block and a slot take, of all nodes; 0: there are none. */
struct kv_cost {
	size_t block, slot;
};

/* A place that has a part of each: on a node, on all of them. */
struct kv_room {
	size_t block_bytes, slot_bytes; /* of a block, of a slot there */
	size_t available;               /* memory there */
};

/* Slots of a pool of n blocks. */
size_t kv_n_slot(const struct kv_cost *c, size_t n_block);
/* Bytes of a pool of n blocks, with its slots. */
size_t kv_pool_bytes(const struct kv_cost *c, size_t n_block);
/* The largest pool within so many bytes: its blocks. 0: not even one. */
size_t kv_divide(const struct kv_cost *c, size_t bytes);

/*
 * n_wanted blocks, or as many as fit each of room[n_room], slots too, with `reserve` left. Whoever has less than n_context blocks' room gives
 * up the comfort of KV_FIT_ROOM before he gives up blocks.
 */
size_t kv_fit(size_t n_wanted, size_t n_context, const struct kv_cost *c, const struct kv_room *room, uint32_t n_room,
	      size_t reserve);

#endif
