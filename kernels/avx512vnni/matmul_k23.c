/*
 * Products of Q2_K and Q3_K with ACT_Q8_K tiles. A quant of two bits has four values, and 128 bits hold four rows: so vpshufb
 * looks up quant * scale, already multiplied, in a table of [4 rows][4 quants] bytes that is made once a sub-block. Nothing is
 * left to scale afterwards: vpdpbusd runs over all 256 k into one sum a token.
 *   Q2_K  quant * scale is 0..45.
 *   Q3_K  (quant - 4) * scale is -124..128 and 127 more than that 3..255, still a byte; the tile's sums take the 127 off. A set
 *         third bit adds 4 * scale. Bytes wrap on the way there, which the result cannot see.
 * Exact: the sum stays below 255 * 127 * 256 < 2^23.
 */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/sums.h"
#include "kernels/matmul.h"

struct form {
	bool three;
};

/* A byte times these: its products with 0..3 and with 4, while they fit a byte. */
#define TIMES_0123 0x03020100
#define TIMES_4444 0x04040404

/* For the four values of two bits; `high` is what a set third bit adds. */
struct products {
	__m512i table, high;
};

INLINE __m512i widen(const uint8_t *p)
{
	return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}

/* With u = scale + 32 = 0..63: (q - 4) * (u - 32) + 127 = q * u - 4 * u + (255 - 32 * q), and 4 * (u - 32) = 4 * u - 128. */
INLINE struct products products(const bool three, const uint8_t *sc)
{
	__m512i u = widen(sc), times_q = _mm512_mullo_epi32(u, _mm512_set1_epi32(TIMES_0123)), times_4;

	if (!three)
		return (struct products){ .table = times_q };
	times_4 = _mm512_mullo_epi32(u, _mm512_set1_epi32(TIMES_4444));
	times_q = _mm512_add_epi8(times_q, _mm512_set1_epi32((int)0x9fbfdfffu));
	return (struct products){ .table = _mm512_sub_epi8(times_q, times_4),
				  .high = _mm512_add_epi8(times_4, _mm512_set1_epi8((char)0x80)) };
}

/* Sixteen scales of sixteen rows, Q3_K's plus 32, from the panel's sc (quant.h). */
INLINE void scales(const bool three, uint8_t u[16][16], const uint8_t *sc)
{
	const __m512i nibble = _mm512_set1_epi8(15), two = _mm512_set1_epi8(0x30);
	__m512i high = three ? _mm512_loadu_si512(sc + 128) : nibble;

	for (unsigned i = 0; i < 4; i++) { /* sub-blocks 4i..4i+3 */
		__m512i v = _mm512_loadu_si512(sc + 64 * (three ? i % 2 : i));

		if (three && i > 1)
			v = _mm512_srli_epi16(v, 4);
		v = _mm512_and_si512(v, nibble);
		if (three) {
			__m512i h = i < 2 ? _mm512_slli_epi16(high, 4 - 2 * i) : _mm512_srli_epi16(high, 2 * i - 4);

			v = _mm512_or_si512(v, _mm512_and_si512(h, two));
		}
		_mm512_storeu_si512(u[4 * i], v);
	}
}

