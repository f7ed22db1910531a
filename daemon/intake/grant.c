#include "daemon/intake/grant.h"
#include "daemon/flow/grant.h"
#include "daemon/session/session.h"
#include "shm/atomic.h"
#include "shm/clock.h"

void grant_space(struct queue *q)
{
	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];
		uint32_t n_piece = r->session->n_piece;

		__builtin_prefetch(r->op);                /* sched asks it next */
		if (load_acquire(&r->session->is_gone)) { /* pairs with roster_drop */
			if (r->kept.state != REQUEST_DONE)
				meter_end(&q->meter, r, true, clock_ns());
			r->kept.state = REQUEST_DONE;
			continue;
		}
		if (r->kept.state == REQUEST_DONE)
			continue;
		lock_take(&r->session->lock);
		r->grant = session_promise(r->session, grant_for(n_piece, 1 + r->session->served->n_draft),
					   grant_for(n_piece, 1));
		lock_drop(&r->session->lock);
		r->n_room = grant_tokens(n_piece, r->grant);
	}
}

void grant_take_back(struct queue *q)
{
	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];

		if (!r->grant)
			continue;
		lock_take(&r->session->lock);
		session_unpromise(r->session, r->grant);
		lock_drop(&r->session->lock);
		r->grant = 0;
	}
}
