/* Quantization of activations into tiles; the rule is in kernels.h. */
#include "kernels/avx2/act.h"
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/quantize.h"
#include "kernels/avx512vnni/simd.h"

static inline void scatter(uint8_t *dst, size_t step, __m128i q)
{
	int32_t g[4];

	_mm_storeu_si128((__m128i *)g, q);
	for (size_t j = 0; j < 4; j++)
		memcpy(dst + j * step, &g[j], 4);
}

void avx512vnni_act_pack_q8_k(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	size_t n = (size_t)n_tok;

	for (size_t t = 0; t < n; t++) {
		uint8_t *block = dst;
		const float *row = x + t * x_stride;

		for (size_t b = 0; b < n_col / 256; b++, block += ACT_Q8_K_BYTES(n), row += 256) {
			__m512i max = _mm512_setzero_si512();
			float *d = (float *)block;
			int16_t *sum32 = (int16_t *)(block + ACT_Q8_K_SUM32(n));
			int16_t *sum16 = (int16_t *)(block + ACT_Q8_K_SUM16(n));
			int32_t *cross = (int32_t *)(block + ACT_Q8_K_CROSS(n)),
				*off = (int32_t *)(block + ACT_Q8_K_OFF(n));
			uint8_t *qt = block + ACT_Q8_K_Q(n) + 4 * t;

			for (size_t i = 0; i < 256; i += 16)
				max = _mm512_max_epi32(max, abs_bits(_mm512_loadu_ps(row + i)));
			float amax = max_lane(max);
			__m512 id = _mm512_set1_ps(quantize_inverse(amax, ACT_Q_MAX));

			d[t] = amax / ACT_Q_MAX;
			for (size_t j = 0; j < 8; j++) {
				__m128i low = quantize16(_mm512_loadu_ps(row + 32 * j), id, ACT_Q_MAX);
				__m128i high = quantize16(_mm512_loadu_ps(row + 32 * j + 16), id, ACT_Q_MAX);
				__m256i products = lanes_of_products(low, high, 120);
				__m128i sums = sum_lanes(lanes16(low), lanes16(high), products, products);
				int first = _mm_cvtsi128_si32(sums), second = _mm_extract_epi32(sums, 1);

				sum16[(j * n + t) * 2] = (int16_t)first;
				sum16[(j * n + t) * 2 + 1] = (int16_t)second;
				sum32[(j / 2 * n + t) * 2 + j % 2] = (int16_t)(first + second);
				off[2 * j * n + t] = -32 * first;
				off[(2 * j + 1) * n + t] = -32 * second;
				cross[j * n + t] = 8 * second - _mm_extract_epi32(sums, 2);
				scatter(qt + 32 * j * n, 4 * n, low);
				scatter(qt + (32 * j + 16) * n, 4 * n, high);
			}
		}
	}
}
