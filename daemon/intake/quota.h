/*
 * What a session's user may have by the configuration (struct gyre_limits), as far as intake decides it: each refusal has an errno of its
 * own and says the number, whose it is, and when or how to go on. What is counted is all that the user has, whichever of its sessions asks;
 * nothing here looks at other users. At the watch.
 */
#ifndef GYRE_DAEMON_INTAKE_QUOTA_H
#define GYRE_DAEMON_INTAKE_QUOTA_H

#include "daemon/session/session.h"

/* An entry of s of which a request would be made: -EPERM (priority), -EAGAIN (tokens a second), -EMLINK (requests). has_rows: a model runs
 * it. w NULL: nobody asks why. */
int quota_check(const struct session *s, uint16_t priority, bool has_rows, struct words *w);
/*
 * r has its tokens, and a model will run it: they are charged, and r is told how many positions it may come to hold (a FORK when it begins)
 * and of how many in all its user's requests, and to pin. -EFBIG, with words: even alone it would hold more. -EDQUOT: it would pin more. It has
 * been routed.
 */
int quota_claim(struct request *r);

#endif
