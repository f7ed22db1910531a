/*
 * Attention over the KV pool. A node's work is cut into pairs: a group of rows of one sequence, and query heads that share a KV
 * head, at most ATTN_TILE queries together, so that K and V are read once for all of them. A pair walks its chunks of
 * ATTN_CHUNK positions; with few pairs the chunks are spread over the workers too. Either way a chunk's partial result is
 * the same and they are merged in order of position, so the cut never shows in the bits. A chunk knows which one its worker takes
 * after it, for that one's K is fetched meanwhile.
 */
#ifndef GYRE_DAEMON_MODEL_ATTENTION_H
#define GYRE_DAEMON_MODEL_ATTENTION_H

#include "daemon/model/state.h"

/* The leader, before a pass: which rows go together. */
void attention_plan(struct model *m);
/* A node's head sets. false: no memory. */
bool attention_sets(struct model *m, struct node *n, const struct plan_node *p);
/* A node's KV memory. */
struct kv_mem attention_kv(const struct model *m, const struct node *n);
/* Stores rotated k and v of one of the node's KV heads for all rows of the batch. */
void attention_store(const struct model *m, const struct node *n, uint32_t layer, uint32_t head_kv, const float *k,
		     const float *v);

#endif
