/* Helpers for packing: every panel field is the rows' bytes interleaved `width` at a time. */
#ifndef GYRE_KERNELS_REF_PANEL_H
#define GYRE_KERNELS_REF_PANEL_H

#include "kernels/constant_n.h"
#include "kernels/f16.h"
#include "kernels/ref/ref.h"
#include "kernels/ref/types.h"

#include <string.h>

/* What every x86-64 has, so that packing, which a model's load waits for, needs no ISA folder. */
typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint16_t words8 __attribute__((vector_size(16)));
typedef uint32_t dwords4 __attribute__((vector_size(16)));

/* Elements of `width` bytes of a and b in turn: of their low halves, and of their high ones. */
static inline bytes16 zip_low(bytes16 a, bytes16 b, size_t width)
{
	if (width == 1)
		return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
	if (width == 2)
		return (bytes16)__builtin_shufflevector((words8)a, (words8)b, 0, 8, 1, 9, 2, 10, 3, 11);
	return (bytes16)__builtin_shufflevector((dwords4)a, (dwords4)b, 0, 4, 1, 5);
}

static inline bytes16 zip_high(bytes16 a, bytes16 b, size_t width)
{
	if (width == 1)
		return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
	if (width == 2)
		return (bytes16)__builtin_shufflevector((words8)a, (words8)b, 4, 12, 5, 13, 6, 14, 7, 15);
	return (bytes16)__builtin_shufflevector((dwords4)a, (dwords4)b, 2, 6, 3, 7);
}

/* Zips the upper half of v[n] with the lower one, which rotates the bits of an element's index to the left by one. */
INLINE void rotate(bytes16 *v, size_t n, size_t width)
{
	bytes16 z[PANEL_ROWS];

	for (size_t r = 0; r < n / 2; r++) {
		z[2 * r] = zip_low(v[r], v[r + n / 2], width);
		z[2 * r + 1] = zip_high(v[r], v[r + n / 2], width);
	}
	memcpy(v, z, n * sizeof(*v));
}

/*
 * Sixteen bytes of each row -> dst[16 / width][row][width], a square of n x n elements at a time: the row and the
 * element change places in an index when it has rotated by half of its bits.
 */
INLINE void transpose(uint8_t *dst, const uint8_t *src, size_t stride, size_t width)
{
	const size_t n = sizeof(bytes16) / width;

	for (size_t r0 = 0; r0 < PANEL_ROWS; r0 += n) {
		bytes16 v[PANEL_ROWS];

		for (size_t r = 0; r < n; r++)
			memcpy(&v[r], src + (r0 + r) * stride, sizeof(v[r]));
		rotate(v, n, width);
		rotate(v, n, width);
		if (n >= 8)
			rotate(v, n, width);
		if (n >= 16)
			rotate(v, n, width);
		for (size_t g = 0; g < n; g++)
			memcpy(dst + (g * PANEL_ROWS + r0) * width, &v[g], sizeof(v[g]));
	}
}

/* An element of each row, eight bytes at a time: sixteen small stores would take as long as a square. */
INLINE void gather(uint8_t *dst, const uint8_t *src, size_t stride, size_t width)
{
	const size_t n = sizeof(uint64_t) / width;

	for (size_t r0 = 0; r0 < PANEL_ROWS; r0 += n) {
		uint64_t v = 0;

		for (size_t r = n; r-- > 0;) {
			uint64_t e = 0;

			memcpy(&e, src + (r0 + r) * stride, width);
			v = v << 8 * width | e;
		}
		memcpy(dst + r0 * width, &v, sizeof(v));
	}
}

/*
 * n_group groups of `width` (1, 2 or 4) bytes from each of 16 rows, stride bytes apart -> dst[n_group][16][width]; returns the
 * end of dst. Inline with a constant width: a call a field costs more than a small field.
 */
INLINE uint8_t *panel_interleave(uint8_t *dst, const uint8_t *src, size_t stride, size_t width, size_t n_group)
{
	size_t n = sizeof(bytes16) / width;

	for (; n_group >= n; n_group -= n, src += sizeof(bytes16), dst += PANEL_ROWS * sizeof(bytes16))
		transpose(dst, src, stride, width);
	for (; n_group; n_group--, src += width, dst += PANEL_ROWS * width)
		gather(dst, src, stride, width);
	return dst;
}

/* Row r of src[n_group][16][width] -> dst; returns the end of src. */
const uint8_t *panel_extract(uint8_t *dst, const uint8_t *src, int r, size_t width, size_t n_group);

/* Exchanges the bits under mask with those `by` places above. */
static inline uint32_t panel_bits_swap(uint32_t v, uint32_t mask, int by)
{
	uint32_t t = (v >> by ^ v) & mask;

	return v ^ t ^ t << by;
}

/*
 * 32 fifth bits: GGUF's bit k of a little-endian u32 <-> bit g of byte i for k = 4g + i. The five bits of an index k rotate
 * by two places, in four exchanges of two of them.
 */
static inline uint32_t panel_bits_spread(uint32_t v)
{
	v = panel_bits_swap(v, 0x22222222, 1);
	v = panel_bits_swap(v, 0x0a0a0a0a, 3);
	v = panel_bits_swap(v, 0x00cc00cc, 6);
	return panel_bits_swap(v, 0x0000f0f0, 12);
}

static inline uint32_t panel_bits_gather(uint32_t v)
{
	v = panel_bits_swap(v, 0x0000f0f0, 12);
	v = panel_bits_swap(v, 0x00cc00cc, 6);
	v = panel_bits_swap(v, 0x0a0a0a0a, 3);
	return panel_bits_swap(v, 0x22222222, 1);
}

#endif
