#include "daemon/sched/slots.h"
#include "daemon/sched/blocks.h"
#include "daemon/sched/cache.h"
#include "daemon/util/minmax.h"

/* Who is asked whether it may have one: the user that grows, once nobody can run; those who have one; all. */
enum rank { RANK_STUCK, RANK_HOLDER, RANK_ANY, RANK_MAX };

static bool has_rank(const struct sched *s, uint32_t user, enum rank rank)
{
	if (rank == RANK_STUCK)
		return s->is_stuck && s->grower && user == s->grower_user;
	return rank == RANK_ANY || s->user[user].slot.n > 0;
}

static uint32_t n_divided(const struct sched *s)
{
	return s->kv->book->n_slot - s->n_slot_pinned;
}

/* Fewer slots than users: one each, as long as there are any. Of all that have none, who was served longest ago is first. */
static void set_one_each(struct sched *s)
{
	uint32_t n = n_divided(s);

	for (enum rank rank = 0; rank < RANK_MAX; rank++)
		for (uint32_t i = 0; i < s->n_user && n; i++) {
			uint32_t user = s->who[i].item;
			struct sched_hold *h = &s->user[user].slot;

			if (h->n_limit || !is_sharing(s, user) || !has_rank(s, user, rank))
				continue;
			h->n_limit = 1;
			n--;
		}
}

void slots_set_limits(struct sched *s, uint32_t n_sharer)
{
	uint32_t share = n_sharer ? n_divided(s) / n_sharer : 0;

	for (uint32_t i = 0; i < s->n_user; i++)
		s->user[s->who[i].item].slot.n_limit = is_sharing(s, s->who[i].item) ? share : 0;
	if (!share)
		set_one_each(s); /* who runs is not stopped for those who wait */
}

void slots_adopt(struct sched *s, struct request *r, uint32_t slot)
{
	r->kept.slot = slot;
	r->kept.has_slot = true;
	s->user[r->user->index].slot.n++;
}

bool slots_take_free(struct sched *s, struct request *r)
{
	uint32_t slot;

	if (!s->kv->book->n_slot || r->kept.has_slot)
		return true;
	if (kv_slot_alloc(s->kv, &slot) < 0)
		return false;
	slots_adopt(s, r, slot);
	return true;
}

bool slots_take(struct sched *s, struct request *r)
{
	return slots_take_free(s, r) || (cache_evict_slot(s) && slots_take_free(s, r));
}

void slots_leave(struct sched *s, struct request *r)
{
	r->kept.has_slot = false;
	s->user[r->user->index].slot.n--;
}

void slots_give(struct sched *s, struct request *r)
{
	if (!r->kept.has_slot)
		return;
	kv_slot_put(s->kv, r->kept.slot);
	slots_leave(s, r);
}
