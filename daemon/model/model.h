/*
 * A model: hyper-parameters and tensors taken from the weights, and the forward pass over a batch. The architecture is a
 * row of arch_table.c; whatever the file lacks, or has in another shape, is refused at open by the tensor's name.
 *
 * Logits are a function of the weights and of each sequence's tokens, bit for bit: not of the number of workers, of what
 * else rides in the batch, of how a prompt was cut into steps, nor of the ISA.
 */
#ifndef GYRE_DAEMON_MODEL_MODEL_H
#define GYRE_DAEMON_MODEL_MODEL_H

#include "daemon/flow/batch.h"
#include "daemon/kv/kv.h"
#include "daemon/team/team.h"
#include "daemon/util/error.h"
#include "daemon/weights/weights.h"
#include "kernels/kernels.h"

#define LAYER_MAX 1024u

/* What a layer has or does, a bit each. */
enum layer_kind {
	LAYER_ATTENTION = 1 << 0,
	LAYER_WINDOW = 1 << 1, /* it sees hparams.n_window positions */
	LAYER_TURN = 1 << 2,   /* its heads turn by their position */
	LAYER_STATE = 1 << 3,  /* a recurrence or a convolution */
	LAYER_FF = 1 << 4,     /* a feed-forward of all tokens */
	LAYER_EXPERTS = 1 << 5,
	LAYER_SHARED = 1 << 6, /* beside its experts one of all tokens */
	LAYER_TEMPER = 1 << 7, /* its queries have a temperature, where hparams.temp_scale says one */
};

/* How a router's logits become an expert's weight; the numbers are GGUF's. */
enum gating {
	GATING_SOFTMAX = 1,
	GATING_SIGMOID = 2,
	GATING_SOFTMAX_CHOSEN = 3, /* over the chosen alone */
};

/* The heads of a layer. */
struct head_shape {
	uint32_t n_head, n_head_kv, head_dim;
	uint32_t n_rot; /* dimensions that rotate */
};

/* Of which a model has two at most: of its layers, and of those with a window, where it is another. */
enum head_shapes { HEADS_LAYERS, HEADS_WINDOW_LAYERS, HEAD_SHAPES };

struct hparams {
	uint32_t n_embd, n_layer, n_head, n_head_kv, head_dim, n_ff, n_vocab;
	uint32_t n_ctx_train;
	uint32_t pooling_type;          /* of vectors, in llama.cpp's numbers; 0: none is said */
	uint32_t n_nextn;               /* blocks behind the last layer that predict further tokens: left out */
	uint32_t n_rot;                 /* dimensions of a head that rotate */
	uint32_t n_window;              /* positions that a query sees, in the layers that are LAYER_WINDOW; 0: all */
	bool has_window_grid;           /* these are the ones from the last multiple of n_window on, up to its own */
	uint32_t n_per_layer;           /* numbers of a token that each layer takes in; 0: none */
	uint32_t n_shared_kv;           /* so many layers, the last, read K and V of a layer before them */
	uint32_t ff[LAYER_MAX];         /* [n_layer] columns of a layer's feed-forward, where they differ; 0: n_ff */
	struct head_shape window_heads; /* of the layers that are LAYER_WINDOW; head_dim 0: the same as all others' */
	uint8_t kind[LAYER_MAX];        /* [n_layer] bits of enum layer_kind */
	uint32_t n_expert, n_expert_used, n_ff_expert; /* 0: none */
	uint32_t n_ff_shared;                          /* of the expert of all tokens; 0: none */
	uint32_t n_group,
		n_group_used; /* they are chosen from the best n_group_used of n_group runs; 1 and 1: from all */
	enum gating gating;
	bool is_expert_normed; /* weights of a token's experts become a part of their sum */
	float expert_scale;    /* then they are scaled */
	/* Of what mixes tokens in the layers that are LAYER_STATE, in GGUF's words; 0: there is none. */
	struct {
		uint32_t conv_kernel;    /* taps of its convolution */
		uint32_t inner_size;     /* channels, of all heads */
		uint32_t state_size;     /* key dimensions */
		uint32_t time_step_rank; /* heads, or the rank of what makes channels' steps */
		uint32_t group_count;    /* of heads that share their keys */
		bool is_normed;          /* dt_b_c_rms: a channel's step, and its keys, are normed */
	} ssm;
	/* Of RWKV's; 0: another. */
	struct {
		uint32_t head_size;
		uint32_t rank[4];   /* of its low-rank pairs */
		uint32_t n_rescale; /* behind every so many layers the residual stream is halved; 0: nowhere */
	} wkv;
	float norm_eps;
	float embd_scale, residual_scale, logit_scale; /* of the embedding, of what a block adds, of logits; 1: none */
	float attn_scale;                              /* of q.k */
	/* The temperature of a query at pos: 1 + temp_scale * ln(1 + floor((pos + temp_first) / temp_length)); temp_scale 0: none. */
	float temp_scale;
	uint32_t temp_length, temp_first;
	float attn_cap, logit_cap; /* x becomes cap * tanh(x / cap); 0: it stays */
};

