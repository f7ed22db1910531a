/*
 * A pool of blocks and slots gets its memory in two parts: as much as the longest request takes before its model is ready, and the rest
 * while it serves, by a thread that gives way to all others. So ready does not wait for gigabytes to be cleared, no step ever meets a page that
 * is not there, since a block or a slot is given out only once it has memory (kv_set_present), and what somebody else has taken meanwhile
 * makes the pool smaller instead of ending the daemon.
 */
#ifndef GYRE_DAEMON_ENGINE_FILL_H
#define GYRE_DAEMON_ENGINE_FILL_H

#include "daemon/kv/kv.h"
#include "daemon/model/model.h"
#include "daemon/util/error.h"

#include <pthread.h>
#include <stdbool.h>

struct fill {
	struct kv *kv;
	const struct model *model;
	const struct pool *pool; /* [NODE_MAX] */
	uint32_t n_present;      /* blocks; the thread's once it runs */
	uint32_t n_slot_present; /* slots, likewise */
	uint32_t first, end;     /* being populated by all threads, before it runs */
	uint64_t next_part;      /* atomic */
	uint32_t error;          /* atomic: an errno */
	pthread_t thread;
	bool is_running;
	uint32_t is_stopping; /* atomic */
};

/* n_least blocks, and a slot if there are any, have memory when it returns, and the others will. 0 or -errno with e. */
int fill_start(struct fill *f, struct kv *kv, const struct model *m, const struct pool pool[NODE_MAX], uint32_t n_least,
	       struct error *e);
/* Before the pool goes. A zero-filled struct does nothing. */
void fill_stop(struct fill *f);

#endif
