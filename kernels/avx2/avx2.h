/* The functions that avx2.c installs; contracts in kernels.h. */
#ifndef GYRE_KERNELS_AVX2_AVX2_H
#define GYRE_KERNELS_AVX2_AVX2_H

#include "kernels/ref/ref.h"

/* act.c */
void avx2_act_pack_f32(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);
void avx2_act_pack_q8(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);
void avx2_act_pack_q8_k(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);

/* matmul_float.c, matmul_q8.c, ...: each its own */
extern const struct matmul_row avx2_matmul_float[], avx2_matmul_q8[], avx2_matmul_k[], avx2_matmul_k2[],
	avx2_matmul_k3[], avx2_matmul_iq[];

/* vector.c */
void avx2_rms_norm(float *y, const float *x, const float *w, size_t n, float eps);
void avx2_layer_norm(float *y, const float *x, const float *w, const float *b, size_t n, float eps);
float avx2_sum_squares(const float *x, size_t n);
void avx2_mul_scaled(float *y, const float *x, const float *w, size_t n, float by);
void avx2_rope(float *x, const float *cos, const float *sin, int n_head, int head_dim, int n_rot, bool neox);
void avx2_silu_mul(float *y, const float *gate, const float *up, size_t n);
void avx2_gelu_mul(float *y, const float *gate, const float *up, size_t n);
void avx2_oai_mul(float *y, const float *gate, const float *up, size_t n);
void avx2_gelu(float *y, const float *x, size_t n);
void avx2_relu2(float *y, const float *x, size_t n);
void avx2_xielu(float *y, const float *x, size_t n, const struct xielu *p);
void avx2_cap(float *y, size_t n, float cap);
void avx2_add(float *y, const float *x, size_t n);
float avx2_max(const float *x, size_t n);
size_t avx2_argmax(const float *x, size_t n);
void avx2_exps(float *y, const float *x, size_t n, float scale, float max);
float avx2_sum_exp(const float *x, size_t n, float max);

/* mix.c */
ref_recur_fn avx2_recur_decay, avx2_recur_rate, avx2_recur_delta, avx2_recur_bonus, avx2_recur_two;
ref_conv1d_fn avx2_conv1d;
void avx2_l2_norm(float *y, const float *x, size_t n, float eps);
void avx2_silu(float *y, size_t n);
void avx2_sigmoid(float *y, size_t n);
void avx2_softplus(float *y, size_t n);
void avx2_sigmoid_mul(float *y, const float *gate, size_t n);
void avx2_mul(float *y, const float *x, size_t n);

/* attn.c, attn_q8.c */
ref_kvq_store_fn avx2_kvq_store_f16, avx2_kvq_store_f32, avx2_kvq_store_q8_0;
ref_attn_chunk_fn avx2_attn_chunk_f16, avx2_attn_chunk_f32, avx2_attn_chunk_q8_0;
ref_attn_merge_fn avx2_attn_merge;

#endif
