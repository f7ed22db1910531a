#include "daemon/intake/drain.h"
#include "daemon/intake/chain.h"
#include "daemon/intake/units.h"
#include "daemon/util/minmax.h"
#include "daemon/util/probe.h"

/* Does it have more entries than there were units for? Not if the first of them waits for something else. */
static void take_entries(struct taker *t, struct queue *q, struct session *s)
{
	enum take_fate fate = TAKE_MADE;
	struct gyre_sqe sqe;

	while (t->left > 0 && (s->job || sq_consumer_peek(&s->sq, &sqe))) {
		t->left -= DRAIN_ENTRY;
		fate = take_entry(t, q, s, &sqe);
		if (fate == TAKE_WAITS || fate == TAKE_GOES_ON)
			break;
		sq_consumer_advance(&s->sq);
	}
	if (chain_is_open(s) && !s->job && !sq_consumer_peek(&s->sq, &sqe)) /* what was submitted together ends there */
		chain_close(s);
	s->is_paused = fate == TAKE_WAITS;
}

static void drain_session(struct taker *t, struct queue *q, struct session *s)
{
	bool is_honest;

	t->left -= DRAIN_LOOK;
	s->is_paused = false;
	if (s->kept.is_broken) {
		chain_close(s);
		return;
	}
	lock_take(&s->lock);
	is_honest = session_load_space(s);
	lock_drop(&s->lock);
	if (!is_honest || sq_consumer_load(&s->sq) < 0) {
		session_break(s);
		chain_close(s);
		return;
	}
	take_entries(t, q, s);
	sq_consumer_commit(&s->sq);
	if (session_flush(s))
		t->left -= DRAIN_WAKE;
}

/* Its sessions in turn: where this drain ends, the next one begins. */
static void drain_user(struct taker *t, struct queue *q, struct user *u)
{
	for (uint32_t k = u->n_session; k && t->left > 0; k--) {
		struct session *s = u->turn;

		u->turn = s->after;
		drain_session(t, q, s);
	}
}

void drain_users(struct roster *r, struct taker *t, struct queue *q)
{
	int part = r->n_user ? (int)max_u32(DRAIN_UNITS / r->n_user, DRAIN_UNITS_MIN) : 0;
	uint32_t n = r->users.n;

	PROBE1(drain, r->n_session);
	for (uint32_t k = 0; k < n; k++) {
		struct user *u = &r->users.user[(r->first_user + k) % n];

		t->left = part;
		if (u->n_session)
			drain_user(t, q, u);
	}
	r->first_user++;
}
