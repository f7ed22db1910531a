/*
 * A model's tensors, found by name while it is opened, and checked: what the file lacks, has in another shape, or has beyond
 * what the architecture asks for is refused by its name. A tensor may be asked for twice (a tied embedding).
 */
#ifndef GYRE_DAEMON_MODEL_TENSORS_H
#define GYRE_DAEMON_MODEL_TENSORS_H

#include "daemon/model/state.h"

/* How long a vector is, or a side of a matrix that is divided by PLAN_ROW. */
enum vector_width {
	VECTOR_NONE,         /* it is a matrix */
	VECTOR_ONE,          /* 1 */
	VECTOR_PER_LAYER,    /* n_per_layer */
	VECTOR_EMBD,         /* n_embd: a norm of the residual stream */
	VECTOR_HEAD_DIM,     /* head_dim: a norm of each head */
	VECTOR_N_HEAD,       /* n_head: a number of each query head */
	VECTOR_HEADS,        /* n_head * head_dim: a bias of the query heads */
	VECTOR_HEADS_KV,     /* n_head_kv * head_dim: of the key or value heads */
	VECTOR_FF,           /* n_ff */
	VECTOR_FF_EXPERT,    /* n_ff_expert: of each expert */
	VECTOR_EMBD_THRICE,  /* 3 * n_embd */
	VECTOR_SSM_TAPS,     /* ssm.conv_kernel */
	VECTOR_SSM_CHANNELS, /* keys of all groups twice, and inner_size: what a convolution takes */
	VECTOR_SSM_INNER,    /* ssm.inner_size */
	VECTOR_SSM_RANK,     /* ssm.time_step_rank */
	VECTOR_SSM_RANKS,    /* twice that */
	VECTOR_SSM_HEAD,     /* inner_size / time_step_rank */
	VECTOR_FF_SHARED,    /* n_ff_shared: of the expert of all tokens */
	VECTOR_EXPERTS,      /* n_expert */
	VECTOR_EXPERTS_FF,   /* n_expert * n_ff_expert: a bias of each */
	VECTOR_EXPERTS_EMBD, /* n_expert * n_embd */
	VECTOR_SSM_KEYS,     /* ssm.state_size */
	VECTOR_MAMBA_IN,     /* inner_size twice: x, z */
	VECTOR_MAMBA_X,      /* time_step_rank and state_size twice: dt, B, C */
	VECTOR_MAMBA2_IN,    /* inner_size, all channels and time_step_rank: z, x B C, dt */
	VECTOR_EMBD5,        /* 5 * n_embd */
	VECTOR_EMBD6,        /* 6 * n_embd */
	VECTOR_WKV_RANK0,    /* wkv.rank[0] and so on */
	VECTOR_WKV_RANK1,
	VECTOR_WKV_RANK2,
	VECTOR_WKV_RANK3,
	VECTOR_WKV_RANKS, /* 5 * wkv.rank[1] */
};

/* A tensor that layers have. */
struct layer_tensor {
	const char *name;        /* behind "blk.N." */
	size_t at;               /* in the architecture's layer: a const struct tensor * */
	enum plan_axis axis;     /* of a matrix */
	enum vector_width width; /* of a vector; of a matrix of PLAN_ROW its columns */
	enum vector_width n_row; /* of a matrix of PLAN_ROW, or of PLAN_COPY */
	bool is_of_experts;      /* as many of them as there are experts, in one tensor */
	uint8_t n_matrix;        /* or so many, of n_row and width; 0: one */
	uint8_t in;              /* only layers that have one of these bits of enum layer_kind have it; 0: all */
	bool is_behind;          /* the first layer has none, or has it to fill a place, in any shape */
	bool is_optional;        /* where the file has none, the layer's pointer is NULL */
};

struct arch;

struct tensors {
	struct model *m;
	const struct weights *w;
	bool *is_used; /* [gguf_n_tensor] */
};

int tensors_init(struct tensors *t, struct model *m, const struct weights *w, struct error *e);
void tensors_deinit(struct tensors *t);

uint32_t tensors_width(const struct hparams *hp, enum vector_width width);
/* NULL: the file has none of that name. Else it counts as used. */
const struct tensor *tensors_find(struct tensors *t, const char *name);
/* A matrix between the residual stream and an axis of the plan, or a vector [n_col]. NULL and e is set otherwise. */
const struct tensor *tensors_matrix(struct tensors *t, const char *name, enum plan_axis axis, struct error *e);
/* A matrix that is divided by PLAN_ROW, or not at all. */
const struct tensor *tensors_rows(struct tensors *t, const char *name, uint32_t n_row, uint32_t n_col, struct error *e);
const struct tensor *tensors_vector(struct tensors *t, const char *name, uint32_t n_col, struct error *e);

/* What a pass begins and ends with: token_embd, output_norm, and output, which is token_embd where the file has none. */
int tensors_open_ends(struct tensors *t, struct error *e);
/* The architecture's rows of all layers, into m->layer. */
int tensors_open_layers(struct tensors *t, struct error *e);
/* -ENOTSUP: the file has one that nobody asked for, a part of the model that would be left out. */
int tensors_check_unused(const struct tensors *t, struct error *e);

/* -EINVAL, -ENOTSUP: tensors of experts that are not as many, or not as large, as the metadata say. */
int tensors_check_experts(const struct arch *arch, const struct hparams *hp, const struct gguf *g, struct error *e);

/* struct plan.axis of a file's architecture. */
enum plan_axis tensors_axis(const struct plan *p, const char *name, size_t n);

#endif
