#include "kernels/ref/panel.h"

const uint8_t *panel_extract(uint8_t *dst, const uint8_t *src, int r, size_t width, size_t n_group)
{
	for (size_t g = 0; g < n_group; g++, src += width * PANEL_ROWS)
		memcpy(dst + g * width, src + (size_t)r * width, width);
	return src;
}
