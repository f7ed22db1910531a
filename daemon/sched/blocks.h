/*
 * Who may hold how many KV blocks, and a slot with them, and who gives some up. Between users: equal limits, one of them in turn a larger one; whoever is
 * below its limit may take from whoever is furthest above. Within a user: who came first, by priority, takes from who came last.
 */
#ifndef GYRE_DAEMON_SCHED_BLOCKS_H
#define GYRE_DAEMON_SCHED_BLOCKS_H

#include "daemon/sched/sched.h"

/* After the census: chooses who may outgrow its share, if anybody has to. */
void blocks_choose_grower(struct sched *s, const struct queue *q);
/* Each user's limits for this step, of slots too. */
void blocks_set_limits(struct sched *s);
/* Whether r may have rows: one that has a state to begin with needs blocks for all the tokens that it has, free ones or by right. Else it would
 * run until it is stopped, and then once more. */
bool blocks_may_start(const struct sched *s, const struct queue *q, const struct request *r);
/* Blocks for positions [0, n) of r, and a slot if it has none; as many as can be had: without a slot none. Who gives some up may lose its rows of this batch. */
void blocks_cover(struct sched *s, const struct queue *q, struct batch *b, struct request *r, uint32_t n);
/* What the user holds of what is divided: each block once, and none that it has pinned. */
void blocks_count(struct sched *s, uint32_t user);
void blocks_release(struct sched *s, struct request *r);
/* The last one, without a look at what the others are worth then. */
void blocks_drop_last(struct sched *s, struct request *r);
/* Gives back those that lie behind the window of its next row, and so of all that follow. */
void blocks_forget(struct sched *s, struct request *r);
/*
 * r, which holds nothing, begins with the first n positions of `from`: it holds the whole blocks of these as well, and has a copy of its own
 * of the block in which n lies. Fewer than n where `from` has not come so far, where no row would be left that r has to run, where no block
 * is free for the copy, or where no charge is left; 0 where a layer would see what `from` has given back, or where the model has states and
 * that of `from` does not stand at n, or no slot is free. Returns how many, r's n_past from now on.
 */
uint32_t blocks_share(struct sched *s, struct request *r, const struct request *from, uint32_t n);
/* Rows that r need not run if what they give is there: nothing is asked of them, and there is another behind them. */
uint32_t blocks_spare_rows(const struct request *r);
/* The first position that a row behind n_past others sees. */
uint32_t blocks_sight(const struct sched *s, uint32_t n_past);
/* r's next block is a free one, or one that the cache gives up; is this one, which others hold. It has this one no more. */
bool blocks_take(struct sched *s, struct request *r);
bool blocks_hold(struct sched *s, struct request *r, uint32_t block);
void blocks_put(struct sched *s, const struct request *r, uint32_t block);
/* How many it cannot do with less of, to its end: with as many it goes on a row at a time. */
uint32_t blocks_need(const struct sched *s, const struct request *r);

/* How many it holds. */
static inline uint32_t blocks_held(const struct request *r)
{
	return r->kept.n_block - r->kept.n_gone;
}

/* Users whose requests go before those of others share the pool among them. */
static inline bool is_sharing(const struct sched *s, uint32_t user)
{
	return !s->n_above || s->user[user].is_above;
}

static inline bool is_eligible(const struct request *r)
{
	return r->kept.state == REQUEST_WAITING || r->kept.state == REQUEST_RUNNING;
}

/* The order in which requests of a user have a right to blocks: smaller comes first. */
static inline uint64_t block_key(const struct sched *s, const struct request *r)
{
	return r->arrival == s->grower ? 1 : (uint64_t)(r->kept.priority + 1) << 48 | r->arrival;
}

#endif
