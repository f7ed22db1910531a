/* The work space of a model: taken when it is opened, so that a pass allocates nothing. */
#ifndef GYRE_DAEMON_MODEL_SCRATCH_H
#define GYRE_DAEMON_MODEL_SCRATCH_H

#include "daemon/model/state.h"

/* For what the shapes, n_row_max, n_thread and n_ctx of m ask for. false: no memory, and scratch_free takes what there is. */
bool scratch_new(struct model *m);
void scratch_free(struct model *m);

#endif
