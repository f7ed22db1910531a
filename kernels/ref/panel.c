#include "kernels/ref/panel.h"

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
static inline __attribute__((always_inline)) void rotate(bytes16 *v, size_t n, size_t width)
{
	bytes16 z[PANEL_ROWS];

	for (size_t r = 0; r < n / 2; r++) {
		z[2 * r] = zip_low(v[r], v[r + n / 2], width);
		z[2 * r + 1] = zip_high(v[r], v[r + n / 2], width);
	}
	memcpy(v, z, n * sizeof(*v));
}

/*
 * Sixteen bytes of each row (+off) -> dst[16 / width][row][width], a square of n x n elements at a time: the row and the
 * element change places in an index when it has rotated by half of its bits.
 */
static inline __attribute__((always_inline)) void transpose(uint8_t *dst, const void *const row[PANEL_ROWS], size_t off,
							    size_t width)
{
	const size_t n = sizeof(bytes16) / width;

	for (size_t r0 = 0; r0 < PANEL_ROWS; r0 += n) {
		bytes16 v[PANEL_ROWS];

		for (size_t r = 0; r < n; r++)
			memcpy(&v[r], (const uint8_t *)row[r0 + r] + off, sizeof(v[r]));
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

static inline __attribute__((always_inline)) uint8_t *interleave(uint8_t *dst, const void *const row[PANEL_ROWS],
								 size_t off, size_t width, size_t n_group)
{
	size_t n = sizeof(bytes16) / width;

	for (; n_group >= n; n_group -= n, off += sizeof(bytes16), dst += PANEL_ROWS * sizeof(bytes16))
		transpose(dst, row, off, width);
	for (; n_group; n_group--, off += width)
		for (int r = 0; r < PANEL_ROWS; r++, dst += width)
			memcpy(dst, (const uint8_t *)row[r] + off, width);
	return dst;
}

/* One copy of the loop a width, so that it is a constant there. */
uint8_t *panel_interleave(uint8_t *dst, const void *const row[PANEL_ROWS], size_t off, size_t width, size_t n_group)
{
	switch (width) {
	case 1:
		return interleave(dst, row, off, 1, n_group);
	case 2:
		return interleave(dst, row, off, 2, n_group);
	default:
		return interleave(dst, row, off, 4, n_group);
	}
}

const uint8_t *panel_extract(uint8_t *dst, const uint8_t *src, int r, size_t width, size_t n_group)
{
	for (size_t g = 0; g < n_group; g++, src += width * PANEL_ROWS)
		memcpy(dst + g * width, src + (size_t)r * width, width);
	return src;
}
