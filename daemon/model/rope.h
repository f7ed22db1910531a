/* Rotary position embedding (Su et al. 2021): the tables of a model, and how its heads pair their dimensions. */
#ifndef GYRE_DAEMON_MODEL_ROPE_H
#define GYRE_DAEMON_MODEL_ROPE_H

#include "daemon/util/error.h"

#include <stdbool.h>
#include <stdint.h>

struct model;
struct tensors;

/* Pairs of dimensions that turn together: (2i, 2i + 1), or (i, i + n_rot / 2). GGUF leaves it to the architecture. */
enum rope_pairs { ROPE_NEIGHBOURS, ROPE_HALVES };

/* The tables of a model: of its layers, and of those with a sliding window, where they turn otherwise. */
enum rope_table { ROPE_LAYERS, ROPE_WINDOW_LAYERS, ROPE_TABLES };

struct rope {
	float *cos, *sin; /* [n_ctx][n_rot / 2] */
	uint32_t n_rot;   /* dimensions of a head that rotate */
	enum rope_pairs pairs;
};

/* m->rope from <arch>.rope.* and the tensors of factors, where there are some. -EINVAL, -ENOTSUP with the key's name. */
int rope_open(struct tensors *t, enum rope_pairs pairs, struct error *e);
void rope_deinit(struct rope *r);
/* What a layer's heads turn by; NULL: they stay where they are. */
const struct rope *rope_of(const struct model *m, uint32_t layer);

#endif
