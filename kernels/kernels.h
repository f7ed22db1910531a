/*
 * The operations between C and silicon, as a struct of pointers. ref/ fills every one and is the definition; each ISA
 * folder overrides some of its parent level's (isa.h). Every implementation returns the same bits as ref/.
 *
 * Pure functions on the caller's memory: no malloc, no threads, no errno, no logs. -ffp-contract=off: an fma is
 * written as one (fmaf) or is two roundings. f32 throughout, round to nearest even, no flush to zero.
 *
 * Rows of tokens travel in tiles of up to ACT_TILE. Dimensions in GGUF's words, slowest axis first.
 */
#ifndef GYRE_KERNELS_KERNELS_H
#define GYRE_KERNELS_KERNELS_H

#include "quant.h"

#include <stdbool.h>

#define ACT_TILE       12 /* tokens per activation tile */
#define ACT_ROWS_MIN   8 /* tokens of a tile at least that are rows: 16 and more rows of a step are tiles of no fewer */
#define ACT_EIGHTS_MIN 4 /* tokens of a tile at least that are interleaved by eights */
#define LANES          16  /* virtual lanes of a float reduction */
#define KV_BLOCK       32  /* positions per KV block */
#define ATTN_CHUNK     512 /* positions per attention partial, aligned by absolute position */
#define ATTN_TILE      32  /* queries per attn_chunk call at most */
#define ATTN_GROUP     8   /* of them side by side at most */
#define DIM_K_MAX      576 /* of a head's queries and K, a multiple of 16: MLA's latent and what is rotated */
#define DIM_V_MAX      512 /* of a head's V, likewise */
#define ATTN_SCRATCH   (ATTN_GROUP * (ATTN_CHUNK + LANES)) /* floats that attn_chunk wants */
#define RECUR_CHAINS   4 /* of a recurrence's sum over key dimensions, which are a multiple of it */
#define CONV_TAP_MAX   4 /* of a short convolution */
#define ACT_AMAX_MIN \
	0x1p-120f /* a block no larger quantizes to zeros: 127 / amax overflows below 127 * 2^-128, 2^-121.01 */
#define ACT_Q_MAX       120.0f    /* largest quant of an activation: a nibble more, 15 or -8, is still a byte (zen4/) */
#define KVQ_Q_MAX       127.0f    /* of a key, a value or a query */
#define ATTN_WEIGHT_MAX 32767.0f  /* weights of V are quantized to 15 bits: ATTN_CHUNK * 32767 * 127 is below 2^31 */
#define ATTN_WEIGHT_MIN 0x1p-112f /* and to zeros where none is larger: 32767 / max overflows below 2^-113 */

/*
 * A tile of n (1..ACT_TILE) tokens' activations for a product along n_col, interleaved by token, per k-block in ascending k:
 *   ACT_F32   block of 1:    f32 x[n]
 *   ACT_Q8    block of 32:   f32 d[n]; f32 s[n]; i32 nsum[n]; i8 q[8][n][4]; i32 cross[n]          q[j][t][i]: k = 4j+i
 *   ACT_Q8_K  block of 256:  f32 d[n]; i16 sum32[4][n][2]; i16 sum16[8][n][2]; i8 q[64][n][4]; i32 cross[8][n]; i32 off[16][n]
 *   ACT_Q8_ROWS, ACT_Q8_K_ROWS  the same, but each token's quants side by side, i8 q[n][32], i8 q[n][256], from ACT_ROWS_MIN tokens on
 *   ACT_Q8_EIGHTS, ACT_Q8_K_EIGHTS  the same, but interleaved by eight columns, i8 q[4][n][8], i8 q[32][n][8], from
 *                            ACT_EIGHTS_MIN tokens on   q[o][t][i]: k = 8o+i
 *                            sum32[p][t][h] = sum of q over k in 32*(2p+h)..+31; sum16[p][t][h] over k in 16*(2p+h)..+15
 * Quantization of a block x[len]: amax = max |x|; d = amax / ACT_Q_MAX; id = amax > ACT_AMAX_MIN ? ACT_Q_MAX / amax : 0;
 * q = round-to-nearest-even(x * id) (|q| <= ACT_Q_MAX); nsum = -sum(q); s = d * (float)sum(q).
 * cross, of 32 quants: ACT_Q8 -sum q[k] * (q[k+16] + 128), ACT_Q8_K sum 8 * q[k+16] - q[k] * (q[k+16] + 120), over k in 0..15:
 * what a product of two sums leaves of the token alone, where one does for two products (zen4/).
 * off[s] = -32 * sum of q over k in 16*s..+15: where Q6_K's sum of sub-block s starts, for its unsigned quants are 32 too large.
 * A NaN or infinity makes the block's q unspecified but in range, never undefined behaviour, and d a NaN or infinity, so that what is
 * multiplied with the block is none either and the fault shows in the logits.
 */
