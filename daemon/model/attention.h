/* What attention works on: which rows and heads go together, and where K and V of a sequence lie in the KV pool. */
#ifndef GYRE_DAEMON_MODEL_ATTENTION_H
#define GYRE_DAEMON_MODEL_ATTENTION_H

#include "daemon/model/state.h"

/* The leader, before a pass: which rows go together. */
void attention_plan(struct model *m);
/* All nodes' head sets, and the groups of rows. false: no memory. */
bool attention_new(struct model *m);
void attention_free(struct model *m);
/* A part of the node's memory in block 0. */
uint8_t *attention_base(const struct model *m, const struct node *n, const struct kv_part *p);
/* Stores rotated k and v of one of the node's KV heads for all rows of the batch. */
void attention_store(const struct model *m, const struct node *n, uint32_t layer, uint32_t head_kv, const float *k,
		     const float *v);

#endif
