/*
 * Requests and the prefix cache (kv/prefix.h). A request asks it when it gets its first rows, and again at each block's edge of its prompt,
 * for another may have come further meanwhile; it leaves each block there that is full of final positions, and at its end the one that is
 * not. Where the model has states it leaves copies of them (checkpoints) where its prompt leaves what was known and at its last block's
 * edge, and its own state at its end; a hit then goes up to a checkpoint.
 *
 * Every function does nothing where there is no cache.
 */
#ifndef GYRE_DAEMON_SCHED_CACHE_H
#define GYRE_DAEMON_SCHED_CACHE_H

#include "daemon/sched/sched.h"

/* r, which has rows to run, goes on as far as the cache takes it. */
void cache_advance(struct sched *s, struct request *r);
/* How many of n rows it may run before it is to leave a checkpoint. */
uint32_t cache_limit_rows(const struct sched *s, const struct request *r, uint32_t n);
/* What its last rows have filled is known from now on. */
void cache_note(struct sched *s, struct request *r);
/* It has ended and still holds what it held. */
void cache_end(struct sched *s, struct request *r);
/* r has begun with n positions of `from`. */
void cache_follow(struct sched *s, struct request *r, const struct request *from, uint32_t n);
/* A block or a slot is to be free: true if one is that was not. */
bool cache_evict_block(struct sched *s);
bool cache_evict_slot(struct sched *s);
/* A hold of the block has come or gone. */
void cache_note_block(struct sched *s, uint32_t block);
/* Nobody is to find the block, which r alone holds beside the cache, any more. true: r alone holds it. */
bool cache_detach(struct sched *s, uint32_t block);
/* r goes on behind n positions that it has not run. Returns how many tokens of its prompt are so never run, which it remembers (n_cached). */
uint32_t cache_count(struct request *r, uint32_t n);

/* What it holds; and is all of it sound? */
uint32_t cache_n_block(const struct sched *s);
uint32_t cache_n_slot(const struct sched *s);
int cache_check(const struct sched *s);

#endif