enum act_kind { ACT_F32, ACT_Q8, ACT_Q8_K, ACT_Q8_ROWS, ACT_Q8_K_ROWS, ACT_Q8_EIGHTS, ACT_Q8_K_EIGHTS, ACT_KIND_MAX };
size_t act_tile_bytes(enum act_kind kind, int n_tok, size_t n_col);
/* Columns of a block: 1, 32 or 256. */
size_t act_block_len(enum act_kind kind);

/*
 * How K and V of KV_BLOCK positions of one KV head are stored:
 *   KVQ_F16   K: f16[KV_BLOCK/16][dim_k][16] (lane = position)     V: f16[KV_BLOCK][dim_v]
 *   KVQ_F32   the same as KVQ_F16, in floats: what nothing is lost in, for who compares
 *   KVQ_Q8_0  by blocks of 32 along d, each with its positions' scales first; of a last block of 16 the rest is not used.
 *            K: { f16 d[KV_BLOCK]; u8 q[8][KV_BLOCK][4] }[]          q[j][slot][i]: d = 4j+i, q + 128
 *            V: { f16 d[KV_BLOCK]; u8 q[KV_BLOCK/4][32][4] }[]   q[j][d][i]: slot = 4j+i, q + 128
 */
enum kvq_type { KVQ_F16, KVQ_Q8_0, KVQ_F32, KVQ_TYPE_MAX };

/* "f16", "q8_0", "f32"; NULL past the end. And back: KVQ_TYPE_MAX if unknown. */
const char *kvq_name(enum kvq_type type);
enum kvq_type kvq_parse(const char *name);

/* Bytes of a block's K of dim_k, or of its V of dim_v, dimensions; a multiple of 64. */
size_t kvq_bytes(enum kvq_type type, int dim);

/*
 * KV of one layer and one KV head: K of block b of the sequence lies at k + blocks[b] * k_stride, V likewise, in bytes.
 * V that is a part of K (MLA: 512 dimensions of 576) is stored as V, too, for q.k wants a lane per position and p.v one per
 * dimension. Both are rounded by one rule, so that a V read out of K would give the same bits.
 */
struct attn_kv {
	const uint8_t *k, *v;
	size_t k_stride, v_stride;
	const uint32_t *blocks;
	int dim_k, dim_v; /* multiples of 16 up to DIM_K_MAX, DIM_V_MAX */
	/* What the caller goes on to, to be fetched meanwhile: n_next (0..ATTN_CHUNK / KV_BLOCK) blocks, likewise. */
	const uint8_t *next_k, *next_v;
	const uint32_t *next_blocks;
	int n_next;
};

/*
 * Queries that share a KV head. Query i is q[i][dim_k] and sees positions [first[i], end[i]); none where that is empty. A query
 * at `pos` sees, when causal: [0, pos + 1); through a window of w: [pos + 1 - w, pos + 1), first may be negative; within chunks of
 * c: [pos / c * c, pos + 1); within w on both sides: [pos - w, pos + w + 1).
 */
struct attn_tile {
	const float *const *q;
	const int32_t *first, *end;
	int n;       /* 1..ATTN_TILE */
	float scale; /* of q.k */
	float cap;   /* a score s becomes cap * tanh(s / cap); 0: it stays */
};

