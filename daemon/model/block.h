/*
 * The blocks that a forward pass is made of, a file block_<b>.c each. A block takes what it needs, not what an architecture has; all workers
 * of the team call it (SPMD) in the same order. Where it says that it ends with a barrier, what it wrote may be read after it by
 * all; its work goes to the part `lap` of the architecture's profile.
 *
 * Packing activations for many rows, or of many columns, costs one more barrier before a product; partial sums of three and more
 * nodes one more before x is read (residual.h).
 */
#ifndef GYRE_DAEMON_MODEL_BLOCK_H
#define GYRE_DAEMON_MODEL_BLOCK_H

#include "daemon/model/route.h"
#include "daemon/model/seat.h"

/* From x to the queries, keys and values of a layer. */
struct heads_in {
	struct norm norm;
	/* k NULL: the layer reads the K and V of another. v NULL: values are what keys are before their norm. */
	const struct tensor *q, *k, *v;
	const struct tensor *q_bias, *k_bias, *v_bias; /* NULL: none */
	struct norm q_norm, k_norm;                    /* of each head, before it turns */
	const struct tensor *q_gate;                   /* of each query head's output (arch.has_q_gate); NULL: none */
	const struct tensor *q_wide, *k_wide; /* of all heads as one row, before they turn: its weights; NULL: none */
	const struct rope *rope;              /* NULL: heads do not turn */
	struct norm q_norm_late, k_norm_late; /* of each head, after it turned */
	const float *temperature;             /* [n_ctx] what q is multiplied with by its position; NULL: nothing */
	bool is_v_normed;                     /* each head of v by a norm without weights; */
	bool is_qk_normed_late;               /* of q and k, after it turned */
};

/* Over what attention goes, beside the layer's K and V. */
struct attention_in {
	const struct tensor *sink; /* [n_head]: one more logit of each head, of no value; NULL: none */
};

/* What is added to x: a product by columns. */
struct residual_in {
	const struct tensor *w, *bias; /* bias NULL: none */
	struct norm norm;              /* of the product and its bias, before it is added */
	const struct tensor *scale;    /* [1] with a norm: x is multiplied by it then; NULL: it stays */
	bool is_aside;                 /* it is left in m->aside, and added with the experts; w is PLAN_ROW */
	const float
		*times; /* [n_row][times_stride] what a product of PLAN_ROW is multiplied with first; NULL: nothing */
	size_t times_stride;
};

/* y[n] = act(gate) * up, or act(up); y may be any of them. */
typedef void gate_fn(float *y, const float *gate, const float *up, size_t n);
typedef void act_fn(float *y, const float *up, size_t n);

/* From x to what the second product of a feed-forward takes. */
struct ffn_in {
	struct norm norm;
	const struct tensor *gate, *up;           /* gate NULL: there is none */
	const struct tensor *gate_bias, *up_bias; /* NULL: none */
	gate_fn *gate_mul;                        /* with a gate */
	act_fn *act;                              /* without; NULL: xielu */
	struct xielu xielu;
};

/* What a layer takes of a token's numbers for it: x += norm(Wproj . (gelu(Wgate . x) * numbers)). */
struct per_layer_in {
	const struct tensor *gate; /* [n_per_layer][n_embd]; NULL: nothing */
	struct residual_in proj;
};

/* A mixture of experts: feed-forwards of which each token takes some. All products are divided by rows (PLAN_ROW). */
struct experts_in {
	struct norm norm;
	struct norm router_norm;     /* what the router takes, if it is another's; w NULL: the same */
	float router_scale;          /* of the logits; 0: 1 */
	const struct tensor *router; /* [n_expert][n_embd] */
	const struct tensor *router_bias, *choose_bias; /* [n_expert] (route.h), NULL: none */
	const struct tensor *gate, *up, *down;          /* [n_expert] of [n_ff_expert][n_embd]; down: the other way */
	const struct tensor *gate_bias, *up_bias, *down_bias;       /* [n_expert][..], NULL: none */
	const struct tensor *shared_gate, *shared_up, *shared_down; /* the expert that all tokens take; NULL: none */
	const struct tensor *shared_inp; /* [n_embd]: it is weighed by sigmoid(shared_inp . n); NULL: by 1 */
	gate_fn *gate_mul;
	bool is_on_input;           /* a weight is of what an expert takes */
	const struct tensor *times; /* [n_expert] what weights are multiplied with at last; NULL: nothing */
	struct norm post;           /* of the sum, before it is added */
	struct beside beside;       /* with post: what is in m->aside is added, too */
	const struct tensor *scale; /* as residual_in.scale */
};

/* x = embd_scale * token_embd[token]. Ends with a barrier, but where each worker has an x of its own. */
void block_embed(const struct seat *s);
/* m->qkv = W . n + bias, n = norm(x); each head of q and k is normed, rotated and normed late, q multiplied by its temperature;
 * k and v are stored in the KV pool. Ends with a barrier; one more where a norm goes over all heads. */
void block_heads(const struct seat *s, int lap, const struct heads_in *in, uint32_t layer);
/* m->att = attention of m->qkv's queries over the layer's K and V. Ends with a barrier; one more where the chunks of a sequence
 * are spread over workers. */
void block_attention(const struct seat *s, int lap, const struct attention_in *in, uint32_t layer);
/* x += residual_scale * norm(W . src + bias), src[n_row][stride] being m->att or m->gate. Ends with a barrier; x is
 * complete in the packing of the next product. W is divided by columns, or by rows (PLAN_ROW): then src is all nodes'. */
void block_residual(const struct seat *s, int lap, const struct residual_in *in, const float *src, size_t stride);
/* m->gate = act(Wgate . n + bias) * (Wup . n + bias), or act(Wup . n + bias), n = norm(x). Ends with a barrier. */
void block_ffn(const struct seat *s, int lap, const struct ffn_in *in);
/*
 * x += residual_scale * post(shared + sum over a token's experts of weight * down(act(gate . n) * (up . n))), n = norm(x). Of the sum the
 * shared expert comes first, then the others in ascending order. With beside.norm, x += both(post(sum) + norm(m->aside)). Its work goes
 * to the parts lap, lap + 1 and lap + 2 of the profile: router, gate and up, down, each of which ends with a barrier; several rows cost
 * two more, more than a tile three more, and a router with a norm of its own then one more.
 */
void block_experts(const struct seat *s, int lap, const struct experts_in *in);
/* m->per_layer.row = (norm(Wproj . x / sqrt(n_embd)) + embedding * sqrt(n_per_layer)) / sqrt(2), x being the token's embedding and norm of each
 * layer's part. Holds two barriers. */
void block_per_layer_embed(const struct seat *s, int lap);
/* x += norm(Wproj . (gelu(Wgate . x) * numbers of the layer)). Its work goes to the part lap; ends with a barrier. */
void block_per_layer(const struct seat *s, int lap, const struct per_layer_in *in, uint32_t layer);
/* batch->hidden = norm(x) of the rows that want it: each worker some rows. Ends without a barrier. */
void block_hidden(const struct seat *s);
/* The end of a pass: block_hidden; then batch->logits = cap(logit_scale * output . norm(x)), and what sampling asks of them, for the
 * rows that want them, without a barrier. */
void block_logits(const struct seat *s);

#endif
