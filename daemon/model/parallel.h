/*
 * The pass of a decoder whose layers have one norm, on which the attention and the feed-forward work side by side:
 *   x += attention(n) + Wdown . (act(Wgate . n) * (Wup . n)),  n = norm(x)
 * Layers are those of decoder.h, and the attention's norm is the feed-forward's, too.
 */
#ifndef GYRE_DAEMON_MODEL_PARALLEL_H
#define GYRE_DAEMON_MODEL_PARALLEL_H

#include "daemon/model/decoder.h"

extern const struct pass parallel_pass;

#endif
