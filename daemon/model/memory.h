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
	size_t *layer;      /* [n_layer] where a layer's heads begin */
	size_t *state;      /* [n_layer] where its state is */
	size_t block_bytes; /* of all that is paged */
	size_t slot_bytes;  /* of all states */
	uint8_t *base;      /* where blocks lie, once there is a pool of n_kv_block */
	uint8_t *slot;      /* where slots lie */
};

int memory_init(struct memory *l, uint32_t n_layer, struct error *e);
void memory_deinit(struct memory *l);

/* K and V of each KV head, on the nodes that own it. `window`: how many positions back a query sees; 0: all. */
int memory_add_heads(struct model *m, uint32_t layer, uint32_t window, struct error *e);

/* The state of a layer on a node: so many bytes of a slot, up to a multiple of 64; 0: it has none there. Once a layer and node. */
int memory_add_state(struct model *m, uint32_t layer, uint32_t node, size_t bytes, struct error *e);

/* A layer that reads the K and V of another before it, whose heads have the same shape, and has none of its own. */
void memory_share_heads(struct model *m, uint32_t layer, uint32_t source);

/* K, or V, of a layer and of one of the node's KV heads. */
const struct kv_part *memory_part(const struct node *n, uint32_t layer, uint32_t head_kv, bool is_v);
/* The bytes of a sequence's state in a layer, 64-byte aligned; the node has some. What is there of a sequence that begins is anything. */
void *memory_state(const struct node *n, uint32_t layer, uint32_t slot);
struct kv_mem memory_of(const struct node *n);

#endif
