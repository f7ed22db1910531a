#include "daemon/intake/place.h"
#include "daemon/util/counter.h"
#include "shm/atomic.h"

uint8_t place_find(const struct roster *r, const struct session *s)
{
	uint32_t model = s->served->index, n_shared = s->served->pool.n - INTAKE_SESSION_MAX, n_used;

	if (!load_relaxed(&s->has_own))
		return REQUEST_OWN_PLACE;
	n_used = user_count_extra(&r->users, model);
	return n_used < n_shared && n_shared - n_used > load_relaxed(&s->user->n_extra[model]) ? REQUEST_SHARED_PLACE
											       : REQUEST_NOWHERE;
}

uint32_t place_most(uint32_t n_engine)
{
	return 1 + (n_engine * BATCH_SEQ_MAX + 1) / 2;
}

void place_take(struct session *s, struct request *r, uint8_t place)
{
	r->place = place;
	if (place == REQUEST_SHARED_PLACE)
		fetch_add(&s->user->n_extra[s->served->index], 1);
	else
		store_relaxed(&s->has_own, 1);
	fetch_add(&s->user->n_request, 1);
	fetch_add(&s->n_ref, 1);
	lock_take(&s->lock);
	session_link(s, r);
	counter_add(&s->region.daemon->n_request, 1);
	lock_drop(&s->lock);
}

void place_leave(struct handover *h, struct request *r)
{
	struct session *s = r->session;

	lock_take(&s->lock);
	session_leave_place(s, r);
	session_unlink(s, r);
	lock_drop(&s->lock);
	if (r->kept.keep_end_ns)
		fetch_add(&s->served->pool.n_kept, -1u);
	request_pool_put(&s->served->pool, r);
	handover_put(h, s);
}
