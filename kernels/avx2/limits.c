/* 32-byte loads; and eight maddubs that meet in int16 before one madd, the densest chain that AVX2 has. */
#include "kernels/constant_n.h"
#include "kernels/isa.h"

#include <immintrin.h>

INLINE uint64_t read_streams(const uint8_t *p, size_t part, size_t n_stream, size_t ahead)
{
	__m256i acc[16] = { _mm256_setzero_si256() };
	uint64_t x[4];

	for (size_t k = 1; k < 16; k++)
		acc[k] = acc[0];
	for (size_t i = 0; i < part; i += 512 / n_stream)
		for (size_t s = 0; s < n_stream; s++)
			for (size_t u = 0; u < 8 / n_stream; u++) {
				const uint8_t *at = p + s * part + i + 64 * u;

				if (ahead)
					_mm_prefetch((const char *)at + ahead, _MM_HINT_T0);
				acc[u] = _mm256_xor_si256(acc[u], _mm256_load_si256((const __m256i *)at));
				acc[8 + u] =
					_mm256_xor_si256(acc[8 + u], _mm256_load_si256((const __m256i *)(at + 32)));
			}
	for (size_t k = 1; k < 16; k++)
		acc[0] = _mm256_xor_si256(acc[0], acc[k]);
	_mm256_storeu_si256((__m256i *)x, acc[0]);
	return x[0] ^ x[1] ^ x[2] ^ x[3];
}

#include "kernels/limit_read.h"

static uint64_t limit_mul_add(uint64_t n)
{
	__m256i x = _mm256_set1_epi8(5), one = _mm256_set1_epi16(1), w[8], acc = _mm256_setzero_si256();

	for (int k = 0; k < 8; k++)
		w[k] = _mm256_set1_epi8((char)k);
	for (uint64_t i = 0; i < n; i++) {
		__m256i s[8];

		/* Else nothing here would depend on the round. */
		for (int k = 0; k < 8; k++)
			__asm__ volatile("" : "+x"(w[k]));
		for (int k = 0; k < 8; k++)
			s[k] = _mm256_maddubs_epi16(w[k], x);
		for (int k = 4; k > 0; k /= 2)
			for (int j = 0; j < k; j++)
				s[j] = _mm256_add_epi16(s[j], s[j + k]);
		acc = _mm256_add_epi32(acc, _mm256_madd_epi16(s[0], one));
	}
	__asm__ volatile("" : : "x"(acc));
	return n * 256;
}

void limits_avx2_override(struct limits *l)
{
	*l = (struct limits){ limit_read, limit_mul_add };
}
