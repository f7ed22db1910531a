/* What the files of ref/ share, and the functions that kernels_ref_fill installs besides the products (types.h). */
#ifndef GYRE_KERNELS_REF_REF_H
#define GYRE_KERNELS_REF_REF_H

#include "kernels/chunks.h"
#include "kernels/rows.h"
#include "kernels/tile.h"

#include <string.h>

/* Chunk c's n sums are in acc: adds them to those that wait for them in wait[CHUNK_WAIT_MAX][n], and lets the result
 * wait there too unless the chunk is the last. */
static inline void ref_chunk_end(const struct chunks *k, uint32_t c, float *acc, float *wait, size_t n)
{
	int depth = chunk_waiting(c), left = chunk_left_waiting(k, c);

	while (depth-- > left)
		for (size_t i = 0; i < n; i++)
			acc[i] = wait[(size_t)depth * n + i] + acc[i];
	if (c + 1 < k->n)
		memcpy(wait + (size_t)left * n, acc, n * sizeof(*acc));
}

/* act.c */
/* q[len] from x[len] by the rule of kernels.h, |q| <= q_max; returns d. */
float ref_quantize(int8_t *q, const float *x, int len, float q_max);
void ref_act_pack_f32(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);
void ref_act_pack_q8(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);
void ref_act_pack_q8_k(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);
void ref_act_pack_q8_rows(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);
void ref_act_pack_q8_k_rows(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);
void ref_act_pack_q8_eights(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);
void ref_act_pack_q8_k_eights(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);

/* vector.c */
void ref_rms_norm(float *y, const float *x, const float *w, size_t n, float eps);
float ref_sum_squares(const float *x, size_t n);
void ref_mul_scaled(float *y, const float *x, const float *w, size_t n, float by);
void ref_layer_norm(float *y, const float *x, const float *w, const float *b, size_t n, float eps);
void ref_rope(float *x, const float *cos, const float *sin, int n_head, int head_dim, int n_rot, bool neox);
void ref_l2_norm(float *y, const float *x, size_t n, float eps);
void ref_silu(float *y, size_t n);
void ref_sigmoid(float *y, size_t n);
void ref_sigmoid_mul(float *y, const float *gate, size_t n);
void ref_softplus(float *y, size_t n);
void ref_mul(float *y, const float *x, size_t n);
void ref_silu_mul(float *y, const float *gate, const float *up, size_t n);
void ref_gelu_mul(float *y, const float *gate, const float *up, size_t n);
void ref_oai_mul(float *y, const float *gate, const float *up, size_t n);
void ref_gelu(float *y, const float *x, size_t n);
void ref_relu2(float *y, const float *x, size_t n);
void ref_xielu(float *y, const float *x, size_t n, const struct xielu *p);
void ref_scale(float *y, size_t n, float by);
void ref_cap(float *y, size_t n, float cap);
void ref_add(float *y, const float *x, size_t n);
float ref_max(const float *x, size_t n);
size_t ref_argmax(const float *x, size_t n);
void ref_exps(float *y, const float *x, size_t n, float scale, float max);
float ref_sum_exp(const float *x, size_t n, float max);

/* mix.c */
typedef void ref_recur_fn(const struct recur *r);
typedef void ref_conv1d_fn(float *y, const float *const *x, const float *w, const float *b, size_t n, int n_tap);

ref_recur_fn ref_recur_decay, ref_recur_rate, ref_recur_delta, ref_recur_bonus, ref_recur_two;
ref_conv1d_fn ref_conv1d;

/* attn.c, attn_q8.c */
#define ATTN_CHUNK_ARGS                                                                                    \
	const struct attn_partial *to, const struct attn_tile *tile, const struct attn_kv *kv, int32_t p0, \
		float *scratch

typedef void ref_kvq_store_fn(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k, int dim_v);
typedef void ref_attn_chunk_fn(ATTN_CHUNK_ARGS);
typedef void ref_attn_merge_fn(float *y, const float *o, size_t o_stride, const float *m, const float *l, int n_part,
			       int dim_v, float sink);

ref_kvq_store_fn ref_kvq_store_f16, ref_kvq_store_f32, ref_kvq_store_q8_0;
ref_attn_chunk_fn ref_attn_chunk_f16, ref_attn_chunk_f32, ref_attn_chunk_q8_0;
ref_attn_merge_fn ref_attn_merge;

/* The positions of a chunk that query i sees. */
struct ref_seen {
	int32_t first, end;
};
struct ref_seen ref_attn_seen(const struct attn_tile *tile, int i, int32_t p0);
void ref_scale_query(float *y, const float *q, float scale, int dim_k);
/* Scores s[p - p0] -> weights in place, and their max and sum; of nothing seen -INFINITY and 0. */
void ref_softmax(float *s, struct ref_seen seen, float cap, float *m, float *l);

#endif
