/*
 * The KV pool: blocks of KV_BLOCK positions (all layers, all heads) in memory given by the caller, counted by references; and slots, each
 * of which has all states of one sequence. Both have a piece on each node, that of the heads which the node owns.
 * A block may have many holders, who share it read-only: only who holds it alone may write it. Each hold is a user's, or nobody's (the
 * prefix cache's). A block is charged once to each user that holds it, however often; one that nobody alone holds is charged to no user. A
 * slot has one holder, who writes it at every step: a sequence that is to go on from it takes a copy.
 *
 * The leader thread alone calls this; nothing here allocates after kv_init. With GYRE_CHECK (every sanitizer build) what is freed is
 * filled with 0xff, which is a NaN in f16 and f32, so that a read of it shows in the logits, and the scheduler checks at every step
 * that the pool and its holders agree.
 */
#ifndef GYRE_DAEMON_KV_KV_H
#define GYRE_DAEMON_KV_KV_H

#include "daemon/machine/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef GYRE_CHECK
#define GYRE_CHECK 0
#endif

/* What a part holds. Keys and values are paged: a block has a piece of them for its KV_BLOCK positions, and forgetting positions is giving
 * blocks back. A state is of a whole sequence, which has one slot for all its states; a slot's bytes are the layer's own. */
enum kv_kind { KV_KEYS, KV_VALUES, KV_STATE };

/* One of the things that a sequence keeps, of a layer and a head. The architecture lists them (model/memory.h); whoever counts, copies
 * or poisons what a sequence has goes by this list, and knows no architecture. */
struct kv_part {
	uint32_t layer;
	enum kv_kind kind;
	uint32_t dim;    /* numbers that a position has of it; of a state 0 */
	uint32_t window; /* how many positions back it is read; 0: all */
	size_t bytes;    /* of a block's piece, or a slot's, a multiple of 64 */
	size_t before;   /* of the pieces of a block, or of a slot, of the parts before it in the list */
};

/* A node's memory, the caller's. Blocks lie [paged part][n_block][bytes of the part]: what attention reads in one go, a part of consecutive
 * blocks, lies side by side. Slots lie [n_slot][slot_bytes]: one is copied whole. */
struct kv_mem {
	uint8_t *base, *slot;       /* NULL: there are no blocks, no slots */
	const struct kv_part *part; /* [n_part] */
	size_t n_part;              /* 0: the node owns no head */
	size_t slot_bytes;
};

static inline bool kv_is_paged(const struct kv_part *p)
{
	return p->kind != KV_STATE;
}

/* A block's piece of a paged part, in a pool of n_block. */
static inline uint8_t *kv_piece(const struct kv_mem *m, const struct kv_part *p, size_t n_block, uint32_t block)
{
	return m->base + p->before * n_block + block * p->bytes;
}

/* A slot's piece of a state. */
static inline uint8_t *kv_state(const struct kv_mem *m, const struct kv_part *p, uint32_t slot)
{
	return m->slot + slot * m->slot_bytes + p->before;
}

#define KV_USER_MAX 2048u      /* USER_MAX: users are small numbers */
#define KV_NOBODY   UINT32_MAX /* a hold that is charged to no user */

/* Who holds what: in one piece and without a pointer, so that it can outlive the process where the blocks and slots do. */
struct kv_book {
	uint32_t n_block, n_free;
	uint32_t n_slot, n_slot_free;
	uint32_t n_idle;              /* counter: blocks that nobody alone holds */
	uint32_t spare;               /* charge.c's */
	uint32_t n_held[KV_USER_MAX]; /* blocks that are charged to each user */
	/* [2][n_block]: a stack, of which the first n_free are free; holders of each block, 0: free. Then [2][n_slot] likewise. Then what
	 * charge.h has of each block. */
	uint32_t entry[];
};

struct kv {
	struct kv_mem mem[NODE_MAX];
	struct kv_book *book;
	/* atomic: of the highest blocks and slots, those without memory yet, which nobody is given; whoever makes it there lowers it */
	uint32_t n_absent, n_slot_absent;
};

/* Blocks of so many positions that a window lies in at most: one more than it would fill, but for one position. */
static inline uint32_t kv_window_blocks(uint32_t window, uint32_t block_len)
{
	return (window - 1 + block_len - 1) / block_len + 1;
}

/* mem[n_mem]. -EINVAL: no block. */
int kv_init(struct kv *kv, const struct kv_mem *mem, uint32_t n_mem, size_t n_block, size_t n_slot);
/* Frees the bookkeeping; mem stays the caller's. A zero-filled struct does nothing. */
void kv_deinit(struct kv *kv);

/* The first n blocks have memory, the first n slots: at first, before anybody is given one, and by any one thread as more do. */
void kv_set_present(struct kv *kv, uint32_t n);
void kv_set_slots_present(struct kv *kv, uint32_t n);

/* A block with one holder, a user or KV_NOBODY; its content is undefined. -ENOSPC: none that has memory is free. */
int kv_alloc(struct kv *kv, uint32_t user, uint32_t *block);
/* One more hold of a block that somebody holds. -ENOSPC: so many blocks are held by several users that no charge is left to write this one
 * down with. Never of a user that holds it already, nor of KV_NOBODY, nor where no two users share. */
int kv_get(struct kv *kv, uint32_t user, uint32_t block);
/* One hold of the user's less; the last of all frees the block. Asserts that there was one. */
void kv_put(struct kv *kv, uint32_t user, uint32_t block);
/* What lies in the block `from` lies in `to` as well, which the caller alone holds. */
void kv_copy(struct kv *kv, uint32_t to, uint32_t from);

/* Likewise a slot, which has one holder. */
int kv_slot_alloc(struct kv *kv, uint32_t *slot);
void kv_slot_put(struct kv *kv, uint32_t slot);
void kv_slot_copy(struct kv *kv, uint32_t to, uint32_t from);

uint32_t kv_n_free(const struct kv *kv);
uint32_t kv_n_slot_free(const struct kv *kv);
/* Blocks that are charged to the user. */
uint32_t kv_n_held(const struct kv *kv, uint32_t user);
/* Holds of a block: of all; of users, so that it is free, or as good as free, without the last of them. */
uint32_t kv_n_hold(const struct kv *kv, uint32_t block);
uint32_t kv_n_user_hold(const struct kv *kv, uint32_t block);

/* Walks everything: 0 when free lists, holds and charges agree, the holds of blocks sum to n_ref and n_slot slots are held; else -EUCLEAN. */
int kv_check(const struct kv *kv, uint64_t n_ref, uint32_t n_slot);

#endif
