#include "daemon/sched/blocks.h"
#include "daemon/sched/cache.h"
#include "daemon/sched/keep.h"
#include "daemon/sched/slots.h"
#include "daemon/sched/victim.h"
#include "daemon/util/counter.h"
#include "daemon/util/minmax.h"

#include <assert.h>

/* ---- limits ---- */

uint32_t blocks_need(const struct sched *s, const struct request *r)
{
	uint32_t len = s->o.block_len, n = (r->kept.n_token + len - 1) / len;

	return s->o.window ? min_u32(n, kv_window_blocks(s->o.window, len)) : n;
}

/* What is pinned is as if it were not there. */
static uint32_t n_divided(const struct sched *s)
{
	return s->kv->book->n_block - min_u32(s->n_pinned, s->kv->book->n_block - 1);
}

static uint32_t count_sharers(const struct sched *s)
{
	return s->n_above ? s->n_above : s->n_user;
}

/* Is it still there to grow? A paused one gives its turn up: its client decides when it goes on. */
static bool is_growing(struct sched *s, const struct queue *q)
{
	if (!s->grower || !is_sharing(s, s->grower_user))
		return false;
	for (uint32_t i = 0; i < s->n_rank; i++)
		if (q->live[s->rank[i].item]->arrival == s->grower) {
			s->grower_need = blocks_need(s, q->live[s->rank[i].item]);
			return true;
		}
	return false;
}

/* Users in turn: the first behind the last one whose oldest request needs more than a share. */
static void pass_turn(struct sched *s, const struct queue *q)
{
	uint32_t share = n_divided(s) / count_sharers(s), best = USER_MAX;

	for (uint32_t i = 0; i < s->n_user; i++) {
		uint32_t user = s->who[i].item, away = (user - s->grower_user - 1) % USER_MAX;
		const struct request *r = q->live[s->user[user].oldest];

		if (!is_sharing(s, user) || blocks_need(s, r) <= share || away >= best)
			continue;
		best = away;
		s->grower = r->arrival;
		s->grower_need = blocks_need(s, r);
	}
	if (s->grower)
		s->grower_user = (s->grower_user + 1 + best) % USER_MAX;
}

void blocks_choose_grower(struct sched *s, const struct queue *q)
{
	if (count_sharers(s) > 1 && is_growing(s, q))
		return;
	s->grower = 0;
	s->is_stuck = false;
	if (count_sharers(s) > 1)
		pass_turn(s, q);
}

/* The limits of all sum up to the pool at most: who is below its limit when no block is free finds somebody above. */
void blocks_set_limits(struct sched *s)
{
	uint32_t n = n_divided(s), n_sharer = count_sharers(s), share = n_sharer ? n / n_sharer : 0, growth = share;

	if (s->grower) {
		growth = s->is_stuck ? n : max_u32(share, min_u32(s->grower_need, max_u32(n / 2, 1)));
		share = (n - growth) / (n_sharer - 1);
	}
	for (uint32_t i = 0; i < s->n_user; i++) {
		uint32_t user = s->who[i].item;
		bool is_grower = s->grower && user == s->grower_user;

		s->user[user].block.n_limit = is_grower ? growth : is_sharing(s, user) ? share : 0;
	}
	slots_set_limits(s, n_sharer);
}

/* ---- taking ---- */

/* Its rows of this batch would read what it has lost. */
static void drop_rows(struct sched *s, struct batch *b, const struct request *r)
{
	struct batch_seq *q = &b->seq[r->seat];

	if (r->seat >= b->n_seq || q->request != r)
		return;
	s->n_row -= q->n_row;
	q->n_row = 0;
}

uint32_t blocks_sight(const struct sched *s, uint32_t n_past)
{
	return s->o.window && s->o.window <= n_past ? n_past + 1 - s->o.window : 0;
}

static uint32_t sight(const struct sched *s, const struct request *r)
{
	return blocks_sight(s, r->kept.n_past);
}

