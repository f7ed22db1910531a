/*
 * The state that a forward pass works on. Everything is made by model_open and only read afterwards, but for the scratch
 * arrays, which belong to one step. All workers see one struct model; what a worker may write is its own columns of a scratch
 * array between two barriers, and scratch[i]. What a node owns (weights, KV heads, columns) only its own workers touch, but
 * for the sums and the packed rows that the nodes exchange.
 */
#ifndef GYRE_DAEMON_MODEL_STATE_H
#define GYRE_DAEMON_MODEL_STATE_H

#include "daemon/model/memory.h"
#include "daemon/model/model.h"
#include "daemon/model/reduce.h"
#include "daemon/model/rope.h"
#include "daemon/team/share.h"

/* n, up to whole panels. */
static inline uint32_t state_pad(uint32_t n)
{
	return (n + PANEL_ROWS - 1) / PANEL_ROWS * PANEL_ROWS;
}

/* With fewer attention items than this per worker, the chunks of a sequence are spread as well. */
#define SPLIT_ITEMS 4u

#define MIX_PROJ_MAX 4 /* products of what mixes tokens */

/* Packed activations of n_row rows: tiles of up to ACT_TILE rows, for each kind that some product wants. */
struct act {
	uint8_t *tile[ACT_KIND_MAX];
	size_t row_bytes
		[ACT_KIND_MAX]; /* a tile that begins with row r lies r times this behind the first; depends on n_col */
	uint32_t n_row, col0;
};

/* Partial results of attention for up to ATTN_TILE queries. */
struct partial {
	float *o;     /* [n_chunk][ATTN_TILE][head_dim] */
	float *m, *l; /* [n_chunk][ATTN_TILE] */
};

/* What a norm multiplies with, and adds; w NULL: there is no norm. */
struct norm {
	const struct tensor *w, *bias; /* bias NULL: none */
};

/* What was computed beside what is added to x, into m->aside: it is normed, then the sum of both is; w NULL: there is none. */
struct beside {
	struct norm norm, both;
};

/* The residual stream as one worker sees it (residual.h). */
struct residual {
	float *x;                       /* this step's: m->x, or own */
	float *own;                     /* [ACT_TILE][x_stride]; NULL: never wanted */
	float *branch;                  /* [2][x_stride]: a row before it is normed and added; what is beside it */
	const struct plan_sum *pending; /* partial sums that x waits for; NULL: none */
	const float *bias;              /* [n_embd] of what is pending; NULL: none */
	const struct norm *norm;        /* of it and its bias; NULL: none */
	const struct beside *beside;    /* what else is added, with a norm; NULL: nothing */
	float scale;                    /* of x, once what is pending and normed is added; 1: it stays */
};

struct scratch {
	struct act act;                  /* what was packed last */
	struct experts_own *experts;     /* experts.h; NULL: there are none */
	uint8_t *tile_mem[ACT_KIND_MAX]; /* one tile */
	float *norm;                     /* [ACT_TILE][x_stride] */
	float *embd;                     /* [per_layer.stride] */
	float *wide;                     /* [n_row_max]: what a norm over all heads multiplies a row by */
	struct residual residual;
	float *attn;  /* [ATTN_SCRATCH] */
	float *merge; /* [2][n_chunk_max] */
	struct partial partial;
} __attribute__((aligned(64)));

/* Rows of one sequence that attend together. */
struct attn_group {
	uint32_t seq, row0, n_row;
	uint32_t n_chunk;
};

/* Query heads that attend together: they share a KV head, and are at most ATTN_TILE. */
struct head_set {
	uint32_t head_kv, head0, n_head; /* numbers within the node */
};