struct model_options {
	uint32_t n_row_max;   /* rows in one step */
	uint32_t n_logit_max; /* logit rows in one step */
	uint32_t n_thread;    /* largest team that will run it */
	uint32_t
		n_ctx; /* positions of a sequence at most; 0: n_ctx_train, or where a window that is not obeyed begins to matter */
	enum kvq_type kv_type; /* how K and V are stored */
};

struct model;

/* How a model's file is divided between nodes: weights_options.plan. What is fused in it is cut
 * (cut.h), for whoever looks at its tensors then. -ENOTSUP, -EINVAL: what is wrong with the file. */
int model_plan(struct plan *p, struct gguf *g, uint32_t n_node, struct error *e);

/* Whether model_open would take a file's tensors, as far as can be known of matrices without their data: weights_options.check. */
int model_check(const struct weights *w, struct error *e);

/* The weights, loaded with model_plan, and the kernel table stay the caller's and outlive the model. */
int model_open(struct model **mp, const struct weights *w, const struct kernels *k, const struct model_options *o,
	       struct error *e);
/* NULL does nothing. Returns NULL. */
struct model *model_close(struct model *m);

/* The context that a file has where none is asked for (model_options.n_ctx 0); 0: it is none that gyre reads. */
uint32_t model_default_ctx(const struct gguf *g);
const struct hparams *model_hparams(const struct model *m);
/* What its architecture calls its parts of the profile, [PROFILE_MODEL_MAX]; NULL past the last. */
const char *const *model_laps(const struct model *m);
uint32_t model_n_ctx(const struct model *m);
uint32_t model_n_node(const struct model *m);
/* How many positions a row sees in any layer, itself included: what lies behind is never read again. 0: all. */
uint32_t model_window(const struct model *m);
/* K and V of all layers and of the node's heads for KV_BLOCK positions; a multiple of 64, 0 if it has none. */
size_t model_kv_block_bytes(const struct model *m, uint32_t node);
/* Once it has memory: how a node's lies. */
struct kv_mem model_kv_mem(const struct model *m, uint32_t node);
/* Bytes of a block on all nodes. */
size_t model_kv_bytes(const struct model *m);
/* The states of all layers of a sequence, a slot, on a node; a multiple of 64, 0 if it has none. */
size_t model_state_bytes(const struct model *m, uint32_t node);
/* Bytes of a slot on all nodes; 0: its sequences need none. */
size_t model_slot_bytes(const struct model *m);
/* Positions of a block: KV_BLOCK; where nothing is kept by position, the context, and a block takes no byte. */
uint32_t model_block_len(const struct model *m);
/* Memory for n_block blocks of all nodes, one node's behind the other's (kv/kv.h says how a node's lie); 64-byte aligned. */
void model_set_kv(struct model *m, void *mem, size_t n_block);
/* Likewise for n_slot slots of all nodes. */
void model_set_states(struct model *m, void *mem, size_t n_slot);
/* Both from a pool for each node, bound to where the layout says: its blocks, then its slots. The caller unmaps pool[]. */
int model_map_kv(struct model *m, const struct layout *l, size_t n_block, size_t n_slot, struct pool pool[NODE_MAX],
		 struct error *e);
/* As model_map_kv, but pages are left out where they are not of hugetlb: model_populate_kv and model_populate_slots take them. */
int model_reserve_kv(struct model *m, const struct layout *l, size_t n_block, size_t n_slot, struct pool pool[NODE_MAX],
		     struct error *e);
/* The parts that a block has a piece of, on all nodes: what model_populate_kv counts in. */
size_t model_n_kv_part(const struct model *m);
/* Blocks whose pieces of a part fill a page of the largest kind that is populated by use. */
uint32_t model_kv_page_blocks(const struct model *m);
/* Makes the pages of blocks [first, end) of one part present. Any number of threads. 0 or -errno. */
int model_populate_kv(const struct model *m, const struct pool pool[NODE_MAX], size_t part, uint32_t first,
		      uint32_t end);
/* Makes the pages of slots [first, end) of one node present. 0 or -errno. */
int model_populate_slots(const struct model *m, const struct pool pool[NODE_MAX], uint32_t node, uint32_t first,
			 uint32_t end);

/*
 * Runs batch rows 0..n_row-1 through the model: stores their K and V in the sequences' blocks, moves the states in their slots on, and writes batch->logits for
 * the n_logit rows of batch->logit_row. Columns n_vocab.. of a logit row are zero. Rows of a sequence are consecutive and
 * ascend in position; a block that is written here has one holder, a slot one sequence. Allocates nothing.
 */
void model_forward(struct model *m, struct team *t, struct batch *b);

#endif
