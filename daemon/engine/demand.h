/*
 * The memory that a model of the configuration wants, before anything of it is loaded: by the file's header, the model is laid out and
 * opened in addresses that have no memory, so that the figures are those of a load, to the byte.
 */
#ifndef GYRE_DAEMON_ENGINE_DEMAND_H
#define GYRE_DAEMON_ENGINE_DEMAND_H

#include "daemon/config/config.h"
#include "daemon/kv/fit.h"
#include "daemon/machine/layout.h"

#include <stddef.h>

struct demand {
	int n_node;
	size_t weights[NODE_MAX], kv[NODE_MAX]; /* bytes of an engine's nodes */
	struct kv_cost cost;                    /* of KV_BLOCK positions, of a sequence's states, on all of them */
	size_t n_least;                         /* blocks of the smallest pool */
};

/* Of one engine on that layout. The KV pool is the one that is wished for: what the configuration says, or full contexts. */
int demand_read(struct demand *n, const struct config_model *own, const struct layout *l, struct error *e);

#endif
