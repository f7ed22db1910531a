/* Products of F32, F16 and BF16 weights: lane = output row, one fma a k. The tokens of a tile are independent chains and hide
 * each other's latency. */
#include "kernels/avx512vnni/avx512vnni.h"

enum float_type { FLOAT_F32, FLOAT_F16, FLOAT_BF16 };

static inline __attribute__((always_inline)) __m512 load16(enum float_type type, const uint8_t *p)
{
	if (type == FLOAT_F32)
		return _mm512_loadu_ps(p);
	__m256i h = _mm256_loadu_si256((const __m256i *)p);

	if (type == FLOAT_F16)
		return _mm512_cvtph_ps(h);
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

static inline __attribute__((always_inline)) void panels(const size_t n, enum float_type type, float *y,
							 size_t y_stride, const void *w, const void *x_tile,
							 const struct chunks *k, size_t panel0, size_t panel1)
{
	const size_t step = type == FLOAT_F32 ? 64 : 32;

	for (size_t p = panel0; p < panel1; p++) {
		const uint8_t *panel = (const uint8_t *)w + p * k->cut[k->n] * step;
		const float *x = x_tile;
		__m512 acc[ACT_TILE];
		struct wait wait;
		uint32_t c = 0;

		do {
			for (size_t t = 0; t < n; t++)
				acc[t] = _mm512_setzero_ps();
			for (size_t i = k->cut[c]; i < k->cut[c + 1]; i++, panel += step, x += n) {
				__m512 v = load16(type, panel);

				for (size_t t = 0; t < n; t++)
					acc[t] = _mm512_fmadd_ps(v, _mm512_set1_ps(x[t]), acc[t]);
			}
		} while (next_chunk(n, k, &c, acc, &wait));
		for (size_t t = 0; t < n; t++)
			_mm512_storeu_ps(y + t * y_stride + p * PANEL_ROWS, acc[t]);
	}
}

#define MATMUL(name, type)                                                                            \
	void avx512vnni_matmul_##name(float *y, size_t y_stride, const void *w, const void *x, int n, \
				      const struct chunks *k, size_t p0, size_t p1)                   \
	{                                                                                             \
		WITH_CONSTANT_8(n, panels, type, y, y_stride, w, x, k, p0, p1)                        \
	}

MATMUL(f32, FLOAT_F32)
MATMUL(f16, FLOAT_F16)
MATMUL(bf16, FLOAT_BF16)
