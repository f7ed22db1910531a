/*
 * Products of the types whose nibbles index a table: IQ4_NL and MXFP4 with ACT_Q8 tiles, IQ4_XS with ACT_Q8_K tiles. vpshufb
 * looks 64 values up at once, the table standing in each 128-bit lane. vpdpbusd takes them unsigned, so the table holds them
 * plus 2^offset_log2, and the tile's sums of q take that off. Exact: no sum of one block reaches 255 * 127 * 256 < 2^23, nor
 * 2^28 once multiplied by IQ4_XS's scales (-32..31).
 */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/sums.h"
#include "kernels/codes.h"
#include "kernels/matmul.h"

struct form {
	const int8_t *codes;
	int offset_log2;
	bool is_e8m0;
};

INLINE __m512i load_table(const struct form *f)
{
	__m128i codes = _mm_loadu_si128((const __m128i *)f->codes);

	return _mm512_broadcast_i32x4(_mm_add_epi8(codes, _mm_set1_epi8((char)(1 << f->offset_log2))));
}

/* Halves of sixteen E8M0 scales: 2^(e - 128), subnormal for 0 and 1. */
INLINE __m512 load_e8m0(const uint8_t *p)
{
	__m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
	__m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
	__mmask16 tiny = _mm512_cmplt_epu32_mask(e, _mm512_set1_epi32(2));

	return _mm512_castsi512_ps(_mm512_mask_sllv_epi32(normal, tiny, _mm512_set1_epi32(0x00200000), e));
}

/* Adds the products of 32 values a row (16 bytes of nibbles) with q[8][n][4]. */
INLINE void dot32(__m512i *sum, __m512i table, const uint8_t *qs, const uint8_t *q, const size_t n)
{
	const __m512i nibble = _mm512_set1_epi8(15);

	for (size_t j = 0; j < 4; j++) {
		__m512i v = _mm512_loadu_si512(qs + 64 * j);
		__m512i lo = _mm512_shuffle_epi8(table, _mm512_and_si512(v, nibble));
		__m512i hi = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble));

		for (size_t t = 0; t < n; t++)
			sum[t] = dot4(sum[t], lo, q + (j * n + t) * 4);
		for (size_t t = 0; t < n; t++)
			sum[t] = dot4(sum[t], hi, q + ((j + 4) * n + t) * 4);
	}
}

INLINE void block_32(const size_t n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	const size_t head = f->is_e8m0 ? 16 : 32;
	const float *d = (const float *)x;
	const int32_t *nsum = (const int32_t *)(x + ACT_Q8_NSUM(n));
	__m512 dw = f->is_e8m0 ? load_e8m0(w) : _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)w));
	__m512i table = load_table(f), isum[ACT_TILE];

	if (n >= PREFETCH_TOKENS)
		prefetch(w, head + 256);
	for (size_t t = 0; t < n; t++)
		isum[t] = _mm512_slli_epi32(_mm512_set1_epi32(nsum[t]), (unsigned)f->offset_log2);
	dot32(isum, table, w + head, x + ACT_Q8_Q(n), n);
	for (size_t t = 0; t < n; t++)
		acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(dw, _mm512_set1_ps(d[t])), _mm512_cvtepi32_ps(isum[t]), acc[t]);
}

/* IQ4_XS's eight six-bit scales of sixteen rows -> scale[s % 2][s / 2][16], from sh[2][16] and sl[4][16] (quant.h). */
INLINE void scales(int8_t scale[2][4][16], const uint8_t *sh)
{
	const __m512i nibble = _mm512_set1_epi8(15), high = _mm512_set1_epi8(0x30), bias = _mm512_set1_epi8(32);
	__m512i low = _mm512_loadu_si512(sh + 32);
	__m512i h = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)sh));

	h = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3), h);
	/* Bits 2 * (s % 4) of each 16-byte lane to bit 4: the lanes hold s / 2 = 0..3. */
	__m512i even = _mm512_mask_slli_epi16(h, 0x00ff00ffu, h, 4),
		odd = _mm512_mask_blend_epi16(0xff00ff00u, _mm512_slli_epi16(h, 2), _mm512_srli_epi16(h, 2));

	even = _mm512_or_si512(_mm512_and_si512(low, nibble), _mm512_and_si512(even, high));
	odd = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(low, 4), nibble), _mm512_and_si512(odd, high));
	_mm512_storeu_si512(scale[0], _mm512_sub_epi8(even, bias));
	_mm512_storeu_si512(scale[1], _mm512_sub_epi8(odd, bias));
}

INLINE __m512i widen(const int8_t *p)
{
	return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
}

INLINE void block_xs(const size_t n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	const float *d = (const float *)x;
	const uint8_t *sum32 = x + ACT_Q8_K_SUM32(n), *q = x + ACT_Q8_K_Q(n);
	__m512 dw = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)w));
	int8_t scale[2][4][16];
	__m512i table = load_table(f), isum[ACT_TILE], part[ACT_TILE];

	scales(scale, w + 32);
	for (size_t t = 0; t < n; t++)
		isum[t] = _mm512_setzero_si512();
	for (size_t p = 0; p < 4; p++) {
		__m512i pair = _mm512_mask_blend_epi16(0xaaaaaaaau, widen(scale[0][p]),
						       _mm512_slli_epi32(widen(scale[1][p]), 16));

		for (size_t t = 0; t < n; t++)
			isum[t] = dot2(isum[t], pair, sum32 + (p * n + t) * 4);
	}
	for (size_t t = 0; t < n; t++)
		isum[t] =
			_mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(isum[t], (unsigned)f->offset_log2));
	for (size_t s = 0; s < 8; s++) {
		__m512i sc = widen(scale[s % 2][s / 2]);

		if (n >= PREFETCH_TOKENS)
			prefetch(w + s * 272, 272);
		for (size_t t = 0; t < n; t++)
			part[t] = _mm512_setzero_si512();
		dot32(part, table, w + 128 + s * 256, q + s * 32 * n, n);
		for (size_t t = 0; t < n; t++)
			isum[t] = _mm512_add_epi32(isum[t], _mm512_mullo_epi32(part[t], sc));
	}
	for (size_t t = 0; t < n; t++)
		acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(dw, _mm512_set1_ps(d[t])), _mm512_cvtepi32_ps(isum[t]), acc[t]);
}

MATMUL(avx512vnni_matmul_iq4_nl, block_32, 32, 18, .codes = codes_iq4, .offset_log2 = 7)
MATMUL(avx512vnni_matmul_mxfp4, block_32, 32, 17, .codes = codes_mxfp4, .offset_log2 = 4, .is_e8m0 = true)
MATMUL(avx512vnni_matmul_iq4_xs, block_xs, 256, 136, .codes = codes_iq4, .offset_log2 = 7)

const struct matmul_row avx512vnni_matmul_iq[] = {
	{ QUANT_IQ4_NL, avx512vnni_matmul_iq4_nl },
	{ QUANT_MXFP4, avx512vnni_matmul_mxfp4 },
	{ QUANT_IQ4_XS, avx512vnni_matmul_iq4_xs },
	{ .matmul = NULL },
};
