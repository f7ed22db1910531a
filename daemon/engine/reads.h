/* What a pass reads of the weights, from the memory of each node. */
#ifndef GYRE_DAEMON_ENGINE_READS_H
#define GYRE_DAEMON_ENGINE_READS_H

#include "daemon/engine/engine.h"

/* Bytes of a pass on a node: all parts there, but for the embedding, of which each row takes its token's alone unless it is the head as
 * well, and of experts as many as a row takes. */
uint64_t reads_of_pass(const struct weights *w, uint32_t node);
/* How many passes the engine has made. */
uint64_t reads_n_pass(const struct engine *e);

#endif