/* What one node has of the heads of one shape. */
struct node_heads {
	uint32_t n_head, n_head_kv;
	uint32_t head0;       /* of all nodes' query heads the first that it has */
	uint32_t qkv0;        /* column of m->qkv where its q heads begin; then its k heads and its v heads */
	uint32_t gate0;       /* and where its q heads' gates do, if they have some */
	uint32_t att0;        /* column of m->att where its heads begin */
	struct head_set *set; /* [n_set] */
	uint32_t n_set;

	/* This step. */
	uint32_t n_pair; /* pairs: (group, set) */
	bool is_split;   /* chunks of a pair go to several workers */
};

/* Rows that attend together, where heads have one shape. */
struct attn_rows {
	struct attn_group *group; /* [n_row_max]; NULL: no layer has the shape */
	uint32_t n_group;
	bool is_split; /* on some node */
};

/* What one node has of a step's arrays. */
struct node {
	struct node_heads heads[HEAD_SHAPES];
	uint8_t *tile_mem
		[ACT_KIND_MAX]; /* tiles of n_row_max rows, packed by its workers together; node 0's: by all workers */
	struct memory memory;   /* what a sequence keeps here */
};

/* What mixes tokens in the layers that are LAYER_STATE (block_mix.h). */
struct mix {
	const struct mixer *mixer; /* NULL: the model has no such layer */
	uint32_t
		at[MIX_PROJ_MAX]; /* columns of a row where its products begin; all start at a multiple of PANEL_ROWS */
	uint32_t more;            /* where what else its stages want does */
	uint32_t y;               /* where the source of its output product does */
	uint32_t stride;
	float *row; /* [n_row_max][stride] */
};

/* Numbers of each token for each layer (block_per_layer.c). */
struct per_layer {
	const struct tensor *embd, *proj; /* NULL: the model has none */
	struct norm norm;
	uint32_t stride; /* n_layer * n_per_layer, up to a multiple of PANEL_ROWS */
	float *row;      /* [n_row_max][stride] */
};

struct model {
	struct hparams hp;
	const struct plan *plan;
	const struct arch *arch;
	const struct kernels *k;
	uint32_t n_ctx, n_row_max, n_logit_max, n_thread;

	const struct tensor *token_embd, *output;
	struct norm output_norm;
	struct norm embd_norm; /* arch.has_embd_norm */
	void *layer;           /* [n_layer] of what the architecture keeps of one */
	float *temperature; /* [n_ctx] what queries are multiplied with by their position (temperature.h); NULL: nothing */
	struct rope rope[ROPE_TABLES];

	uint32_t x_stride;   /* n_embd up to a multiple of PANEL_ROWS; likewise ff_stride */
	uint32_t qkv_stride; /* of each node its q heads, k heads, v heads of a row */
	uint32_t att_stride; /* n_head * head_dim, the larger of two shapes */
	uint32_t ff_stride, n_chunk_max;
	size_t n_kv_block;
	float *x;         /* [n_row_max][x_stride]: residual stream, where workers share one */
	float *qkv;       /* [n_row_max][qkv_stride] */
	float *att;       /* [n_row_max][att_stride] */
	float *gate, *up; /* [n_row_max][ff_stride] */
	float *aside; /* [n_row_max][x_stride]: a product that is added together with the next (block_residual.c); NULL: there is none */
	struct mix mix;
	float *square; /* [n_head + n_head_kv][n_row_max]: of each head of q and k the sum of its squares, where a norm goes over all */
	struct per_layer per_layer;
	struct reduce reduce; /* of partial sums [n_row_max][x_stride] */
	uint32_t n_sum;
	struct node node[NODE_MAX];
	struct partial *partial;  /* [SPLIT_ITEMS * n_thread] */
	struct scratch *scratch;  /* [n_thread] */
	struct share_slot *share; /* [n_thread] */
	struct experts *experts;  /* experts.h; NULL: there are none */
	struct attn_rows rows[HEAD_SHAPES];

	enum kvq_type kv_type;

	/* This step. */
	struct team *team;
	struct batch *batch;
	uint32_t n_run; /* steps so far */
};

#endif
