/*
 * The memory that a model of the configuration wants, before anything of it is loaded: by the file's header, the model is laid out and
 * opened in addresses that have no memory, so that the figures are those of a load, to the byte.
 */
#ifndef GYRE_DAEMON_ENGINE_DEMAND_H
#define GYRE_DAEMON_ENGINE_DEMAND_H

#include "daemon/config/config.h"
#include "daemon/machine/layout.h"

#include <stddef.h>

struct demand {
	int n_node;
	size_t weights[NODE_MAX], kv[NODE_MAX]; /* bytes of an engine's nodes */
	size_t block_bytes;                     /* of KV_BLOCK positions, on all of them */
};

/* Of one engine on that layout. The KV pool is the one that is wished for: what the configuration says, or full contexts. */
int demand_read(struct demand *n, const struct config_model *own, const struct layout *l, struct error *e);

#endif
