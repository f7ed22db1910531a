#include "daemon/sched/link.h"
#include "shm/atomic.h"

#include <errno.h>

static void begin(struct request *r)
{
	if (!r->op->wants_logits)
		request_end(r, 0);
	else
		r->kept.state = r->source ? REQUEST_FORK : REQUEST_WAITING;
}

void link_begin_all(const struct queue *q)
{
	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];
		uint32_t told;

		if (r->kept.state != REQUEST_LINKED)
			continue;
		told = load_acquire(&r->before->told); /* pairs with stream_let_go */
		if (told == REQUEST_UNTOLD)
			continue;
		if (told == REQUEST_TOLD_WELL)
			begin(r);
		else
			request_end(r, request_explain(r, -ECANCELED,
						       "the request with the user_data %llu, before it in its chain "
						       "(GYRE_SQE_LINK), has failed: its completion says why",
						       (unsigned long long)r->before->kept.user_data));
		request_await_no_more(&r->before);
	}
}
