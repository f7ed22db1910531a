/* Q4_K with ACT_Q8_K tiles, five tokens and up, by pairs.h; fewer as in avx512vnni/. */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/k.h"
#include "kernels/zen4/pairs.h"
#include "kernels/zen4/zen4.h"

INLINE void block_q4_k(const size_t n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x)
{
	const __m512i nibble = _mm512_set1_epi8(15);
	const size_t share = PANEL_ROWS * 144 / 8; /* of a sub-block */
	const int32_t *cross = (const int32_t *)(x + ACT_Q8_K_CROSS(n));
	const uint8_t *sc = w + 64, *qs = sc + 192;
	__m512i isum[ACT_TILE], rows = _mm512_setzero_si512();
	uint8_t scales[8][PANEL_ROWS];

	(void)f;
	unpack_scales6(scales, sc);
	for (size_t t = 0; t < n; t++)
		isum[t] = _mm512_setzero_si512();
	for (size_t s = 0; s < 8; s++) {
		__m512i scale = scale6(scales[s]), part[ACT_TILE], row = _mm512_setzero_si512();
		const uint8_t *q = x + ACT_Q8_K_Q(n) + 32 * s * n;

		prefetch(w + s * share, share);
		for (size_t t = 0; t < n; t++)
			part[t] = t < by_sums(n) ? _mm512_set1_epi32(cross[s * n + t]) : _mm512_setzero_si512();
		for (size_t j = 0; j < 4; j++) {
			__m512i lo = _mm512_loadu_si512(qs + (s / 2 * 8 + j) * 64);
			__m512i hi = _mm512_loadu_si512(qs + (s / 2 * 8 + j + 4) * 64);

			lo = _mm512_and_si512(s % 2 ? _mm512_srli_epi16(lo, 4) : lo, nibble);
			hi = _mm512_and_si512(s % 2 ? _mm512_srli_epi16(hi, 4) : hi, nibble);
			dot_pairs(n, part, &row, lo, hi, q + 4 * n * j, q + 4 * n * (j + 4));
		}
		for (size_t t = 0; t < n; t++)
			isum[t] = _mm512_add_epi32(isum[t], _mm512_mullo_epi32(part[t], scale));
		rows = _mm512_add_epi32(rows, _mm512_mullo_epi32(row, scale));
	}
	for (size_t t = 0; t < by_sums(n); t++)
		isum[t] = _mm512_sub_epi32(isum[t], rows);
	end_block_k45(n, acc, w, x, isum);
}

MATMUL_BY(walk_many, zen4_matmul_q4_k, block_q4_k, 256, 144, .fewer = avx512vnni_matmul_q4_k)

const struct matmul_row zen4_matmul_k[] = {
	{ QUANT_Q4_K, zen4_matmul_q4_k },
	{ .matmul = NULL },
};
