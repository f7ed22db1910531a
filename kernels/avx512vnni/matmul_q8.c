/*
 * Products of the 32-element types with ACT_Q8 tiles. A zmm is 16 output rows; one vpdpbusd multiplies four k of each row with
 * four activation bytes broadcast from the tile. Weights are unpacked once a block and used for every token of the tile.
 * Unsigned weights carry an offset (8, 16, 128); starting the sum at offset * nsum takes it off.
 */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/sums.h"
#include "kernels/matmul.h"

struct form {
	bool has_min, has_high, eight_bit;
	int offset_log2; /* 0: none */
};

/* The fifth bits of group g (0..7), at bit 4 of each byte. */
INLINE __m512i fifth(__m512i qh, int g)
{
	__m512i s = g <= 4 ? _mm512_slli_epi16(qh, (unsigned)(4 - g)) : _mm512_srli_epi16(qh, (unsigned)(g - 4));

	return _mm512_and_si512(s, _mm512_set1_epi8(0x10));
}

INLINE void block(const size_t n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	const __m512i nibble = _mm512_set1_epi8(15);
	const size_t head = 32 + (f->has_min ? 32 : 0), high = f->has_high ? 64 : 0, n_quad = f->eight_bit ? 8 : 4;
	const uint8_t *nsum = x + ACT_Q8_NSUM(n), *q = x + ACT_Q8_Q(n), *qs = w + head + high;
	__m512i isum[ACT_TILE], qh = f->has_high ? _mm512_loadu_si512(w + head) : nibble;

	if (n >= PREFETCH_TOKENS)
		prefetch(w, head + high + 64 * n_quad);
	for (size_t t = 0; t < n; t++)
		isum[t] = f->offset_log2 ? _mm512_slli_epi32(load4(nsum + 4 * t), (unsigned)f->offset_log2)
					 : _mm512_setzero_si512();
	for (size_t j = 0; j < n_quad; j++) {
		__m512i v = _mm512_loadu_si512(qs + 64 * j);

		if (f->eight_bit) {
			v = _mm512_xor_si512(v, _mm512_set1_epi8((char)0x80));
			for (size_t t = 0; t < n; t++)
				isum[t] = dot4(isum[t], v, q + (j * n + t) * 4);
			continue;
		}
		__m512i lo = _mm512_and_si512(v, nibble), hi = _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble);

		if (f->has_high) {
			lo = _mm512_or_si512(lo, fifth(qh, (int)j));
			hi = _mm512_or_si512(hi, fifth(qh, (int)j + 4));
		}
		for (size_t t = 0; t < n; t++)
			isum[t] = dot4(isum[t], lo, q + (j * n + t) * 4);
		for (size_t t = 0; t < n; t++)
			isum[t] = dot4(isum[t], hi, q + ((j + 4) * n + t) * 4);
	}
	const float *d = (const float *)x, *s = (const float *)(x + ACT_Q8_S(n));
	__m512 dw = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)w));
	__m512 m = f->has_min ? _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(w + 32))) : dw;

	for (size_t t = 0; t < n; t++) {
		acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(dw, _mm512_set1_ps(d[t])), _mm512_cvtepi32_ps(isum[t]), acc[t]);
		if (f->has_min)
			acc[t] = _mm512_fmadd_ps(m, _mm512_set1_ps(s[t]), acc[t]);
	}
}

MATMUL(avx512vnni_matmul_q4_0, block, 32, 18, .offset_log2 = 3)
MATMUL(avx512vnni_matmul_q4_1, block, 32, 20, .has_min = true)
MATMUL(avx512vnni_matmul_q5_0, block, 32, 22, .offset_log2 = 4, .has_high = true)
MATMUL(avx512vnni_matmul_q5_1, block, 32, 24, .has_min = true, .has_high = true)
MATMUL(avx512vnni_matmul_q8_0, block, 32, 34, .offset_log2 = 7, .eight_bit = true)

const struct matmul_row avx512vnni_matmul_q8[] = {
	{ QUANT_Q4_0, avx512vnni_matmul_q4_0 }, { QUANT_Q4_1, avx512vnni_matmul_q4_1 },
	{ QUANT_Q5_0, avx512vnni_matmul_q5_0 }, { QUANT_Q5_1, avx512vnni_matmul_q5_1 },
	{ QUANT_Q8_0, avx512vnni_matmul_q8_0 }, { .matmul = NULL },
};
