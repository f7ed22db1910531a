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
/* Its claim: the positions that it may come to hold. Of its user's (n_claim_max) even all would not be enough: -EFBIG. */
int fit_claim(struct request *r);

#endif
