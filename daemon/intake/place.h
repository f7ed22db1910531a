/*
 * Who may have how many requests. In the pool of a model there is a place for each session there can be, and some that all share: of these a
 * user takes more while it holds less than it leaves to others. At the watch, but for place_leave.
 */
#ifndef GYRE_DAEMON_INTAKE_PLACE_H
#define GYRE_DAEMON_INTAKE_PLACE_H

#include "daemon/intake/handover.h"
#include "daemon/intake/roster.h"

/* An enum request_place for one more request of s, or REQUEST_NOWHERE. */
uint8_t place_find(const struct roster *r, const struct session *s);
/* How many a user gets of a model with so many engines who is alone, with one session. */
uint32_t place_most(uint32_t n_engine);
/* From now on s has the request, in the place that was found for it. */
void place_take(struct session *s, struct request *r, uint8_t place);
/* A leader whose engine has let go of r: back into the pool, and the session is given back if that was the last of it. */
void place_leave(struct handover *h, struct request *r);

#endif
