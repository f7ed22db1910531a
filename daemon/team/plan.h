/*
 * How one model is divided between nodes (tensor parallelism after Shoeybi et al. 2019, "Megatron-LM"): q, k, v, gate, up and the
 * vocabulary by rows, the attention's output and the feed-forward's second product by columns. Computed once, from the model's
 * shape and the number of nodes; data from then on.
 *
 * Experts are feed-forwards of their own, in one tensor [n_expert][n_row][n_col]. All products of an expert are divided by rows
 * (PLAN_ROW), so that every node has a slice of each, and a token's experts keep all nodes busy whichever they are: a slice is a panel
 * of 16 rows at least, whatever the blocks of the columns, and no sum is divided.
 *
 * A product whose columns are divided is a sum over chunks of them, cut by the model's shape alone. Chunk sums meet in one
 * fixed binary tree, so the bits do not depend on the division of work. A node owns consecutive chunks; it adds up
 * whole subtrees, and each of these is one partial sum.
 */
#ifndef GYRE_DAEMON_TEAM_PLAN_H
#define GYRE_DAEMON_TEAM_PLAN_H

#include "daemon/util/error.h"
#include "daemon/machine/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_CHUNKS    8u  /* aimed at: as many as there can be nodes */
#define PLAN_CHUNK_MAX 16u /* up to seven KV heads, each cut into equal parts, make at most 14 */
#define PLAN_DEPTH_MAX 4   /* of the tree over them */

#define PLAN_VOCAB_RANGE 256u /* LOGIT_RANGE of batch.h */

/* The direction in which a tensor is divided. */
enum plan_axis {
	PLAN_COPY,    /* nothing: each node has it whole */
	PLAN_VECTOR,  /* likewise, and it is a vector, whatever axes the file gives it */
	PLAN_HEAD,    /* rows, by query heads */
	PLAN_HEAD_KV, /* rows, by key/value heads */
	PLAN_FF,      /* rows of the feed-forward */
	PLAN_VOCAB,   /* rows, by tokens: whole ranges of PLAN_VOCAB_RANGE */
	PLAN_HEAD_K,  /* columns, by query heads */
	PLAN_FF_K,    /* columns of the feed-forward */
	/* Rows, whatever they are, in whole panels; of each expert, where there are some. Each node takes all columns, so that no sum is
	 * divided: what a product of this axis takes may come from every node. */
	PLAN_ROW,
	/* PLAN_HEAD, PLAN_HEAD_KV and PLAN_HEAD_K of layers whose heads have the second shape. */
	PLAN_HEAD_2,
	PLAN_HEAD_KV_2,
	PLAN_HEAD_K_2
};

struct plan_range {
	uint32_t begin, end;
};

/* The model's dimensions, from its file. n_head, n_ff 0: it has no attention, no feed-forward of these axes. */
struct plan_shape {
	uint32_t n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab;
	uint32_t n_head_kv_2, head_dim_2; /* of some layers, which have as many query heads; 0: of none */
	uint32_t head_block,
		ff_block; /* columns that a block of PLAN_HEAD_K's, of PLAN_FF_K's tensors covers; the largest of their types */
	uint32_t n_expert, n_expert_used,
		n_ff_expert; /* 0: none; these divide nothing, and are for who tells of the plan */
};

/* Chunks of columns, whose sums meet in the tree. */
struct plan_sum {
	uint32_t n_chunk;
	uint32_t cut[PLAN_CHUNK_MAX + 1]; /* chunk c is columns [cut[c], cut[c + 1]) */
	uint32_t n_partial;
	struct plan_range partial[PLAN_CHUNK_MAX]; /* chunks of each partial sum of all nodes, in order */
	struct plan_share {
		struct plan_range col, partial; /* columns; of partial[] */
	} node[NODE_MAX];                       /* the columns and partial sums of each node */
};

struct plan_node {
	struct plan_range head, head_kv; /* a KV head whose query heads two nodes share is on both */
	struct plan_range head_kv_2;     /* likewise; query heads are the same */
	struct plan_range ff, vocab;     /* rows */
};

#define PLAN_LAYER_MAX 1024u

struct plan {
	struct plan_shape shape;
	uint32_t n_node;
	struct plan_sum head, ff; /* PLAN_HEAD_K, PLAN_FF_K */
	struct plan_sum head_2;   /* PLAN_HEAD_K_2: the same heads in each chunk */
	struct plan_sum row;      /* PLAN_ROW: one partial sum, to which each node leaves its rows */
	struct plan_node node[NODE_MAX];
	/* The direction in which a tensor of this architecture is divided, by its name. */
	enum plan_axis (*axis)(const struct plan *p, const char *name, size_t n);
	const void *axis_of;
	uint64_t second[PLAN_LAYER_MAX / 64]; /* a bit for each layer whose heads have the second shape */
};

/* -E2BIG, with the remedy: more nodes than the feed-forward has chunks. axis is left NULL. */
int plan_make(struct plan *p, const struct plan_shape *s, uint32_t n_node, struct error *e);

/* An axis as a layer has it, whose heads may have the second shape. */
enum plan_axis plan_axis_of(const struct plan *p, uint32_t layer, enum plan_axis axis);

/* A node's rows of a matrix of n_row that is divided by PLAN_ROW. */
struct plan_range plan_row_share(const struct plan *p, uint32_t n_row, uint32_t node);
/* Rows of an axis that has them on a node: of PLAN_HEAD and PLAN_HEAD_KV in rows of the tensor. Not of PLAN_ROW. */
struct plan_range plan_rows(const struct plan *p, enum plan_axis axis, uint32_t node);
/* The whole axis: rows, or columns of the axes that end in K. 0 for PLAN_COPY, PLAN_VECTOR and PLAN_ROW. */
uint32_t plan_extent(const struct plan *p, enum plan_axis axis);
/* PLAN_HEAD_K, PLAN_HEAD_K_2 or PLAN_FF_K; else NULL. */
const struct plan_sum *plan_sum(const struct plan *p, enum plan_axis axis);
/* The node that adds up a partial sum. */
uint32_t plan_partial_node(const struct plan_sum *s, uint32_t partial);

/* The tree: the sum over [begin, end), of two or more, is that over [begin, mid) plus that over [mid, end). */
uint32_t plan_mid(uint32_t begin, uint32_t end);

/* The largest share of a node over the mean: 1 is even. */
struct plan_balance {
	double head, ff, vocab, expert; /* expert: of rows of gate and up; of what the model does not have: 1 */
	uint32_t n_copied; /* KV heads that are on more than one node, each counted once for each further one */
};
struct plan_balance plan_balance(const struct plan *p);

#endif