/* What a chunk of positions is for each query of a tile: weighted sum of V, largest score, sum of weights. */
struct attn_partial {
	float *o;     /* [n][dim_v] */
	float *m, *l; /* [n] */
};

/* The columns of a matrix, cut for a product into 1..CHUNK_MAX chunks: chunk c is columns [cut[c], cut[c + 1]). cut[0] is 0, cut[n] is
 * n_col; cuts are multiples of the type's block_len. */
#define CHUNK_MAX 16
struct chunks {
	uint32_t n;
	uint32_t cut[CHUNK_MAX + 1];
};

/*
 * Linear recurrences. Every one of them is, for each row of a state over key dimensions k,
 *   s = w s + (alpha v + beta t) b,  t = s.a,  y = s.q
 * and they differ in what w is (one number, one for each key dimension, one for each row and key dimension), in whether there is a t, and
 * in whether y is taken before or after:
 *   RECUR_DECAY      s = w*s + u b, u = alpha*v;                       y = s.q                  w[1]       Mamba-2
 *   RECUR_RATE       s = exp(w*rate)*s + u b, u = w*v;                 y = s.q                  w[LANES]   Mamba
 *   RECUR_DELTA      t = w * s.b; s = w*s + u b, u = alpha*(v - t);    y = s.q                  w[1]       gated delta-net
 *   RECUR_BONUS      y = fma(alpha, v, s.q); s = w*s + v b                                      w[n_key]   RWKV-6
 *   RECUR_TWO        t = s.a; s = (w*s + t c) + v b;                   y = s.q                  w[n_key]   RWKV-7
 * where x + u b is fma(u, b[k], x), x's product rounded before. A sum over k is RECUR_CHAINS chains of fma from +0, chain j over k = j,
 * j + RECUR_CHAINS, ... ascending, which meet as (0 + 1) + (2 + 3). exp: ref/exp.h.
 */
enum recur_form { RECUR_DECAY, RECUR_RATE, RECUR_DELTA, RECUR_BONUS, RECUR_TWO, RECUR_FORM_MAX };

/* LANES rows of a state over n_tok tokens, one after the other. Rows never mix, so that neither the cut of a state into groups nor that
 * of tokens into calls enters the bits. */
struct recur {
	float *s;             /* [n_key][LANES]: the lane is the row; read and written */
	const float *rate;    /* [n_key][LANES], of RECUR_RATE */
	int n_key;            /* a multiple of RECUR_CHAINS */
	size_t n_tok, stride; /* floats from a token's inputs to the next one's, of all that follow */
	const float *w, *v;   /* v[LANES] */
	const float *b, *q;   /* [n_key] */
	const float *a, *c;   /* [n_key], of RECUR_TWO; else NULL */
	const float *alpha;   /* [1], of those that have one; else NULL */
	float *y;             /* [n_tok][y_stride]; y may be v, and y_stride 0 where nobody reads it */
	size_t y_stride;
};

/* The integral of a linear and of an exponential unit (Huang and Schlag 2024), eps in -1..0. */
struct xielu {
	float alpha_n, alpha_p, beta, eps;
};

struct kernels {
	const char *isa;

	/* What the product of a type takes: which kind is the level's choice. */
	enum act_kind act[QUANT_TYPE_MAX];

	/* x[n_tok][x_stride] -> one tile, or columns of one, at dst (4-byte aligned); n_tok in 1..ACT_TILE, n_col a multiple of the
	 * kind's block. */
	void (*act_pack[ACT_KIND_MAX])(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);

