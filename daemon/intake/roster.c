#include "daemon/intake/roster.h"
#include "daemon/util/counter.h"
#include "shm/atomic.h"

/* Into, and out of, the circle of its user's sessions. */
static void link_session(struct roster *r, struct session *s)
{
	struct user *u = s->user = user_get(&r->users, s->kept.uid);

	s->before = s->after = s;
	if (u->turn) {
		s->after = u->turn;
		s->before = u->turn->before;
		s->before->after = s->after->before = s;
	}
	u->turn = s; /* a newcomer is looked at next */
	r->n_user += !u->n_session++;
}

static void unlink_session(struct roster *r, struct session *s)
{
	struct user *u = s->user;

	s->before->after = s->after;
	s->after->before = s->before;
	if (u->turn == s)
		u->turn = s->after == s ? NULL : s->after;
	r->n_user -= !--u->n_session;
}

void roster_admit(struct roster *r, struct session *s)
{
	s->slot = r->n_session;
	r->session[s->slot] = s;
	counter_set32(&r->n_session, s->slot + 1);
	link_session(r, s);
}

void roster_drop(struct roster *r, struct session *s)
{
	store_release(&s->is_gone, 1); /* pairs with grant_space */
	served_ring(s->served);        /* an engine that has nothing but kept requests sleeps */
	counter_set32(&r->n_session, r->n_session - 1);
	r->session[s->slot] = r->session[r->n_session];
	r->session[s->slot]->slot = s->slot;
	unlink_session(r, s);
}