/* Sums of quant * scale * q for the tile's n tokens, in `ways` parts that are independent chains while few tokens are. */
INLINE void dot_block(const bool three, __m512i *sum, const size_t ways, const uint8_t *w, const uint8_t *q,
		      const size_t n)
{
	const __m512i row = _mm512_set1_epi64(0x0404040400000000),
		      rows = _mm512_or_si512(row, _mm512_setr_epi64(0, 0x0808080808080808, 0, 0x0808080808080808, 0,
								    0x0808080808080808, 0, 0x0808080808080808));
	const __m512i low2 = _mm512_set1_epi8(3);
	const uint8_t *hm = w + 224, *qs = three ? hm + 512 : w + 320;
	const size_t share = PANEL_ROWS * (three ? 110 : 84) / 4;
	uint8_t u[16][16];

	scales(three, u, w + (three ? 32 : 64));
	for (size_t i = 0; i < 4; i++) { /* half h of the block; groups j = 4m..4m+3 of its 32 a quarter */
		size_t h = i / 2, m = i % 2;
		struct products p[4];

		if (three || n >= PREFETCH_TOKENS)
			prefetch(w + i * share, share);
		for (size_t c = 0; c < 4; c++)
			p[c] = products(three, u[8 * h + 2 * c + m]);
		for (size_t j = 4 * m; j < 4 * m + 4; j++) {
			__m512i v = _mm512_loadu_si512(qs + (8 * h + j) * 64);
			__m512i bits = three ? _mm512_loadu_si512(hm + j * 64) : low2;

			for (size_t c = 0; c < 4; c++) {
				__m512i at = _mm512_srli_epi16(v, (unsigned)(2 * c)), x;

				at = _mm512_ternarylogic_epi32(at, low2, rows, 0xea); /* (at & 3) | rows */
				x = _mm512_shuffle_epi8(p[c].table, at);
				if (three) {
					__mmask64 set =
						_mm512_test_epi8_mask(bits, _mm512_set1_epi8((char)(1 << (4 * h + c))));

					x = _mm512_mask_add_epi8(x, set, x, p[c].high);
				}
				for (size_t t = 0; t < n; t++)
					sum[c % ways * n + t] =
						dot4(sum[c % ways * n + t], x, q + ((32 * h + 8 * c + j) * n + t) * 4);
			}
		}
	}
}

/* Q2_K: sum of min * sum16. */
INLINE void dot_mins(__m512i *sum, const uint8_t *sc, const uint8_t *sum16, const size_t n)
{
	for (size_t p = 0; p < 8; p++) {
		__m512i a = _mm512_srli_epi32(widen(sc + 32 * p), 4),
			b = _mm512_slli_epi32(widen(sc + 32 * p + 16), 12);
		__m512i pair = _mm512_ternarylogic_epi32(b, _mm512_set1_epi32(0xf0000), a, 0xea); /* (b & mask) | a */

		for (size_t t = 0; t < n; t++)
			sum[t] = dot2(sum[t], pair, sum16 + (p * n + t) * 4);
	}
}

INLINE void block(const size_t n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	const bool three = f->three;
	const size_t ways = n == 1 ? 4 : n < 4 ? 2 : 1;
	const float *d = (const float *)x;
	const uint8_t *sum32 = x + ACT_Q8_K_SUM32(n), *sum16 = x + ACT_Q8_K_SUM16(n), *q = x + ACT_Q8_K_Q(n);
	__m512 dw = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)w));
	__m512i sum[4 * ACT_TILE], mins[ACT_TILE];

	for (size_t i = 0; i < ways * n; i++)
		sum[i] = _mm512_setzero_si512();
	for (size_t p = 0; three && p < 4; p++)
		for (size_t t = 0; t < n; t++)
			sum[t] = dot2(sum[t], _mm512_set1_epi16(-127), sum32 + (p * n + t) * 4);
	dot_block(three, sum, ways, w, q, n);
	for (size_t i = n; i < ways * n; i++)
		sum[i % n] = _mm512_add_epi32(sum[i % n], sum[i]);
	for (size_t t = 0; t < n; t++)
		mins[t] = _mm512_setzero_si512();
	if (!three)
		dot_mins(mins, w + 64, sum16, n);
	__m512 dmin = three ? dw : _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(w + 32)));

	for (size_t t = 0; t < n; t++) {
		__m512 da = _mm512_set1_ps(d[t]);

		acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(dw, da), _mm512_cvtepi32_ps(sum[t]), acc[t]);
		if (!three)
			acc[t] = _mm512_fnmadd_ps(_mm512_mul_ps(dmin, da), _mm512_cvtepi32_ps(mins[t]), acc[t]);
	}
}

MATMUL(avx512vnni_matmul_q2_k, block, 256, 84, .three = false)
MATMUL(avx512vnni_matmul_q3_k, block, 256, 110, .three = true)

const struct matmul_row avx512vnni_matmul_k23[] = {
	{ QUANT_Q2_K, avx512vnni_matmul_q2_k },
	{ QUANT_Q3_K, avx512vnni_matmul_q3_k },
	{ .matmul = NULL },
};
