/*
 * Products of Q4_K, Q5_K and Q6_K with ACT_Q8_K tiles. Sub-block sums are scaled as integers and meet in one i32 a token and
 * 256-block; the minima come from the tile's sums of q by vpdpwssd on pairs, and Q6_K's sums start where its offset of 32 puts them.
 */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/k.h"
#include "kernels/matmul.h"

/* Of Q4_K and Q5_K. */
struct form {
	bool five;
};

INLINE void block_k45(const size_t n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	const __m512i nibble = _mm512_set1_epi8(15), bit4 = _mm512_set1_epi8(16);
	const bool five = f->five;
	const size_t share = PANEL_ROWS * (five ? 176 : 144) / 8; /* of a sub-block */
	const uint8_t *q = x + ACT_Q8_K_Q(n), *sc = w + 64, *qh = sc + 192, *qs = qh + (five ? 512 : 0);
	__m512i isum[ACT_TILE], part[ACT_TILE];
	uint8_t scales[8][PANEL_ROWS];

	unpack_scales6(scales, sc);
	for (size_t t = 0; t < n; t++)
		isum[t] = _mm512_setzero_si512();
	for (size_t s = 0; s < 8; s++) {
		__m512i scale = scale6(scales[s]);

		if (n >= PREFETCH_TOKENS)
			prefetch(w + s * share, share);
		for (size_t t = 0; t < n; t++)
			part[t] = _mm512_setzero_si512();
		for (size_t j = 0; j < 8; j++) {
			__m512i v = _mm512_loadu_si512(qs + (s / 2 * 8 + j) * 64);

			v = _mm512_and_si512(s % 2 ? _mm512_srli_epi16(v, 4) : v, nibble);
			if (five) {
				__m512i h = _mm512_loadu_si512(qh + j * 64);

				h = s <= 4 ? _mm512_slli_epi16(h, (unsigned)(4 - s))
					   : _mm512_srli_epi16(h, (unsigned)(s - 4));
				v = _mm512_or_si512(v, _mm512_and_si512(h, bit4));
			}
			for (size_t t = 0; t < n; t++)
				part[t] = dot4(part[t], v, q + ((s * 8 + j) * n + t) * 4);
		}
		for (size_t t = 0; t < n; t++)
			isum[t] = _mm512_add_epi32(isum[t], _mm512_mullo_epi32(part[t], scale));
	}
	end_block_k45(n, acc, w, x, isum);
}

INLINE void block_q6_k(const size_t n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	const __m512i nibble = _mm512_set1_epi8(15), high = _mm512_set1_epi8(0x30);
	const float *d = (const float *)x;
	const uint8_t *q = x + ACT_Q8_K_Q(n), *off = x + ACT_Q8_K_OFF(n), *sc = w + 32, *sub = sc + 256;
	__m512i isum[ACT_TILE], part[ACT_TILE];

	(void)f;
	for (size_t t = 0; t < n; t++)
		isum[t] = _mm512_setzero_si512();
	for (size_t s = 0; s < 16; s++) {
		__m512i scale = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(sc + 16 * s)));
		__m512i h = _mm512_loadu_si512(sub + 192 * s);
		__m512i a = _mm512_loadu_si512(sub + 192 * s + 64), c = _mm512_loadu_si512(sub + 192 * s + 128), v[4];

		v[0] = _mm512_or_si512(_mm512_and_si512(a, nibble), _mm512_and_si512(_mm512_slli_epi16(h, 4), high));
		v[1] = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(a, 4), nibble),
				       _mm512_and_si512(_mm512_slli_epi16(h, 2), high));
		v[2] = _mm512_or_si512(_mm512_and_si512(c, nibble), _mm512_and_si512(h, high));
		v[3] = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(c, 4), nibble),
				       _mm512_and_si512(_mm512_srli_epi16(h, 2), high));
		if (n >= PREFETCH_TOKENS)
			prefetch(w + s * 210, 210);
		for (size_t t = 0; t < n; t++)
			part[t] = load4(off + 4 * (s * n + t));
		for (size_t j = 0; j < 4; j++)
			for (size_t t = 0; t < n; t++)
				part[t] = dot4(part[t], v[j], q + ((s * 4 + j) * n + t) * 4);
		for (size_t t = 0; t < n; t++)
			isum[t] = _mm512_add_epi32(isum[t], _mm512_mullo_epi32(part[t], scale));
	}
	__m512 dw = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)w));

	for (size_t t = 0; t < n; t++)
		acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(dw, _mm512_set1_ps(d[t])), _mm512_cvtepi32_ps(isum[t]), acc[t]);
}

MATMUL(avx512vnni_matmul_q4_k, block_k45, 256, 144, .five = false)
MATMUL(avx512vnni_matmul_q5_k, block_k45, 256, 176, .five = true)
MATMUL(avx512vnni_matmul_q6_k, block_q6_k, 256, 210)

const struct matmul_row avx512vnni_matmul_k[] = {
	{ QUANT_Q4_K, avx512vnni_matmul_q4_k },
	{ QUANT_Q5_K, avx512vnni_matmul_q5_k },
	{ QUANT_Q6_K, avx512vnni_matmul_q6_k },
	{ .matmul = NULL },
};
