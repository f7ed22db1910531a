#include "daemon/intake/drain.h"
#include "daemon/intake/entry.h"
#include "daemon/util/minmax.h"

/* Does it have more entries than there were units for? Not if the first of them waits for something else. */
static void take_entries(struct intake *i, struct queue *q, struct session *s)
{
	enum entry_fate fate = ENTRY_TAKEN;
	struct gyre_sqe sqe;

	while (i->left > 0 && (s->job || sq_consumer_peek(&s->sq, &sqe))) {
		i->left -= DRAIN_ENTRY;
		fate = entry_take(i, q, s, &sqe);
		if (fate == ENTRY_WAITS || fate == ENTRY_GOES_ON)
			break;
		sq_consumer_advance(&s->sq);
	}
	s->is_paused = fate == ENTRY_WAITS;
}

static void drain_session(struct intake *i, struct queue *q, struct session *s)
{
	bool is_honest;

	i->left -= DRAIN_LOOK;
	s->is_paused = false;
	if (s->is_broken)
		return;
	lock_take(&s->lock);
	is_honest = session_load_space(s);
	lock_drop(&s->lock);
	if (!is_honest || sq_consumer_load(&s->sq) < 0) {
		session_break(s);
		return;
	}
	take_entries(i, q, s);
	sq_consumer_commit(&s->sq);
	if (session_flush(s))
		i->left -= DRAIN_WAKE;
}

/* Its sessions in turn: where this drain ends, the next one begins. */
static void drain_user(struct intake *i, struct queue *q, struct user *u)
{
	for (uint32_t k = u->n_session; k && i->left > 0; k--) {
		struct session *s = u->turn;

		u->turn = s->after;
		drain_session(i, q, s);
	}
}

void drain_users(struct intake *i, struct queue *q)
{
	int part = i->n_user ? (int)max_u32(DRAIN_UNITS / i->n_user, DRAIN_UNITS_MIN) : 0;
	uint32_t n = i->users.n;

	for (uint32_t k = 0; k < n; k++) {
		struct user *u = &i->users.user[(i->first_user + k) % n];

		i->left = part;
		if (u->n_session)
			drain_user(i, q, u);
	}
	i->first_user++;
}