	/*
	 * y[t][16*p + r] = W . x for panels p in [panel0, panel1), t in [0, n_tok); y_stride >= 16*panel1.
	 * Each chunk's sum is one chain over its blocks b in ascending k, acc starting at +0 (isum: exact int32 over the block):
	 *   F32 F16 BF16  acc = fma(w, x, acc)
	 *   Q4_0 Q5_0 Q8_0  acc = fma(dw*da, (float)isum, acc)                        (isum with the offset 8 / 16 / 0 taken off)
	 *   IQ4_NL MXFP4  acc = fma(dw*da, (float)isum, acc)                        (isum of the codes' values)
	 *   Q4_1 Q5_1     acc = fma(dw*da, (float)isum, acc); acc = fma(m, s, acc)    (isum of unsigned q)
	 *   Q4_K Q5_K     acc = fma(dw*da, (float)(sum sc*isum32), acc); acc = fma(-(dmin*da), (float)(sum min*sum32), acc)
	 *   Q2_K          acc = fma(dw*da, (float)(sum sc*isum16), acc); acc = fma(-(dmin*da), (float)(sum min*sum16), acc)
	 *   Q3_K Q6_K     acc = fma(dw*da, (float)(sum sc*isum16), acc)               (isum16 with 4 / 32 taken off)
	 *   IQ4_XS        acc = fma(dw*da, (float)(sum sc*isum32), acc)               (isum32 of the codes' values)
	 * dw, m, dmin are exact f16 -> f32; MXFP4's dw is the half of its E8M0, exact.
	 * Sums of chunks meet in a fixed tree: sum[begin, end) = sum[begin, mid) + sum[mid, end), mid - begin the largest power
	 * of two below end - begin. In order of chunks (kernels/chunks.h): push chunk c's sum; then add the newest two into one, for c + 1 < n
	 * as often as c + 1 is even when halved, after the last until one is left.
	 * w is the whole packed matrix (64-byte aligned), x_tile an act_pack result, of the kind act[type], of all its columns.
	 */
	void (*matmul[QUANT_TYPE_MAX])(float *y, size_t y_stride, const void *w, const void *x_tile, int n_tok,
				       const struct chunks *k, size_t panel0, size_t panel1);

	/* y[n] = x * (1 / sqrtf(sum(x*x) / n + eps)) * w. Sum: lane l takes fma over l, l+16, ..., then the tree of ref/reduce.h.
	 * y = (x * scale) * w. y may be x. */
	void (*rms_norm)(float *y, const float *x, const float *w, size_t n, float eps);

	/* sum(x*x), as in rms_norm; and its y = (x * by) * w, y may be x: where a norm goes over what lies in several pieces. */
	float (*sum_squares)(const float *x, size_t n);
	void (*mul_scaled)(float *y, const float *x, const float *w, size_t n, float by);

	/* y[n] = (x - mean) * (1 / sqrtf(sum((x - mean)^2) / n + eps)) * w + b, in this order, each rounded; mean = sum(x) / n. Sums: lane l adds,
	 * or takes fma over, l, l+16, ..., then the tree of ref/reduce.h. b NULL: nothing is added. y may be x. */
	void (*layer_norm)(float *y, const float *x, const float *w, const float *b, size_t n, float eps);

	/* Rotates the first n_rot of each head in x[n_head][head_dim] by cos/sin[n_rot/2] of one position.
	 * Pairs are (2i, 2i+1), or (i, i + n_rot/2) when neox. x0' = fma(x0, c, -(x1*s)); x1' = fma(x0, s, x1*c). */
	void (*rope)(float *x, const float *cos, const float *sin, int n_head, int head_dim, int n_rot, bool neox);

	/* y[n] = x * (1 / sqrtf(sum(x*x) + eps)). Sum as rms_norm's. y may be x. */
	void (*l2_norm)(float *y, const float *x, size_t n, float eps);

	/* y[n] = gate / (1 + exp(-gate)) * up. y may be gate, or up. exp: ref/exp.h. */
	void (*silu_mul)(float *y, const float *gate, const float *up, size_t n);

	/* y[n] = gelu(gate) * up, gelu(g) = 0.5 g * (1 + tanh(g * fma(g * GELU_C3, g, GELU_C1))). y may be gate. tanh: ref/tanh.h. */
	void (*gelu_mul)(float *y, const float *gate, const float *up, size_t n);

	/* y[n] = y / (1 + exp(-y)). */
	void (*silu)(float *y, size_t n);

	/* y[n] = 1 / (1 + exp(-y)); of a NaN one. */
	void (*sigmoid)(float *y, size_t n);

