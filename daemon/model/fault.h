/*
 * Where numbers stopped being any. A row whose logits are not finite is rare and its request is lost; what is looked for then is what
 * to tell the operator: the first layer whose keys or values of that row are not finite. Nothing is kept for it on the way:
 * the KV pool has them. On the healthy path one float a logit row is looked at, and a vector that is wanted.
 */
#ifndef GYRE_DAEMON_MODEL_FAULT_H
#define GYRE_DAEMON_MODEL_FAULT_H

#include "daemon/model/state.h"

/* After a pass: batch->fault_layer. */
void fault_find(const struct model *m, struct batch *b);

#endif
