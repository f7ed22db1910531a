/*
 * The pass of RWKV-6 and RWKV-7, whose layers mix each token with the one before it, then tokens by a linear recurrence of heads, then
 * channels:
 *   x = norm(token_embd[token])
 *   x += Woutput . time_mix(n, n of the token before),  n = norm(x)
 *   x += channel_mix(n, n of the token before),         n = norm(x)
 * with layer norms. What time_mix is its version says (struct rwkv): products of mixed rows, then heads. A row of m->mix.row is
 *   [norm(x)] [v of the first layer] [six mixes with the token before, then what is made of them] [r] [k] [v] [low-rank products]
 * and in the channel mix [norm(x), then the gate] [..] [two mixes] [keys].
 */
#ifndef GYRE_DAEMON_MODEL_RWKV_H
#define GYRE_DAEMON_MODEL_RWKV_H

#include "daemon/model/arch.h"
#include "daemon/model/block.h"
#include "daemon/model/block_mix.h"

#include <stddef.h>

#define RWKV_MIX_MAX   6
#define RWKV_PAIR_MAX  4      /* low-rank pairs */
#define RWKV_HEAD_MAX  256u   /* dimensions of a head */
#define RWKV_GROUP_EPS 64e-5f /* of the norm of heads: files have no key for it */

/* Activations of products. */
void rwkv_tanh(const struct kernels *k, float *y, size_t n);
void rwkv_sigmoid(const struct kernels *k, float *y, size_t n);
/* y[n] = x + (to - x) * by, n up to RWKV_HEAD_MAX; y may be any of them. */
void rwkv_lerp(const struct kernels *k, float *y, const float *x, const float *to, const float *by, size_t n);
/* The sum of a * b * c, likewise, in four chains. */
float rwkv_dot(const struct kernels *k, const float *a, const float *b, const float *c, size_t n);

/* Two products with an activation between them, and what is added. */
struct rwkv_pair {
	const struct tensor *down, *up, *bias;
};

struct rwkv_layer {
	struct mix_in mix; /* the frame's, which asks nothing of it: a stage finds its layer by it */
	struct norm time_norm, channel_norm, head_norm;
	const struct tensor *lerp; /* [mixes][n_embd] */
	const struct tensor *lerp_x, *lerp_w1,
		*lerp_w2; /* of RWKV-6: what is added to lerp by token; w2: a matrix for each mix */
	const struct tensor *r, *k, *v, *gate;
	struct rwkv_pair pair[RWKV_PAIR_MAX];
	const struct tensor *first, *k_k, *k_a, *r_k; /* [n_embd] */
	struct residual_in output;
	const struct tensor *channel_lerp[2]; /* of the keys, of the gate; NULL: there is none */
	const struct tensor *channel_key, *channel_gate;
	struct residual_in channel_value;
};

#define RWKV(tensor_name, field, ...)                                                      \
	{                                                                                  \
		.name = tensor_name, .at = offsetof(struct rwkv_layer, field), __VA_ARGS__ \
	}
#define RWKV_VECTOR(tensor_name, field) RWKV(tensor_name, field, .axis = PLAN_VECTOR, .width = VECTOR_EMBD)
#define RWKV_MATRIX(tensor_name, field, rows, columns) \
	RWKV(tensor_name, field, .axis = PLAN_ROW, .n_row = rows, .width = columns)
#define RWKV_SQUARE(tensor_name, field) RWKV_MATRIX(tensor_name, field, VECTOR_EMBD, VECTOR_EMBD)

/* Rows of both versions' tables. */
#define TENSORS_RWKV                                                                                                   \
	RWKV_VECTOR("attn_norm.weight", time_norm.w), RWKV_VECTOR("attn_norm.bias", time_norm.bias),                   \
		RWKV_VECTOR("attn_norm_2.weight", channel_norm.w), RWKV_VECTOR("attn_norm_2.bias", channel_norm.bias), \
		RWKV_VECTOR("time_mix_ln.weight", head_norm.w), RWKV_VECTOR("time_mix_ln.bias", head_norm.bias),       \
		RWKV_SQUARE("time_mix_receptance.weight", r), RWKV_SQUARE("time_mix_key.weight", k),                   \
		RWKV_SQUARE("time_mix_value.weight", v), RWKV_SQUARE("time_mix_output.weight", output.w),              \
		RWKV_VECTOR("channel_mix_lerp_k.weight", channel_lerp[0]),                                             \
		RWKV_MATRIX("channel_mix_key.weight", channel_key, VECTOR_FF, VECTOR_EMBD),                            \
		RWKV_MATRIX("channel_mix_value.weight", channel_value.w, VECTOR_EMBD, VECTOR_FF)

/* Columns of a row. */
enum { RWKV_NORM, RWKV_V_FIRST, RWKV_MIX, RWKV_R = RWKV_MIX + RWKV_MIX_MAX, RWKV_K, RWKV_V, RWKV_LOW };

static inline uint32_t rwkv_at(const struct model *m, uint32_t column)
{
	return column * m->hp.n_embd;
}

/* A head of a row, of a layer: its first channel, and how many it has. */
struct rwkv_head {
	const struct seat *s;
	const struct rwkv_layer *l;
	uint32_t index, at, n;
	float *row;
};

/* The head's channels of a column, and of a vector of the layer's; t NULL: NULL. */
static inline float *rwkv_of(const struct rwkv_head *h, uint32_t column)
{
	return h->row + rwkv_at(h->s->m, column) + h->at;
}
static inline const float *rwkv_vector(const struct rwkv_head *h, const struct tensor *t)
{
	return (const float *)t->part[h->s->team->index].data + h->at;
}

/* What a version does. */
struct rwkv {
	struct mixer mixer; /* for the frame: what a node keeps */
	/* From the mixed rows to what heads take; ends with a barrier. */
	void (*products)(const struct seat *s, int lap, const struct rwkv_layer *l, uint32_t layer);
	/* A head of a row before the recurrence, which inputs it takes from the row, and after it: from y to what the output product takes. */
	void (*before)(const struct rwkv_head *h);
	struct recur (*inputs)(const struct rwkv_head *h);
	void (*after)(const struct rwkv_head *h);
	enum recur_form form;
	uint32_t n_mix, y; /* y: its column */
	/* Columns of the low-rank products, and of what else a version keeps behind them. */
	uint32_t (*n_low)(const struct hparams *hp);
};

extern const struct pass rwkv_pass;
size_t rwkv_state_bytes(const struct model *m, uint32_t node);

/*
 * Columns RWKV_MIX + k, k < n_mix: n + lerp * (n of the token before - n), n being column RWKV_NORM. A lerp is of the layer; where
 * is_by_token what the column has already is added to it.
 */
struct rwkv_shift {
	const struct tensor *lerp[2]; /* a vector of each mix .. */
	const struct tensor *all;     /* or one of all */
	uint32_t n_mix;
	bool is_by_token, is_last,
		is_of_channels; /* is_last: the rows are kept for the next step, and none before them is wanted */
};
void rwkv_mix(const struct seat *s, int lap, const struct rwkv_shift *shift, uint32_t layer);

/* Reads hparams.wkv but its ranks. -EINVAL, -ENOTSUP with what is wrong. */
int rwkv_read(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e);

#endif