	/* y[n] *= sigmoid(gate), as y / (1 + exp(-gate)). */
	void (*sigmoid_mul)(float *y, const float *gate, size_t n);

	/* y[n] = log(1 + exp(y)): ref/log.h. */
	void (*softplus)(float *y, size_t n);

	/* y[n] *= x[n]. */
	void (*mul)(float *y, const float *x, size_t n);

	/* y[n] = g / (1 + exp(-(OAI_ALPHA * g))) * (u + 1); g = gate, where that is above OAI_LIMIT this; u = up, where it is outside of
	 * -OAI_LIMIT..OAI_LIMIT the nearer of them: gpt-oss's. y may be gate. exp, OAI_: ref/exp.h. */
	void (*oai_mul)(float *y, const float *gate, const float *up, size_t n);
	/* Activations without a gate; y may be x. Of a NaN each is one.
	 * gelu: as above. relu2: max(x, 0)^2.
	 * xielu: x > 0 ? fma(alpha_p * x, x, beta * x) : fma(expm1(min(x, eps)) - x, alpha_n, beta * x). expm1: ref/tanh.h. */
	void (*gelu)(float *y, const float *x, size_t n);
	void (*relu2)(float *y, const float *x, size_t n);
	void (*xielu)(float *y, const float *x, size_t n, const struct xielu *p);

	/* y[n] += x[n]. */
	void (*add)(float *y, const float *x, size_t n);

	/* y[n] *= by. */
	void (*scale)(float *y, size_t n, float by);

	/* y[n] = cap * tanh(y / cap). tanh: ref/tanh.h */
	void (*cap)(float *y, size_t n, float cap);

	void (*recur[RECUR_FORM_MAX])(const struct recur *r);

	/* One token's causal depthwise convolution: y[n] = b + sum over j of w[j] * x[j], a chain of fma over j ascending from b, or from +0 where b
	 * is NULL. x[n_tap][n]: the inputs of the n_tap - 1 tokens before it, oldest first, then its own; y may be one of them. n is a multiple
	 * of LANES; w[n / LANES][n_tap][LANES], as panels of F32 are. */
	void (*conv1d)(float *y, const float *const *x, const float *w, const float *b, size_t n, int n_tap);

	/* Stores one position's k[dim_k], v[dim_v] at slot (0..KV_BLOCK-1) of a block whose K and V parts (of this head) start at
	 * kb, vb. KVQ_F16: f32 -> f16, nearest even. KVQ_F32: as they are. KVQ_Q8_0: q as in act_tile_bytes but |q| <= KVQ_Q_MAX, and d as f16; where
	 * that is not finite the NaN 0x7e00, as is d of K's first block then, whichever block it was: the position's score is a NaN. */
	void (*kvq_store[KVQ_TYPE_MAX])(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k,
					int dim_v);

	/*
	 * Attention of a tile of queries over the chunk of positions [p0, p0 + ATTN_CHUNK), p0 a multiple of ATTN_CHUNK. Per query,
	 * independent of the others, over those p of the chunk that it sees:
	 *   x = q * scale
	 *   KVQ_F16, KVQ_F32: s[p] = chain of fma(x[d], k[p][d], s) over d ascending from +0
	 *   KVQ_Q8_0: x is quantized by blocks of 32 as K is, d a float;
	 *           s[p] = chain of fma(kd[p][b]*xd[b], (float)isum, s) over blocks b ascending from +0
	 *   with a cap, s[p] = cap * tanh(s[p] / cap) then. tanh: ref/tanh.h
	 *   m = max s; e[p] = exp(s[p] - m); l = sum e, lane p%16 ascending, tree of ref/reduce.h. A NaN is no
	 *   maximum, and e[p] of one is a NaN: so l is one, too, and the query's result none, whichever type K and V have.
	 *   KVQ_F16, KVQ_F32: o[d] = chain of fma(e[p], v[p][d], o) over p ascending from +0
	 *   KVQ_Q8_0: o[d] = W / 32767 * (float)isum over p of the block's quantized weights and vq[p][d]: w[p] = e[p]*vd[p][b], 0 where that
	 *           is a NaN; W = max w;
	 *           quants of w: W > ATTN_WEIGHT_MIN ? round-to-nearest-even(w * (32767 / W)) : 0
	 * A query that sees none of them gets o = 0, m = -INFINITY, l = 0; a maximum of zero is +0.
	 * Positions that a query does not see may hold anything (poison): they never reach its result. Blocks before the first and
	 * past the last position that any query sees are not read, nor are their numbers. scratch: ATTN_SCRATCH floats.
	 */
	void (*attn_chunk[KVQ_TYPE_MAX])(const struct attn_partial *to, const struct attn_tile *tile,
					 const struct attn_kv *kv, int32_t p0, float *scratch);

