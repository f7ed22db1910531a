/* Helpers for packing: every panel field is the rows' bytes interleaved `width` at a time. */
#ifndef GYRE_KERNELS_REF_PANEL_H
#define GYRE_KERNELS_REF_PANEL_H

#include "kernels/f16.h"
#include "kernels/ref/ref.h"
#include "kernels/ref/types.h"

#include <string.h>

/* n_group groups of `width` (1, 2 or 4) bytes from each row (+off) -> dst[n_group][16][width]; returns the end of dst. */
uint8_t *panel_interleave(uint8_t *dst, const void *const row[PANEL_ROWS], size_t off, size_t width, size_t n_group);

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
