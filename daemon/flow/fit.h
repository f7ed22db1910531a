/*
 * Whether a request fits, by the number of its tokens: known when its prompt has been read or, of a FORK, when it begins. All of them: 0, or
 * -errno with words in the request. Its owner.
 */
#ifndef GYRE_DAEMON_FLOW_FIT_H
#define GYRE_DAEMON_FLOW_FIT_H

#include "daemon/flow/served.h"

/* The context, with one token of an answer: -E2BIG. */
int fit_context(struct request *r);
/* Even alone it would not fit the pool: -ENOSPC. Better said now than when its turn comes. */
int fit_pool(struct request *r);
/*
 * What it is to pin (GYRE_SQE_PIN), which is charged to its user and its queue, to which it has been routed: -EDQUOT. All pins leave room in
 * the pool for a request of a whole context.
 */
int fit_pin(struct request *r);
/* It is over, or has never pinned anything. */
void fit_unpin(struct request *r);
/* Its claim: the positions that it may come to hold. Of its user's (n_claim_max) even all would not be enough: -EFBIG. */
int fit_claim(struct request *r);

#endif