	/* Merges n_part partials in order: M = max m; w_c = exp(m_c - M); L = chain fma(w_c, l_c, L); y[d] = chain fma(w_c, o_c[d], y) / L.
	 * o[n_part][o_stride]. Partials with l = 0, which saw nothing, are passed over. A sink is one more logit without a value: M takes it in,
	 * and exp(sink - M) is added to L last; -INFINITY: none. */
	void (*attn_merge)(float *y, const float *o, size_t o_stride, const float *m, const float *l, int n_part,
			   int dim_v, float sink);

	/* The largest of x[n]; a NaN never wins, a zero is +0; -INFINITY where nothing is larger. */
	float (*max)(const float *x, size_t n);

	/* Where the largest of x[n] is first; a NaN never wins; all NaN: 0. */
	size_t (*argmax)(const float *x, size_t n);

	/* y[n] = exp(x[i] * scale - max), the product rounded. y may be x. */
	void (*exps)(float *y, const float *x, size_t n, float scale, float max);

	/* sum of exp(x[i] - max), lane i%16 ascending, tree of ref/reduce.h. */
	float (*sum_exp)(const float *x, size_t n, float max);
};

/*
 * ISA levels: rows of the table of the machine that this was built for (isa.h). Each names the level it builds on; no order of theirs
 * means that one holds another. Every machine has ISA_REF, and ISA_BASE, the least that has every operation: avx2, neon.
 * ISA_MAX is none; where a level is asked for, the preferred one.
 */
enum kernels_isa { ISA_REF, ISA_BASE, ISA_MAX = 16 };

/* "ref", "avx2", ...; NULL past the table. And back: ISA_MAX if unknown. */
const char *kernels_isa_name(enum kernels_isa isa);
enum kernels_isa kernels_isa_parse(const char *name);

/* All names, or those of levels that this CPU can run, with ", " between them. */
#define KERNELS_LIST_BYTES 256
const char *kernels_isa_names(char *list, size_t size, bool can_run);

/* What the levels need of a CPU, and the vendor that some are made for, a bit each: those that this one has. */
#define KERNELS_FLAG_MAX 32
uint32_t kernels_flags(void);
/* Which of them the level and its ancestors need and `flags` lacks: how many, and their names, as in /proc/cpuinfo. */
uint32_t kernels_missing(enum kernels_isa isa, uint32_t flags, const char *name[KERNELS_FLAG_MAX]);
/* What this CPU lacks of them, with ", " between. */
const char *kernels_missing_names(char *list, size_t size, enum kernels_isa isa);

/* Whether this CPU can execute the level: what tests ask. A level past the table cannot run. */
bool kernels_can_run(enum kernels_isa isa);
/* Why a level of this name cannot be selected: which exist, what is missing, which can run. NULL: it can. */
#define KERNELS_REFUSAL_BYTES (2 * KERNELS_LIST_BYTES + 128)
const char *kernels_isa_refusal(char *why, size_t size, const char *name);
/* The level that is worth it most on a CPU with these flags: what users get. */
enum kernels_isa kernels_preferred(uint32_t flags);

/* Fills *k with a level that can run, or the preferred one (ISA_MAX); returns it. The table is constant afterwards. */
enum kernels_isa kernels_select(struct kernels *k, enum kernels_isa isa);

#endif
