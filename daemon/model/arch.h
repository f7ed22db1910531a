/*
 * Inside daemon/model: what an architecture implements, and the state its forward pass works on. Everything is made by
 * model_open and only read afterwards, but for the scratch arrays, which belong to one step. All workers see one struct
 * model; what a worker may write is its own columns of a scratch array between two barriers, and worker[i]. What a node owns
 * (weights, KV heads, columns) only its own workers touch, but for the sums and the packed rows that the nodes exchange.
 */
#ifndef GYRE_DAEMON_MODEL_ARCH_H
#define GYRE_DAEMON_MODEL_ARCH_H

#include "daemon/model/model.h"
#include "daemon/model/reduce.h"
#include "daemon/team/share.h"

/* Panels that one pass over the token tiles reads: half of a small L2. */
#define PANEL_GROUP_BYTES (512u << 10)
/* With fewer attention items than this per worker, the chunks of a sequence are spread as well. */
#define SPLIT_ITEMS 4u

struct arch {
	const char *name; /* general.architecture */
	/* What a tensor of that name is divided along. */
	enum plan_axis (*axis)(const char *name, size_t n);
	/* Reads what is this architecture's own, finds its tensors and checks their shapes. */
	int (*open)(struct model *m, const struct weights *w, struct error *e);
	/* SPMD: the pass over m->batch. */
	void (*forward)(struct model *m, int worker);
};

extern const struct arch arch_llama;
/* NULL: none of that name. */
const struct arch *arch_find(const char *name, size_t n);
/* The i-th row of the table, NULL past the end. */
const struct arch *arch_at(size_t i);

struct layer {
	const struct tensor *attn_norm, *attn_q, *attn_k, *attn_v, *attn_output;
	const struct tensor *ffn_norm, *ffn_gate, *ffn_up, *ffn_down;
};

/* Packed activations of n_row rows: tiles of ACT_TILE rows, for each kind that some product wants. */
struct act {
	uint8_t *tile[ACT_KIND_MAX];
	size_t tile_bytes[ACT_KIND_MAX]; /* from one tile to the next; depends on n_col */
	uint32_t n_row, col0;
};

/* Partial results of attention for up to ATTN_TILE queries. */
struct partial {
	float *o;     /* [n_chunk][ATTN_TILE][head_dim] */
	float *m, *l; /* [n_chunk][ATTN_TILE] */
};

struct scratch {
	struct act act;                  /* what was packed last */
	uint8_t *tile_mem[ACT_KIND_MAX]; /* one tile */
	float *norm;                     /* [ACT_TILE][x_stride] */
	float *x;                        /* this step's residual stream: m->x, or own_x (reduce_is_own) */
	float *own_x;                    /* [ACT_TILE][x_stride]; NULL: never wanted */
	const struct plan_sum *pending;  /* partial sums that x waits for; NULL: none */
	float *attn;                     /* [ATTN_SCRATCH] */
	float *merge;                    /* [2][n_chunk_max] */
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

/* What one node has of a step's arrays. */
struct node {
	uint32_t n_head, n_head_kv;
	uint32_t qkv0;        /* column of m->qkv where its q heads begin; then its k heads and its v heads */
	uint32_t att0;        /* column of m->att where its heads begin */
	struct head_set *set; /* [n_set] */
	uint32_t n_set;
	uint8_t *tile_mem
		[ACT_KIND_MAX]; /* tiles of n_row_max rows, packed by its workers together; node 0's: by all workers */
	uint8_t *kv;            /* [n_layer][n_head_kv][K, V][n_kv_block] */

	/* This step. */
	uint32_t n_pair; /* pairs: (group, set) */
	bool is_split;   /* chunks of a pair go to several workers */
};

struct model {
	struct hparams hp;
	const struct plan *plan;
	const struct arch *arch;
	const struct kernels *k;
	uint32_t n_ctx, n_row_max, n_logit_max, n_thread;

	const struct tensor *token_embd, *output_norm, *output;
	struct layer *layer; /* [n_layer] */
	float *cos, *sin;    /* [n_ctx][n_rot / 2] */