void blocks_count(struct sched *s, uint32_t user)
{
	uint32_t n = kv_n_held(s->kv, user);

	s->user[user].block.n = n - min_u32(s->user[user].n_pinned, n);
}

void blocks_put(struct sched *s, const struct request *r, uint32_t block)
{
	kv_put(s->kv, r->user->index, block);
	cache_note_block(s, block);
	blocks_count(s, r->user->index);
}

/* Positions are computed again from the first on, in the blocks that it has left and holds alone: what they would see is gone. */
static void start_again(struct sched *s, struct request *r)
{
	uint32_t n = 0;

	for (uint32_t i = r->kept.n_gone; i < r->kept.n_block; i++)
		if (cache_detach(s, r->block[i]))
			r->block[n++] = r->block[i];
		else
			blocks_put(s, r, r->block[i]);
	r->kept.n_block = n;
	r->kept.n_gone = r->kept.n_past = r->kept.n_replay = 0;
}

/* A state cannot go back to an earlier position, nor a window to what lies behind it. */
static bool must_start_again(const struct sched *s, const struct request *r, uint32_t n_past_before)
{
	return sight(s, r) < r->kept.n_gone * s->o.block_len || (r->kept.has_slot && r->kept.n_past < n_past_before);
}

void blocks_drop_last(struct sched *s, struct request *r)
{
	blocks_put(s, r, r->block[--r->kept.n_block]);
	r->kept.n_past = min_u32(r->kept.n_past, r->kept.n_block * s->o.block_len);
}

static void give_up_block(struct sched *s, struct batch *b, struct request *r)
{
	uint32_t n_past = r->kept.n_past;

	drop_rows(s, b, r);
	blocks_drop_last(s, r);
	if (must_start_again(s, r, n_past))
		start_again(s, r);
	if (!blocks_held(r)) {
		slots_give(s, r);
		r->kept.state = REQUEST_WAITING;
	}
	counter_add(&s->n_preempted, 1);
}

void blocks_release(struct sched *s, struct request *r)
{
	while (blocks_held(r))
		blocks_put(s, r, r->block[--r->kept.n_block]);
	r->kept.n_block = r->kept.n_gone = r->kept.n_past = r->kept.n_replay = 0;
	slots_give(s, r);
}

/* And so all that it holds: it could not go on in blocks alone. */
static void give_up_slot(struct sched *s, struct batch *b, struct request *r)
{
	drop_rows(s, b, r);
	counter_add(&s->n_preempted, blocks_held(r));
	blocks_release(s, r);
	r->kept.state = REQUEST_WAITING;
}

void blocks_forget(struct sched *s, struct request *r)
{
	uint32_t end = min_u32(sight(s, r) / s->o.block_len, r->kept.n_block);

	while (r->kept.n_gone < end)
		blocks_put(s, r, r->block[r->kept.n_gone++]);
}

bool blocks_take(struct sched *s, struct request *r)
{
	uint32_t user = r->user->index, *block = &r->block[r->kept.n_block];

	if (kv_alloc(s->kv, user, block) < 0 && !(cache_evict_block(s) && kv_alloc(s->kv, user, block) == 0))
		return false;
	r->kept.n_block++;
	blocks_count(s, user);
	return true;
}

static void cover(struct sched *s, const struct queue *q, struct batch *b, struct request *r, uint32_t n)
{
	while (r->kept.n_block * s->o.block_len < n) {
		struct request *victim;

		if (blocks_take(s, r))
			continue;
		if (keep_give_block(s, q))
			continue;
		victim = victim_find(s, q, r, false);
		if (!victim)
			return;
		give_up_block(s, b, victim);
	}
}

/* ---- sharing ---- */

uint32_t blocks_spare_rows(const struct request *r)
{
	struct op_span wanted = r->op->wants_logits(r), hidden = { 0, 0 };
	uint32_t n = r->kept.n_token - 1;

	if (r->op->wants_hidden)
		hidden = r->op->wants_hidden(r);
	n = wanted.begin < wanted.end ? min_u32(n, wanted.begin) : n;
	return hidden.begin < hidden.end ? min_u32(n, hidden.begin) : n;
}

