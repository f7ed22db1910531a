/* Activation tiles; layout and rule in kernels.h. */
#include "kernels/avx2/act.h"
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/quantize.h"
#include "kernels/avx2/simd.h"

/* 8x8 floats: row[t] lane k -> row[k] lane t. */
INLINE void transpose(__m256 row[8])
{
	__m256 a[8], b[8];

	for (int i = 0; i < 8; i += 2) {
		a[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
		a[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
	}
	for (int i = 0; i < 8; i += 4) {
		for (int h = 0; h < 2; h++) {
			b[i + 2 * h] = _mm256_shuffle_ps(a[i + h], a[i + h + 2], 0x44);
			b[i + 2 * h + 1] = _mm256_shuffle_ps(a[i + h], a[i + h + 2], 0xee);
		}
	}
	for (int i = 0; i < 4; i++) {
		row[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
		row[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
	}
}

/* Tokens [t0, t0 + 8), or fewer, of n: columns [0, n_col), a multiple of 8. */
INLINE void pack8_f32(float *y, const float *x, size_t x_stride, size_t t0, size_t n, size_t n_col)
{
	const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	const __m256i in = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n - t0)), lane);

	for (size_t k = 0; k < n_col; k += 8) {
		__m256 row[8];

		for (size_t t = 0; t < 8; t++)
			row[t] = t0 + t < n ? _mm256_loadu_ps(x + (t0 + t) * x_stride + k) : _mm256_setzero_ps();
		transpose(row);
		for (size_t i = 0; i < 8; i++)
			_mm256_maskstore_ps(y + (k + i) * n + t0, in, row[i]);
	}
}

void avx2_act_pack_f32(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	size_t n = (size_t)n_tok, whole = n_col - n_col % 8;

	if (n == 1) {
		memcpy(dst, x, n_col * sizeof(float));
		return;
	}
	for (size_t t0 = 0; t0 < n; t0 += 8)
		pack8_f32(dst, x, x_stride, t0, n, whole);
	ref_act_pack_f32((float *)dst + whole * n, x + whole, x_stride, n_tok, n_col - whole);
}

/* Eight groups of four bytes, `step` bytes apart. */
INLINE void scatter(uint8_t *dst, size_t step, __m256i q)
{
	int32_t group[8];

	_mm256_storeu_si256((__m256i *)group, q);
	for (size_t j = 0; j < 8; j++)
		memcpy(dst + j * step, &group[j], 4);
}

void avx2_act_pack_q8(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	size_t n = (size_t)n_tok;

	for (size_t t = 0; t < n; t++) {
		const float *row = x + t * x_stride;
		uint8_t *block = dst;

		for (size_t b = 0; b < n_col / 32; b++, block += ACT_Q8_BYTES(n), row += 32) {
			float *d = (float *)block, *s = (float *)(block + ACT_Q8_S(n));
			int32_t *nsum = (int32_t *)(block + ACT_Q8_NSUM(n)),
				*cross = (int32_t *)(block + ACT_Q8_CROSS(n));
			__m256i q;

			d[t] = quantize_block(&q, row, ACT_Q_MAX);
			__m128i low = _mm256_castsi256_si128(q), high = _mm256_extracti128_si256(q, 1);
			__m256i four = _mm256_add_epi32(lanes16(low), lanes16(high));
			__m256i products = lanes_of_products(low, high, 128);
			__m128i sums = sum_lanes(four, products, four, products);

			nsum[t] = -_mm_cvtsi128_si32(sums);
			cross[t] = -_mm_extract_epi32(sums, 1);
			s[t] = d[t] * (float)-nsum[t];
			scatter(block + ACT_Q8_Q(n) + 4 * t, 4 * n, q);
		}
	}
}

void avx2_act_pack_q8_k(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	size_t n = (size_t)n_tok;

	for (size_t t = 0; t < n; t++) {
		const float *row = x + t * x_stride;
		uint8_t *block = dst;

		for (size_t b = 0; b < n_col / 256; b++, block += ACT_Q8_K_BYTES(n), row += 256) {
			float *d = (float *)block;
			int16_t *sum32 = (int16_t *)(block + ACT_Q8_K_SUM32(n));
			int16_t *sum16 = (int16_t *)(block + ACT_Q8_K_SUM16(n));
			int32_t *cross = (int32_t *)(block + ACT_Q8_K_CROSS(n)),
				*off = (int32_t *)(block + ACT_Q8_K_OFF(n));
			uint8_t *qt = block + ACT_Q8_K_Q(n) + 4 * t;
			__m256i max = _mm256_setzero_si256();

			for (size_t i = 0; i < 256; i += 8)
				max = max_abs(max, row + i);
			float amax = max_lane(max);
			__m256 id = inverse(amax, ACT_Q_MAX);

			d[t] = amax / ACT_Q_MAX;
			for (size_t j = 0; j < 8; j++) {
				__m256i q = quantize32(row + 32 * j, id, ACT_Q_MAX);
				int16_t *pair = sum16 + (j * n + t) * 2;
				__m128i low = _mm256_castsi256_si128(q), high = _mm256_extracti128_si256(q, 1);
				__m256i products = lanes_of_products(low, high, 120);
				__m128i sums = sum_lanes(lanes16(low), lanes16(high), products, products);
				int first = _mm_cvtsi128_si32(sums), second = _mm_extract_epi32(sums, 1);

				pair[0] = (int16_t)first;
				pair[1] = (int16_t)second;
				sum32[(j / 2 * n + t) * 2 + j % 2] = (int16_t)(first + second);
				off[2 * j * n + t] = -32 * first;
				off[(2 * j + 1) * n + t] = -32 * second;
				cross[j * n + t] = 8 * second - _mm_extract_epi32(sums, 2);
				scatter(qt + j * 32 * n, 4 * n, q);
			}
		}
	}
}
