/* Products of F32, F16 and BF16 weights: lane = output row, one fma a k. The tokens of a tile are independent chains and hide
 * each other's latency. */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/sums.h"
#include "kernels/matmul.h"

struct form {
	enum quant_type type;
};

INLINE __m512 load16(const struct form *f, const uint8_t *p)
{
	if (f->type == QUANT_F32)
		return _mm512_loadu_ps(p);
	__m256i h = _mm256_loadu_si256((const __m256i *)p);

	if (f->type == QUANT_F16)
		return _mm512_cvtph_ps(h);
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

INLINE void block(const size_t n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	__m512 v = load16(f, w);

	if (n > 2)
		prefetch(w, f->type == QUANT_F32 ? 64 : 32);
	for (size_t t = 0; t < n; t++)
		acc[t] = _mm512_fmadd_ps(v, _mm512_set1_ps(((const float *)x)[t]), acc[t]);
}

MATMUL(avx512vnni_matmul_f32, block, 1, 4, .type = QUANT_F32)
MATMUL(avx512vnni_matmul_f16, block, 1, 2, .type = QUANT_F16)
MATMUL(avx512vnni_matmul_bf16, block, 1, 2, .type = QUANT_BF16)

const struct matmul_row avx512vnni_matmul_float[] = {
	{ QUANT_F32, avx512vnni_matmul_f32 },
	{ QUANT_F16, avx512vnni_matmul_f16 },
	{ QUANT_BF16, avx512vnni_matmul_bf16 },
	{ .matmul = NULL },
};
