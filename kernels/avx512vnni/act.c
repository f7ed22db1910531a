/* Quantization of activations into tiles; the rule is in kernels.h. */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/quantize.h"

/* Sums of the eight i32 of each of four vectors. */
static inline __m128i sum_lanes(__m256i a, __m256i b, __m256i c, __m256i d)
{
	__m256i v = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));

	return _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

/* What adds up, over its eight lanes, to the sum of 16 i8. */
static inline __m256i lanes16(__m128i q)
{
	return _mm256_madd_epi16(_mm256_cvtepi8_epi16(q), _mm256_set1_epi16(1));
}

/* Likewise to the sum of a * (b + add). */
static inline __m256i lanes_of_products(__m128i a, __m128i b, short add)
{
	return _mm256_madd_epi16(_mm256_cvtepi8_epi16(a),
				 _mm256_add_epi16(_mm256_cvtepi8_epi16(b), _mm256_set1_epi16(add)));
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
			float *d = (float *)block, *sum = d + n;
			int32_t *nsum = (int32_t *)(sum + n), *cross = nsum + 9 * n;
			__m256i q;

			d[t] = quantize32(&q, _mm512_loadu_ps(row), _mm512_loadu_ps(row + 16), ACT_Q_MAX);
			__m128i low = _mm256_castsi256_si128(q), high = _mm256_extracti128_si256(q, 1);
			__m256i four = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), q);
			__m256i products = lanes_of_products(low, high, 128);
			__m128i sums = sum_lanes(four, products, four, products);

			nsum[t] = -_mm_cvtsi128_si32(sums);
			cross[t] = -_mm_extract_epi32(sums, 1);
			sum[t] = d[t] * (float)-nsum[t];
			scatter(block + 12 * n + 4 * t, 4 * n, low);
			scatter(block + 28 * n + 4 * t, 4 * n, high);
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
			int32_t *cross = (int32_t *)(block + 308 * n);

			for (size_t i = 0; i < 256; i += 16)
				max = _mm512_max_ps(max, _mm512_abs_ps(_mm512_loadu_ps(row + i)));
			float amax = _mm512_reduce_max_ps(max);
			__m512 id = _mm512_set1_ps(quantize_inverse(amax, ACT_Q_MAX));

			d[t] = amax / ACT_Q_MAX;
			for (size_t j = 0; j < 8; j++) {
				__m128i low = quantize16(_mm512_loadu_ps(row + 32 * j), id, ACT_Q_MAX);
				__m128i high = quantize16(_mm512_loadu_ps(row + 32 * j + 16), id, ACT_Q_MAX);
				__m256i products = lanes_of_products(low, high, 120);
				__m128i sums = sum_lanes(lanes16(low), lanes16(high), products, products);
				int first = _mm_cvtsi128_si32(sums), second = _mm_extract_epi32(sums, 1);

				s16[(j * n + t) * 2] = (int16_t)first;
				s16[(j * n + t) * 2 + 1] = (int16_t)second;
				s32[(j / 2 * n + t) * 2 + j % 2] = (int16_t)(first + second);
				cross[j * n + t] = 8 * second - _mm_extract_epi32(sums, 2);
				scatter(block + (52 + 32 * j) * n + 4 * t, 4 * n, low);
				scatter(block + (68 + 32 * j) * n + 4 * t, 4 * n, high);
			}
		}
	}
}
