/*
 * What a sequence keeps: each node's list of parts (kv/kv.h), which the architecture fills when it is opened, layer by layer.
 * Attention finds its K and V in it, and what a block takes is its sum.
 */
#ifndef GYRE_DAEMON_MODEL_MEMORY_H
#define GYRE_DAEMON_MODEL_MEMORY_H

#include "daemon/kv/kv.h"
#include "daemon/util/error.h"

#include <stdbool.h>

struct model;
struct node;

struct memory {
	struct kv_part *part; /* [n_part] */
	size_t n_part, n_room;
	size_t *layer;      /* [n_layer] where a layer's parts begin */
	size_t block_bytes; /* of all */
	uint8_t *base;      /* where they lie, once there is a pool of n_kv_block */
};

int memory_init(struct memory *l, uint32_t n_layer, struct error *e);
void memory_deinit(struct memory *l);

/* K and V of each KV head, on the nodes that own it. `window`: how many positions back a query sees; 0: all. */
int memory_add_heads(struct model *m, uint32_t layer, uint32_t window, struct error *e);

/* K, or V, of a layer and of one of the node's KV heads. */
const struct kv_part *memory_part(const struct node *n, uint32_t layer, uint32_t head_kv, bool is_v);
struct kv_mem memory_of(const struct node *n);

#endif
