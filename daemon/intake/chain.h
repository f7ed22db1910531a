/*
 * Chains: an entry with LINK has the next one of its ring wait until it has ended well, and fail if it fails. Entries of a chain are taken as
 * all others are, so what their client wrote is copied and checked; each that would be made a request is one at once, in a place of its
 * user's share, and waits with its engine's leader (sched/link.h). NOP and CANCEL, which are else answered at the watch, become requests
 * where they have to wait. A chain ends with an entry without LINK, or where the ring is empty. At the watch.
 */
#ifndef GYRE_DAEMON_INTAKE_CHAIN_H
#define GYRE_DAEMON_INTAKE_CHAIN_H

#include "daemon/session/session.h"

/* The next entry of s: does it wait for one before it; has one before it failed, so that nothing is made of it? */
static inline bool chain_must_wait(const struct session *s)
{
	return s->chain.before;
}

static inline bool chain_is_cut(const struct session *s)
{
	return s->chain.is_cut;
}

static inline bool chain_is_open(const struct session *s)
{
	return s->chain.before || s->chain.is_cut;
}

/* r is made of the next entry, and on its way to no engine yet. */
void chain_join(struct session *s, struct request *r);
/* The next entry, which had those flags, has been dealt with: a request was made of it (chain_join), or it was answered; is_failed: refused. */
void chain_pass(struct session *s, uint16_t flags, bool is_failed);
/* There is no next entry, or nobody who would send it. */
void chain_close(struct session *s);
/* -ECANCELED, with words. */
int chain_refuse(struct words *w);

#endif
