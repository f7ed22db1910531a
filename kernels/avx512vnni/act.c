/* Quantization of activations into tiles; the rule is in kernels.h. */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/quantize.h"

static inline int sum16(__m128i q)
{
	return _mm512_reduce_add_epi32(_mm512_cvtepi8_epi32(q));
}

static inline void scatter(uint8_t *dst, size_t step, __m128i q)
{
	int32_t g[4];

	_mm_storeu_si128((__m128i *)g, q);
	for (size_t j = 0; j < 4; j++)
		memcpy(dst + j * step, &g[j], 4);
}

void avx512vnni_act_pack_q8(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	size_t n = (size_t)n_tok;

	for (size_t t = 0; t < n; t++) {
		uint8_t *block = dst;
		const float *row = x + t * x_stride;

		for (size_t b = 0; b < n_col / 32; b++, block += ACT_Q8_BYTES(n), row += 32) {
			float *d = (float *)block;
			__m256i q;

			d[t] = quantize32(&q, _mm512_loadu_ps(row), _mm512_loadu_ps(row + 16));
			((int32_t *)d)[2 * n + t] = -sum32(q);
			d[n + t] = d[t] * (float)-((int32_t *)d)[2 * n + t];
			scatter(block + 12 * n + 4 * t, 4 * n, _mm256_castsi256_si128(q));
			scatter(block + 12 * n + 4 * t + 16 * n, 4 * n, _mm256_extracti128_si256(q, 1));
		}
	}
}

void avx512vnni_act_pack_q8_k(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	size_t n = (size_t)n_tok;

	for (size_t t = 0; t < n; t++) {
		uint8_t *block = dst;
		const float *row = x + t * x_stride;

		for (size_t b = 0; b < n_col / 256; b++, block += ACT_Q8_K_BYTES(n), row += 256) {
			__m512 max = _mm512_setzero_ps();
			float *d = (float *)block;
			int16_t *s32 = (int16_t *)(d + n), *s16 = s32 + 8 * n;
			int s[16];

			for (size_t i = 0; i < 256; i += 16)
				max = _mm512_max_ps(max, _mm512_abs_ps(_mm512_loadu_ps(row + i)));
			float amax = _mm512_reduce_max_ps(max);
			__m512 id = _mm512_set1_ps(quantize_inverse(amax));

			d[t] = amax / 127.0f;
			for (size_t j = 0; j < 16; j++) {
				__m128i q = quantize16(_mm512_loadu_ps(row + 16 * j), id);

				s[j] = sum16(q);
				scatter(block + 52 * n + 4 * t + 16 * j * n, 4 * n, q);
			}
			for (size_t j = 0; j < 16; j++)
				s16[(j / 2 * n + t) * 2 + j % 2] = (int16_t)s[j];
			for (size_t j = 0; j < 8; j++)
				s32[(j / 2 * n + t) * 2 + j % 2] = (int16_t)(s[2 * j] + s[2 * j + 1]);
		}
	}
}
