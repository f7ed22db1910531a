/* Helpers for packing: every panel field is the rows' bytes interleaved `width` at a time. */
#ifndef GYRE_KERNELS_REF_PANEL_H
#define GYRE_KERNELS_REF_PANEL_H

#include "kernels/f16.h"
#include "kernels/ref/ref.h"
#include "kernels/ref/types.h"

#include <string.h>

/* n_group groups of `width` bytes from each row's block (+off) -> dst[n_group][16][width]; returns the end of dst. */
uint8_t *panel_interleave(uint8_t *dst, const void *const row_block[PANEL_ROWS], size_t off, size_t width,
			  size_t n_group);

/* Row r of src[n_group][16][width] -> dst; returns the end of src. */
const uint8_t *panel_extract(uint8_t *dst, const uint8_t *src, int r, size_t width, size_t n_group);

/* 32 fifth bits: GGUF's bit k of a little-endian u32 <-> bit g of byte i for k = 4g + i. */
void panel_bits_spread(uint8_t out[4], const uint8_t in[4]);
void panel_bits_gather(uint8_t out[4], const uint8_t in[4]);

#endif
