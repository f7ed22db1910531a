/*
 * A model's weights: read from its GGUF files with deep io_uring reads, packed into panels (kernels/quant.h) by a few threads
 * while the reading goes on, and read-only from then on. Loaded on the control thread before the daemon says ready.
 *
 * The plan says which part of a tensor is whose: each node's parts lie in its own pool, a packed matrix each.
 */
#ifndef GYRE_DAEMON_WEIGHTS_WEIGHTS_H
#define GYRE_DAEMON_WEIGHTS_WEIGHTS_H

#include "daemon/team/plan.h"
#include "daemon/util/error.h"
#include "daemon/gguf/gguf.h"
#include "daemon/weights/pool.h"
#include "kernels/kernels.h"

#define WEIGHTS_EXPERT_MAX 4096u /* matrices of a tensor; in use: up to 512 */

/* Rows [row0, row0 + n_row) and columns [col0, col0 + n_col) of a tensor; of one of experts, of each. */
struct tensor_part {
	void *data; /* matrix: packed panels; vector: f32[n_col]. 64-byte aligned, as each expert is: weights_expert */
	uint32_t node; /* whose pool it lies in */
	uint32_t row0, n_row, col0, n_col;
	uint32_t n_expert;    /* the tensor's */
	size_t stride;        /* bytes from one expert to the next */
	struct chunks chunks; /* how its columns are added up: the plan's, or one */
};

struct tensor {
	uint32_t type;         /* enum quant_type; QUANT_F32 for 1-D */
	uint32_t n_row, n_col; /* 1-D: n_row = 1; 3-D: of each expert */
	uint32_t n_expert;     /* 3-D: matrices, [n_expert][n_row][n_col]; else 1 */
	bool is_vector;        /* 1-D, of any type in the file: a matrix of one row is packed, and is none */
	enum plan_axis axis;
	/* Axes that end in K: one for each partial sum. Else one for each node, which may be empty (n_row 0). */
	uint32_t n_part;
	struct tensor_part *part;
};

struct weights {
	struct plan plan; /* axis NULL: none, all tensors are whole */
	struct pool pool[NODE_MAX];
	struct gguf *gguf;
	struct tensor *tensor;    /* [gguf_n_tensor], in the file's order */
	struct tensor_part *part; /* of all tensors */
	uint64_t n_bytes;         /* packed bytes in use, in all pools */
	uint64_t read_bytes;      /* bytes read from the files */
	bool is_direct;           /* with O_DIRECT */
	double seconds;           /* to load */
	double pool_seconds;      /* of these, to take the memory */
};

enum weights_direct { WEIGHTS_DIRECT_AUTO, WEIGHTS_DIRECT_NEVER, WEIGHTS_DIRECT_ALWAYS };

struct weights_options {
	/* How the model is divided; NULL: not at all. It may cut tensors (gguf_cut). Its error is weights_load's. */
	int (*plan)(struct plan *p, struct gguf *g, uint32_t n_node, struct error *e);
	/* NULL, or looks at an outline (weights_outline) of what will be loaded, before memory is taken: its error is weights_load's. */
	int (*check)(const struct weights *w, struct error *e);
	const struct layout *layout; /* nodes, and where their memory lies; NULL: one node, anywhere */
	int n_thread;                /* packers; 0: topology_default_threads */
	enum weights_direct direct;  /* AUTO: when the file system takes it and the file is not in the page cache */
	/* NULL, or called once, on a thread of its own, while the tensors are read: for what needs the header alone. It has
	 * returned when weights_load returns, and is not called for a header that is refused. */
	void (*beside)(void *arg, const struct gguf *g);
	void *arg;
};

/* o may be NULL. e says which tensor or which limit, and what to do about it. */
int weights_load(struct weights **wp, const char *path, const struct weights_options *o, struct error *e);
/* The same without reading matrices: their data are addresses that have no memory and read as zeroes. */
int weights_outline(struct weights **wp, const char *path, const struct weights_options *o, struct error *e);
/* NULL: absent. A model that uses a tensor twice (tied embeddings) finds the same one twice: there is one copy. */
const struct tensor *weights_find(const struct weights *w, const char *name);
/* An expert's matrix, [p->n_row][p->n_col] in panels. */
static inline void *weights_expert(const struct tensor_part *p, uint32_t expert)
{
	return (uint8_t *)p->data + expert * p->stride;
}
/* NULL does nothing. Returns NULL. */
struct weights *weights_free(struct weights *w);

#endif
