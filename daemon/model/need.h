/*
 * The memory that a model will take, from its file's metadata alone: what is known before anything is read.
 */
#ifndef GYRE_DAEMON_MODEL_NEED_H
#define GYRE_DAEMON_MODEL_NEED_H

#include "daemon/model/model.h"

struct model_need {
	uint64_t weight_bytes;   /* of one copy: as in the file, to which panels add what fills their last rows */
	uint64_t position_bytes; /* of keys and values, of one position in all layers */
	uint32_t n_ctx_train;
};

/* g: metadata suffice. 0, or -errno as model_plan. */
int model_need(struct model_need *n, const struct gguf *g, enum kvq_type kv_type, struct error *e);

#endif