/* How many of `from`'s first positions r can begin with. */
static uint32_t share_end(const struct sched *s, const struct request *r, const struct request *from, uint32_t n)
{
	n = min_u32(min_u32(n, from->kept.n_past), blocks_spare_rows(r));
	if (s->kv->book->n_slot && (!from->kept.has_slot || n != from->kept.n_past))
		return 0; /* a state has no earlier position */
	return n;
}

/* The block in which n lies is r's own. Only what is written once more is copied, so a whole number of blocks takes none. */
static bool copy_rest(struct sched *s, struct request *r, const struct request *from, uint32_t n)
{
	if (n % s->o.block_len == 0)
		return true;
	if (!blocks_take(s, r))
		return false;
	kv_copy(s->kv, r->block[r->kept.n_block - 1], from->block[n / s->o.block_len]);
	return true;
}

bool blocks_hold(struct sched *s, struct request *r, uint32_t block)
{
	uint32_t user = r->user->index;

	if (kv_get(s->kv, user, block) < 0)
		return false;
	cache_note_block(s, block);
	r->block[r->kept.n_block++] = block;
	blocks_count(s, user);
	return true;
}

/* Blocks [first, end) of `from` are r's as well. false: there is no more room to write down whose they are. */
static bool hold_blocks(struct sched *s, struct request *r, const struct request *from, uint32_t first, uint32_t end)
{
	r->kept.n_gone = r->kept.n_block = first;
	while (r->kept.n_block < end)
		if (!blocks_hold(s, r, from->block[r->kept.n_block]))
			return false;
	return true;
}

uint32_t blocks_share(struct sched *s, struct request *r, const struct request *from, uint32_t n)
{
	uint32_t len = s->o.block_len, first;

	assert(!blocks_held(r) && !r->kept.has_slot && !r->kept.n_past);
	n = share_end(s, r, from, n);
	first = blocks_sight(s, n) / len;
	if (!n || first < from->kept.n_gone)
		return 0;
	if (!slots_take(s, r))
		return 0;
	if (!hold_blocks(s, r, from, first, n / len))
		n = r->kept.n_block * len;
	else if (!copy_rest(s, r, from, n))
		n -= n % len;
	if (r->kept.has_slot && n != from->kept.n_past)
		n = 0;
	if (!n || blocks_sight(s, n) / len < r->kept.n_gone) {
		blocks_release(s, r);
		return 0;
	}
	if (r->kept.has_slot) {
		kv_slot_copy(s->kv, r->kept.slot, from->kept.slot);
		r->kept.n_replay = from->kept.n_replay;
	}
	r->kept.n_past = n;
	cache_follow(s, r, from, n);
	(void)cache_count(r, n);
	return n;
}

/* ---- rows ---- */

bool blocks_may_start(const struct sched *s, const struct queue *q, const struct request *r)
{
	const struct sched_user *u = &s->user[r->user->index];
	uint32_t need = blocks_need(s, r), held = blocks_held(r);

	if (!s->kv->book->n_slot || r->kept.n_past ||
	    need <= held + kv_n_free(s->kv) + s->kv->book->n_idle + s->n_kept || r->arrival == s->grower)
		return true;
	/* Its user's first takes from those behind it as well. */
	return need + (q->live[u->oldest] == r ? 0 : u->block.n - held) <= u->block.n_limit;
}

void blocks_cover(struct sched *s, const struct queue *q, struct batch *b, struct request *r, uint32_t n)
{
	while (!slots_take(s, r)) {
		struct request *victim;

		if (keep_give_slot(s, q))
			continue;
		victim = victim_find(s, q, r, true);
		if (!victim)
			return;
		give_up_slot(s, b, victim);
	}
	cover(s, q, b, r, n);
	if (!blocks_held(r)) /* nobody waits with a slot for blocks that others hold */
		slots_give(s, r);
}
