/* The functions that neon.c installs; contracts in kernels.h. */
#ifndef GYRE_KERNELS_NEON_NEON_H
#define GYRE_KERNELS_NEON_NEON_H

#include "kernels/ref/ref.h"

/* act.c */
void neon_act_pack_f32(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);
void neon_act_pack_q8(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);
void neon_act_pack_q8_k(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);

/* matmul_float.c, matmul_q8.c, ...: each its own */
extern const struct matmul_row neon_matmul_float[], neon_matmul_q8[], neon_matmul_k[], neon_matmul_k23[],
	neon_matmul_iq[];
/* For levels above, which do no better with few tokens. */
matmul_fn neon_matmul_q4_0, neon_matmul_q4_1, neon_matmul_q5_0, neon_matmul_q5_1, neon_matmul_q8_0, neon_matmul_q2_k,
	neon_matmul_q3_k, neon_matmul_q4_k, neon_matmul_q5_k, neon_matmul_q6_k, neon_matmul_iq4_nl, neon_matmul_mxfp4,
	neon_matmul_iq4_xs;

/* vector.c */
void neon_rms_norm(float *y, const float *x, const float *w, size_t n, float eps);
void neon_layer_norm(float *y, const float *x, const float *w, const float *b, size_t n, float eps);
float neon_sum_squares(const float *x, size_t n);
void neon_mul_scaled(float *y, const float *x, const float *w, size_t n, float by);
void neon_rope(float *x, const float *cos, const float *sin, int n_head, int head_dim, int n_rot, bool neox);
void neon_silu_mul(float *y, const float *gate, const float *up, size_t n);
void neon_gelu_mul(float *y, const float *gate, const float *up, size_t n);
void neon_oai_mul(float *y, const float *gate, const float *up, size_t n);
void neon_gelu(float *y, const float *x, size_t n);
void neon_relu2(float *y, const float *x, size_t n);
void neon_xielu(float *y, const float *x, size_t n, const struct xielu *p);
void neon_cap(float *y, size_t n, float cap);
void neon_add(float *y, const float *x, size_t n);
float neon_max(const float *x, size_t n);
size_t neon_argmax(const float *x, size_t n);
void neon_exps(float *y, const float *x, size_t n, float scale, float max);
float neon_sum_exp(const float *x, size_t n, float max);

/* mix.c */
ref_recur_fn neon_recur_decay, neon_recur_rate, neon_recur_delta, neon_recur_bonus, neon_recur_two;
ref_conv1d_fn neon_conv1d;
void neon_l2_norm(float *y, const float *x, size_t n, float eps);
void neon_silu(float *y, size_t n);
void neon_sigmoid(float *y, size_t n);
void neon_softplus(float *y, size_t n);
void neon_sigmoid_mul(float *y, const float *gate, size_t n);
void neon_mul(float *y, const float *x, size_t n);

/* attn.c, attn_q8.c */
ref_kvq_store_fn neon_kvq_store_f16, neon_kvq_store_f32, neon_kvq_store_q8_0;
ref_attn_chunk_fn neon_attn_chunk_f16, neon_attn_chunk_f32, neon_attn_chunk_q8_0;
ref_attn_merge_fn neon_attn_merge;

#endif
