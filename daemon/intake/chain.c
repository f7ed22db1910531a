#include "daemon/intake/chain.h"

#include <errno.h>

/* Who waits for what came before the next entry is r, or the next entry. */
void chain_join(struct session *s, struct request *r)
{
	r->before = s->chain.before;
	s->chain.before = NULL;
	if (r->kept.flags & GYRE_SQE_LINK)
		(void)request_await(&s->chain.before, r); /* it is new */
}

void chain_pass(struct session *s, uint16_t flags, bool is_failed)
{
	if (!(flags & GYRE_SQE_LINK)) {
		chain_close(s);
		return;
	}
	if (!is_failed)
		return;
	request_await_no_more(&s->chain.before);
	s->chain.is_cut = true;
}

void chain_close(struct session *s)
{
	request_await_no_more(&s->chain.before);
	s->chain.is_cut = false;
}

int chain_refuse(struct words *w)
{
	return words_set(w, -ECANCELED,
			 "an entry before it in its chain (GYRE_SQE_LINK) has failed: its completion says why");
}
