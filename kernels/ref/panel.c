#include "kernels/ref/panel.h"

#include <string.h>

uint8_t *panel_interleave(uint8_t *dst, const void *const row_block[PANEL_ROWS], size_t off, size_t width,
			  size_t n_group)
{
	for (size_t g = 0; g < n_group; g++) {
		for (int r = 0; r < PANEL_ROWS; r++, dst += width) {
			if (row_block[r])
				memcpy(dst, (const uint8_t *)row_block[r] + off + g * width, width);
			else
				memset(dst, 0, width);
		}
	}
	return dst;
}

const uint8_t *panel_extract(uint8_t *dst, const uint8_t *src, int r, size_t width, size_t n_group)
{
	for (size_t g = 0; g < n_group; g++, src += width * PANEL_ROWS)
		memcpy(dst + g * width, src + (size_t)r * width, width);
	return src;
}

void panel_bits_spread(uint8_t out[4], const uint8_t in[4])
{
	memset(out, 0, 4);
	for (int k = 0; k < 32; k++)
		out[k % 4] |= (uint8_t)((in[k / 8] >> k % 8 & 1) << k / 4);
}

void panel_bits_gather(uint8_t out[4], const uint8_t in[4])
{
	memset(out, 0, 4);
	for (int k = 0; k < 32; k++)
		out[k / 8] |= (uint8_t)((in[k % 4] >> k / 4 & 1) << k % 8);
}
