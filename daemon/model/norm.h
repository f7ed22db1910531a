/* Norms of rows: which one is the architecture's, what it multiplies with is a layer's. */
#ifndef GYRE_DAEMON_MODEL_NORM_H
#define GYRE_DAEMON_MODEL_NORM_H

#include "daemon/model/state.h"

/* y[n] = the norm of x[n]: RMS norm (Zhang and Sennrich 2019), or layer norm (Ba et al. 2016) where arch.norm says so. y may be x. */
void norm_row(const struct model *m, const struct norm *norm, uint32_t node, float *y, const float *x, size_t n);

/* x[n] over the root of its mean square: a norm without weights, in place. */
void norm_bare(const struct model *m, float *x, size_t n);

#endif