	uint32_t x_stride;   /* n_embd up to a multiple of PANEL_ROWS; likewise ff_stride */
	uint32_t qkv_stride; /* of each node its q heads, k heads, v heads of a row */
	uint32_t ff_stride, n_chunk_max;
	size_t n_kv_block;
	float *x;             /* [n_row_max][x_stride]: residual stream, where workers share one */
	float *qkv;           /* [n_row_max][qkv_stride] */
	float *att;           /* [n_row_max][n_head * head_dim] */
	float *gate, *up;     /* [n_row_max][ff_stride] */
	struct reduce reduce; /* of partial sums [n_row_max][x_stride] */
	uint32_t n_sum;
	struct node node[NODE_MAX];
	struct partial *partial;  /* [SPLIT_ITEMS * n_thread] */
	struct scratch *scratch;  /* [n_thread] */
	struct share_slot *share; /* [n_thread] */
	struct attn_group *group; /* [n_row_max] */

	enum kv_type kv_type;

	/* This step. */
	struct team *team;
	struct batch *batch;
	uint32_t n_run; /* steps so far */
	uint32_t n_group;
	bool is_split; /* on some node */
};

/* keys.c: -ENOTSUP with the name of a key that asks for what gyre does not compute. */
int keys_check(const struct gguf *g, const char *arch, struct error *e);

/* hparams.c: metadata every decoder has. -EINVAL with the key's name. */
int hparams_read(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e);

/* rope.c: fills m->cos, m->sin from <arch>.rope.*; freq_factor[n_rot / 2] or NULL. */
int rope_init(struct model *m, const struct gguf *g, const char *arch, const float *freq_factor, struct error *e);

/* tensors.c: a matrix between the residual stream and an axis of the plan, or a vector [n_col], checked. NULL and e is set
 * otherwise. */
const struct tensor *tensor_matrix(const struct model *m, const struct weights *w, const char *name,
				   enum plan_axis axis, struct error *e);
const struct tensor *tensor_vector(const struct weights *w, const char *name, uint32_t n_col, struct error *e);

/* A worker's node. */
struct node *model_node(struct model *m, int worker);

/* linear.c */
struct act_source {
	const float *x; /* [..][stride] */
	size_t stride;
	const uint32_t *row; /* which rows; NULL: 0..n_row-1 */
	uint32_t n_row, n_col;
	uint32_t col0;     /* of the first column within the products' columns */
	const float *norm; /* RMS norm by these weights first; NULL: as they are */
	uint32_t kinds;    /* bit mask of enum act_kind */
	bool is_own;       /* columns of the worker's node: packed by its workers, for them */
};
uint32_t linear_kind(const struct tensor *t);
/*
 * Packs a source; all workers call it, and it may hold barriers. The result is valid up to the next barrier but one. First it
 * brings x up to date with the partial sums of the product before: rows that are packed by one worker for all by that worker.
 */
const struct act *linear_pack(struct model *m, int worker, const struct act_source *s);
/* y[n_row][16*panel0 .. 16*panel1) = W . x, of the part's own panels and columns; y is where its first row goes. */
void linear_mul(const struct model *m, const struct act *a, const struct tensor *w, const struct tensor_part *part,
		float *y, size_t y_stride, size_t panel0, size_t panel1);
/* A share-out among the node's workers of n_items, each item_panels panels of n_col columns of w, to be multiplied with a. */
void linear_share(struct share *s, const struct model *m, int worker, const struct act *a, const struct tensor *w,
		  size_t n_col, size_t n_items, size_t item_panels);
/* x += W . src, where W is divided by columns and the source is its own columns of m->att or m->gate; complete only after a
 * barrier and the next linear_pack of x. */
void linear_residual(struct model *m, int worker, const struct tensor *w, const float *src, size_t src_stride);

/* fault.c: batch->fault_layer. */
void fault_find(const struct model *m, struct batch *b);

/* attention.c */
void attention_plan(struct model *m);
/* A node's head sets. false: no memory. */
bool attention_sets(struct model *m, struct node *n, const struct plan_node *p);
/* A node's KV memory. */
struct kv_mem attention_kv(const struct model *m, const struct node *n);
/* Stores rotated k and v of one of the node's KV heads for all rows of the batch. */
void attention_store(struct model *m, const struct node *n, uint32_t layer, uint32_t head_kv, const float *k,
		     const float *v);
/* m->qkv and the KV pool -> m->att. SPMD; ends before the barrier that makes m->att readable. */
void attention_run(struct model *m, uint32_t layer, int worker);

#endif
