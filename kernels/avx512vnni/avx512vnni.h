/* The functions that avx512vnni.c installs; contracts in kernels.h. */
#ifndef GYRE_KERNELS_AVX512VNNI_AVX512VNNI_H
#define GYRE_KERNELS_AVX512VNNI_AVX512VNNI_H

#include "kernels/ref/ref.h"

/* matmul_float.c, matmul_q8.c, ...: each its own */
extern const struct matmul_row avx512vnni_matmul_float[], avx512vnni_matmul_q8[], avx512vnni_matmul_k[],
	avx512vnni_matmul_k23[], avx512vnni_matmul_iq[];
/* What zen4/ falls back to. */
matmul_fn avx512vnni_matmul_q4_0, avx512vnni_matmul_q4_1, avx512vnni_matmul_q4_k;

/* act.c */
void avx512vnni_act_pack_q8_k(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);

/* vector.c */
void avx512vnni_rms_norm(float *y, const float *x, const float *w, size_t n, float eps);
void avx512vnni_layer_norm(float *y, const float *x, const float *w, const float *b, size_t n, float eps);
float avx512vnni_sum_squares(const float *x, size_t n);
void avx512vnni_mul_scaled(float *y, const float *x, const float *w, size_t n, float by);
void avx512vnni_silu_mul(float *y, const float *gate, const float *up, size_t n);
void avx512vnni_gelu_mul(float *y, const float *gate, const float *up, size_t n);
void avx512vnni_oai_mul(float *y, const float *gate, const float *up, size_t n);
void avx512vnni_gelu(float *y, const float *x, size_t n);
void avx512vnni_relu2(float *y, const float *x, size_t n);
void avx512vnni_xielu(float *y, const float *x, size_t n, const struct xielu *p);
void avx512vnni_cap(float *y, size_t n, float cap);
void avx512vnni_add(float *y, const float *x, size_t n);
float avx512vnni_max(const float *x, size_t n);
size_t avx512vnni_argmax(const float *x, size_t n);
void avx512vnni_exps(float *y, const float *x, size_t n, float scale, float max);
float avx512vnni_sum_exp(const float *x, size_t n, float max);

/* mix.c */
ref_recur_fn avx512vnni_recur_decay, avx512vnni_recur_rate, avx512vnni_recur_delta, avx512vnni_recur_bonus,
	avx512vnni_recur_two;
ref_conv1d_fn avx512vnni_conv1d;
void avx512vnni_l2_norm(float *y, const float *x, size_t n, float eps);
void avx512vnni_silu(float *y, size_t n);
void avx512vnni_sigmoid(float *y, size_t n);
void avx512vnni_softplus(float *y, size_t n);
void avx512vnni_sigmoid_mul(float *y, const float *gate, size_t n);
void avx512vnni_mul(float *y, const float *x, size_t n);

/* attn.c, attn_q8.c */
ref_kvq_store_fn avx512vnni_kvq_store_q8_0;
ref_attn_chunk_fn avx512vnni_attn_chunk_f16, avx512vnni_attn_chunk_f32, avx512vnni_attn_chunk_q8_0;

#endif
