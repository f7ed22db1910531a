/* The memory for what sequences keep, blocks and slots: how much of it an engine takes, and how it gets it. */
#ifndef GYRE_DAEMON_ENGINE_ROOM_H
#define GYRE_DAEMON_ENGINE_ROOM_H

#include "daemon/engine/engine.h"
#include "daemon/kv/fit.h"

/* What a block and a slot take, on all nodes. */
struct kv_cost room_cost(const struct model *m);
/* Blocks of the pool that nobody has given a size, where memory is no object. */
size_t room_blocks_wanted(const struct model *m, uint32_t n_ctx);
/* Positions that a state counts as where positions are counted: as many as take its bytes; where a position takes none, as many as a pool has
 * beside a slot. 0: there is no state. */
uint32_t room_state_positions(const struct model *m);
/* The pool of an engine that has its model, and its pages: as large as the configuration says, or as fits. 0, or -errno with why. */
int room_open(struct engine *e, const struct engine_options *o, struct error *why);

#endif
