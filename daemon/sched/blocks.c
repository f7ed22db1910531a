#include "daemon/sched/blocks.h"
#include "daemon/sched/slots.h"
#include "daemon/util/counter.h"
#include "daemon/util/minmax.h"

#include <string.h>

/* ---- limits ---- */

uint32_t blocks_need(const struct sched *s, const struct request *r)
{
	uint32_t len = s->o.block_len, n = (r->kept.n_token + len - 1) / len;

	return s->o.window ? min_u32(n, kv_window_blocks(s->o.window, len)) : n;
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
	uint32_t share = s->kv->book->n_block / count_sharers(s), best = USER_MAX;

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
	uint32_t n = s->kv->book->n_block, n_sharer = count_sharers(s), share = n_sharer ? n / n_sharer : 0,
		 growth = share;

	if (s->grower) {
		growth = max_u32(share, min_u32(s->grower_need, s->is_stuck ? n : max_u32(n / 2, 1)));
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

/* The first position that its next row sees. */
static uint32_t sight(const struct sched *s, const struct request *r)
{
	uint32_t n = r->kept.n_past + 1;

	return s->o.window && s->o.window < n ? n - s->o.window : 0;
}

/* Positions are computed again from the first on, in the blocks that it has left: what they would see is gone. */
static void start_again(struct request *r)
{
	uint32_t n = blocks_held(r);

	memmove(r->block, r->block + r->kept.n_gone, n * sizeof(r->block[0]));
	r->kept.n_block = n;
	r->kept.n_gone = r->kept.n_past = r->kept.n_replay = 0;
}

/* A state cannot go back to an earlier position, nor a window to what lies behind it. */
static bool must_start_again(const struct sched *s, const struct request *r, uint32_t n_past_before)
{
	return sight(s, r) < r->kept.n_gone * s->o.block_len || (r->kept.has_slot && r->kept.n_past < n_past_before);
}

static void give_up_block(struct sched *s, struct batch *b, struct request *r)
{
	uint32_t n_past = r->kept.n_past;

	drop_rows(s, b, r);
	kv_put(s->kv, r->block[--r->kept.n_block]);
	s->user[r->user->index].block.n--;
	r->kept.n_past = min_u32(n_past, r->kept.n_block * s->o.block_len);
	if (must_start_again(s, r, n_past))
		start_again(r);
	if (!blocks_held(r)) {
		slots_give(s, r);
		r->kept.state = REQUEST_WAITING;
	}
	counter_add(&s->n_preempted, 1);
}

void blocks_release(struct sched *s, struct request *r)
{
	while (blocks_held(r))
		kv_put(s->kv, r->block[--r->kept.n_block]);
	r->kept.n_block = r->kept.n_gone = r->kept.n_past = r->kept.n_replay = 0;
	slots_give(s, r);
}

/* And so all that it holds: it could not go on in blocks alone. */
static void give_up_slot(struct sched *s, struct batch *b, struct request *r)
{
	drop_rows(s, b, r);
	s->user[r->user->index].block.n -= blocks_held(r);
	counter_add(&s->n_preempted, blocks_held(r));
	blocks_release(s, r);
	r->kept.state = REQUEST_WAITING;
}

void blocks_forget(struct sched *s, struct request *r)
{
	uint32_t end = min_u32(sight(s, r) / s->o.block_len, r->kept.n_block);

	while (r->kept.n_gone < end)
		kv_put(s->kv, r->block[r->kept.n_gone++]);
}

static struct sched_hold *hold_of(struct sched_user *u, bool is_slot)
{
	return is_slot ? &u->slot : &u->block;
}

/* The user furthest above its limit, other than `but`. */
static struct sched_user *find_richest(struct sched *s, const struct sched_user *but, bool is_slot)
{
	struct sched_user *best = NULL;
	uint32_t most = 0;

	for (uint32_t i = 0; i < s->n_who; i++) {
		struct sched_user *u = &s->user[s->who[i].item];
		const struct sched_hold *h = hold_of(u, is_slot);

		if (u == but || h->n <= h->n_limit || h->n - h->n_limit <= most)
			continue;
		best = u;
		most = h->n - h->n_limit;
	}
	return best;
}

/* Of a user's requests that come after `key`: a paused holder (it makes no progress with them), or else the last. */
static struct request *find_last(const struct sched *s, const struct queue *q, const struct sched_user *u, uint64_t key,
				 bool is_slot)
{
	struct request *last = NULL;

	for (uint32_t i = q->n_live; i-- > 0;) {
		struct request *r = q->live[i];

		if (&s->user[r->user->index] != u || !is_eligible(r) ||
		    !(is_slot ? r->kept.has_slot : blocks_held(r) > 0))
			continue;
		if (!r->grant)
			return r;
		if (block_key(s, r) > key && (!last || block_key(s, r) > block_key(s, last)))
			last = r;
	}
	return last;
}

static struct request *find_victim(struct sched *s, const struct queue *q, const struct request *r, bool is_slot)
{
	struct sched_user *u = &s->user[r->user->index];
	const struct sched_hold *h = hold_of(u, is_slot);
	struct sched_user *other = h->n < h->n_limit ? find_richest(s, u, is_slot) : NULL;
	struct request *victim = other ? find_last(s, q, other, 0, is_slot) : NULL;

	return victim ? victim : find_last(s, q, u, block_key(s, r), is_slot);
}

static void cover(struct sched *s, const struct queue *q, struct batch *b, struct request *r, uint32_t n)
{
	while (r->kept.n_block * s->o.block_len < n) {
		struct request *victim;

		if (kv_alloc(s->kv, &r->block[r->kept.n_block]) == 0) {
			r->kept.n_block++;
			s->user[r->user->index].block.n++;
			continue;
		}
		victim = find_victim(s, q, r, false);
		if (!victim)
			return;
		give_up_block(s, b, victim);
	}
}

bool blocks_may_start(const struct sched *s, const struct queue *q, const struct request *r)
{
	const struct sched_user *u = &s->user[r->user->index];
	uint32_t need = blocks_need(s, r), held = blocks_held(r);

	if (!s->kv->book->n_slot || r->kept.n_past || need <= held + kv_n_free(s->kv) || r->arrival == s->grower)
		return true;
	/* Its user's first takes from those behind it as well. */
	return need + (q->live[u->oldest] == r ? 0 : u->block.n - held) <= u->block.n_limit;
}

void blocks_cover(struct sched *s, const struct queue *q, struct batch *b, struct request *r, uint32_t n)
{
	while (!slots_take(s, r)) {
		struct request *victim = find_victim(s, q, r, true);

		if (!victim)
			return;
		give_up_slot(s, b, victim);
	}
	cover(s, q, b, r, n);
	if (!blocks_held(r)) /* nobody waits with a slot for blocks that others hold */
		slots_give(s, r);
}
