/* F32, F16, BF16: lane = output row, one fma a k. Up to six tokens keep both half panels in registers; more go over the
 * panel in two groups, so that a broadcast of an activation serves two fma. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/sums.h"
#include "kernels/matmul.h"

struct form {
	enum quant_type type;
};

_Static_assert(ACT_TILE <= 12, "two groups");
#define TOKENS_MAX 6 /* twelve accumulators, two halves of weights, one activation */

INLINE __m256 load8(const struct form *f, const uint8_t *p)
{
	if (f->type == QUANT_F32)
		return _mm256_loadu_ps((const float *)p);
	if (f->type == QUANT_F16)
		return load_halfs(p);
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	const size_t half_bytes = f->type == QUANT_F32 ? 32 : 16;
	__m256 low = load8(f, panel), high = load8(f, panel + half_bytes);

	if (n > 2)
		prefetch(panel, 2 * half_bytes);
	for (int t = 0; t < n; t++) {
		__m256 v = _mm256_set1_ps(((const float *)x)[t]);

		acc[0][t] = _mm256_fmadd_ps(low, v, acc[0][t]);
		acc[1][t] = _mm256_fmadd_ps(high, v, acc[1][t]);
	}
}

/* y = W . x of n tokens among the n_tok of a tile, x pointing at the first. */
INLINE void walk_some(const int n, const struct form *f, const size_t bytes, float *y, size_t y_stride,
		      const uint8_t *w, const uint8_t *x, int n_tok, const struct chunks *k, size_t panel0,
		      size_t panel1)
{
	const size_t panel_bytes = k->cut[k->n] * bytes, x_bytes = act_block_bytes(1, (size_t)n_tok);

	for (size_t p = panel0; p < panel1; p++)
		walk_panel(n, block, f, 1, bytes, x_bytes, y + p * PANEL_ROWS, y_stride, w + p * panel_bytes, x, k);
}

/* As MATMUL_OF, but of a tile that may have more tokens. */
#define SOME_OF(name, n, bytes)                                                                                    \
	static __attribute__((noinline)) void name##_##n(MATMUL_ARGS)                                              \
	{                                                                                                          \
		walk_some(n, &name##_form, PANEL_ROWS *(bytes), y, y_stride, w, x_tile, n_tok, k, panel0, panel1); \
	}

/* A tile's tokens in one group or two, which go over a panel while it is in a cache. */
static void matmul_groups(matmul_fn *const of[TOKENS_MAX], float *y, size_t y_stride, const void *w, const float *x,
			  int n_tok, const struct chunks *k, size_t panel0, size_t panel1)
{
	const int first = (n_tok + 1) / 2;

	if (n_tok <= TOKENS_MAX) {
		of[n_tok - 1](y, y_stride, w, x, n_tok, k, panel0, panel1);
		return;
	}
	for (size_t p = panel0; p < panel1; p++) {
		of[first - 1](y, y_stride, w, x, n_tok, k, p, p + 1);
		of[n_tok - first - 1](y + (size_t)first * y_stride, y_stride, w, x + first, n_tok, k, p, p + 1);
	}
}

#define MATMUL_FLOAT(name, bytes, ...)                                                                         \
	static const struct form name##_form = { __VA_ARGS__ };                                                \
	SOME_OF(name, 1, bytes)                                                                                \
	SOME_OF(name, 2, bytes)                                                                                \
	SOME_OF(name, 3, bytes)                                                                                \
	SOME_OF(name, 4, bytes)                                                                                \
	SOME_OF(name, 5, bytes)                                                                                \
	SOME_OF(name, 6, bytes)                                                                                \
	static void name(MATMUL_ARGS)                                                                          \
	{                                                                                                      \
		static matmul_fn *const of[] = { name##_1, name##_2, name##_3, name##_4, name##_5, name##_6 }; \
                                                                                                               \
		matmul_groups(of, y, y_stride, w, x_tile, n_tok, k, panel0, panel1);                           \
	}

MATMUL_FLOAT(avx2_matmul_f32, 4, .type = QUANT_F32)
MATMUL_FLOAT(avx2_matmul_f16, 2, .type = QUANT_F16)
MATMUL_FLOAT(avx2_matmul_bf16, 2, .type = QUANT_BF16)

const struct matmul_row avx2_matmul_float[] = {
	{ QUANT_F32, avx2_matmul_f32 },
	{ QUANT_F16, avx2_matmul_f16 },
	{ QUANT_BF16, avx2_matmul_bf16 },
	{ .matmul = NULL },
};
