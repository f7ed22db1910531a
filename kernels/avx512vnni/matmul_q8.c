/*
 * Products of the 32-element types with ACT_Q8 tiles. A zmm is 16 output rows; one vpdpbusd multiplies four k of each row with
 * four activation bytes broadcast from the tile. Weights are unpacked once a block and used for every token of the tile.
 * Unsigned weights carry an offset (8, 16, 128); starting the sum at offset * nsum takes it off.
 */
#include "kernels/avx512vnni/avx512vnni.h"

struct form {
	bool has_min, has_high, eight_bit;
	int offset_log2; /* 0: none */
};

static inline __attribute__((always_inline)) __m512i bcast(const void *p)
{
	int32_t v;
	memcpy(&v, p, 4);
	return _mm512_set1_epi32(v);
}

/* The fifth bits of group g (0..7), at bit 4 of each byte. */
static inline __attribute__((always_inline)) __m512i fifth(__m512i qh, int g)
{
	__m512i s = g <= 4 ? _mm512_slli_epi16(qh, (unsigned)(4 - g)) : _mm512_srli_epi16(qh, (unsigned)(g - 4));

	return _mm512_and_si512(s, _mm512_set1_epi8(0x10));
}

/* Of a panel. */
static inline __attribute__((always_inline)) size_t block_bytes(const struct form f)
{
	return 32 + (f.has_min ? 32 : 0) + (f.has_high ? 64 : 0) + (f.eight_bit ? 512 : 256);
}

/* Adds a block of a panel to acc. */
static inline __attribute__((always_inline)) void block(const struct form f, __m512 *acc, const uint8_t *w,
							const uint8_t *x, const size_t n)
{
	const __m512i nibble = _mm512_set1_epi8(15);
	const size_t head = 32 + (f.has_min ? 32 : 0), high = f.has_high ? 64 : 0, n_quad = f.eight_bit ? 8 : 4;
	const uint8_t *q = x + 12 * n, *qs = w + head + high;
	__m512i isum[ACT_TILE], qh = f.has_high ? _mm512_loadu_si512(w + head) : nibble;

	for (size_t i = 0; i < block_bytes(f); i += 64)
		_mm_prefetch((const char *)w + PREFETCH_BYTES + i, _MM_HINT_T0);
	for (size_t t = 0; t < n; t++)
		isum[t] = f.offset_log2 ? _mm512_slli_epi32(bcast(x + 8 * n + 4 * t), (unsigned)f.offset_log2)
					: _mm512_setzero_si512();
	for (size_t j = 0; j < n_quad; j++) {
		__m512i v = _mm512_loadu_si512(qs + 64 * j);

		if (f.eight_bit) {
			v = _mm512_xor_si512(v, _mm512_set1_epi8((char)0x80));
			for (size_t t = 0; t < n; t++)
				isum[t] = dot4(isum[t], v, q + (j * n + t) * 4);
			continue;
		}
		__m512i lo = _mm512_and_si512(v, nibble), hi = _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble);

		if (f.has_high) {
			lo = _mm512_or_si512(lo, fifth(qh, (int)j));
			hi = _mm512_or_si512(hi, fifth(qh, (int)j + 4));
		}
		for (size_t t = 0; t < n; t++)
			isum[t] = dot4(isum[t], lo, q + (j * n + t) * 4);
		for (size_t t = 0; t < n; t++)
			isum[t] = dot4(isum[t], hi, q + ((j + 4) * n + t) * 4);
	}
	const float *d = (const float *)x;
	__m512 dw = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)w));
	__m512 m = f.has_min ? _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(w + 32))) : dw;

	for (size_t t = 0; t < n; t++) {
		acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(dw, _mm512_set1_ps(d[t])), _mm512_cvtepi32_ps(isum[t]), acc[t]);
		if (f.has_min)
			acc[t] = _mm512_fmadd_ps(m, _mm512_set1_ps(d[n + t]), acc[t]);
	}
}

static inline __attribute__((always_inline)) void tile(const struct form f, float *y, size_t y_stride, const uint8_t *w,
						       const uint8_t *x, const size_t n, const struct chunks *k)
{
	__m512 acc[ACT_TILE];
	struct wait wait;
	uint32_t c = 0;

	do {
		for (size_t t = 0; t < n; t++)
			acc[t] = _mm512_setzero_ps();
		for (size_t b = k->cut[c] / 32; b < k->cut[c + 1] / 32; b++, x += ACT_Q8_BYTES(n), w += block_bytes(f))
			block(f, acc, w, x, n);
	} while (next_chunk(n, k, &c, acc, &wait));
	for (size_t t = 0; t < n; t++)
		_mm512_storeu_ps(y + t * y_stride, acc[t]);
}

static inline __attribute__((always_inline)) void panels(const int n, const struct form f, float *y, size_t y_stride,
							 const void *w, const void *x, const struct chunks *k,
							 size_t panel0, size_t panel1)
{
	size_t panel_bytes = k->cut[k->n] / 32 * block_bytes(f);

	for (size_t p = panel0; p < panel1; p++)
		tile(f, y + p * PANEL_ROWS, y_stride, (const uint8_t *)w + p * panel_bytes, x, (size_t)n, k);
}

#define MATMUL(name, ...)                                                                             \
	void avx512vnni_matmul_##name(float *y, size_t y_stride, const void *w, const void *x, int n, \
				      const struct chunks *k, size_t p0, size_t p1)                   \
	{                                                                                             \
		const struct form f = { __VA_ARGS__ };                                                \
		WITH_CONSTANT_8(n, panels, f, y, y_stride, w, x, k, p0, p1)                           \
	}

MATMUL(q4_0, .offset_log2 = 3)
MATMUL(q4_1, .has_min = true)
MATMUL(q5_0, .offset_log2 = 4, .has_high = true)
MATMUL(q5_1, .has_min = true, .has_high = true)
MATMUL(q8_0, .offset_log2 = 7, .eight_bit = true)
