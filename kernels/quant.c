/* Looking element types up, and packing by panels. */
#include "kernels/quant.h"

#include "cpu.h"
#include "kernels/ref/types.h"

#include <string.h>

#define RUN_BYTES 256 /* of a row: the largest block, and few enough to stay in L1 */

const struct quant_info *quant_info(uint32_t type)
{
	for (const struct ref_type *const *family = ref_families; *family; family++)
		for (const struct ref_type *t = *family; t->info.name; t++)
			if (t->type == type)
				return &t->info;
	return NULL;
}

size_t quant_packed_bytes(uint32_t type, uint64_t n_row, uint64_t n_col)
{
	const struct quant_info *q = quant_info(type);
	uint64_t row_bytes, rows;
	size_t bytes;

	if (!q || !n_row || !n_col || n_col % q->block_len)
		return 0;
	if (__builtin_mul_overflow(n_col / q->block_len, (uint64_t)q->block_bytes, &row_bytes) ||
	    __builtin_add_overflow(n_row, (uint64_t)PANEL_ROWS - 1, &rows) ||
	    __builtin_mul_overflow(row_bytes, rows / PANEL_ROWS * PANEL_ROWS, &bytes))
		return 0;
	return bytes;
}

size_t quant_row_bytes(uint32_t type, size_t n_col)
{
	const struct quant_info *q = quant_info(type);

	return n_col / q->block_len * q->block_bytes;
}

/* Whether one of the floats has all bits of its exponent set: then adding the lowest of them carries into `top`. */
static bool has_full_exponent(const uint8_t *p, size_t bytes, uint64_t exponent, uint64_t lowest, uint64_t top)
{
	uint64_t x[4], any = 0;
	size_t at = 0;

	for (; at + sizeof(x) <= bytes; at += sizeof(x)) {
		memcpy(x, p + at, sizeof(x));
		any |= ((x[0] & exponent) + lowest) | ((x[1] & exponent) + lowest) | ((x[2] & exponent) + lowest) |
		       ((x[3] & exponent) + lowest);
	}
	memset(x, 0, sizeof(x));
	memcpy(x, p + at, bytes - at);
	for (int i = 0; i < 4; i++)
		any |= (x[i] & exponent) + lowest;
	return any & top;
}

static bool has_full_scale(const uint8_t *p, size_t n_block, size_t block_bytes)
{
	uint32_t any = 0;

	for (size_t i = 0; i < n_block; i++, p += block_bytes) {
		uint16_t d;

		memcpy(&d, p, sizeof(d));
		any |= (d & 0x7c00u) + 0x0400u;
	}
	return any & 0x8000u;
}

bool quant_is_finite(uint32_t type, const void *src, size_t n_block)
{
	const struct quant_info *q = quant_info(type);
	size_t bytes = n_block * q->block_bytes;

	if (type == QUANT_F32)
		return !has_full_exponent(src, bytes, 0x7f8000007f800000, 0x0080000000800000, 0x8000000080000000);
	if (type == QUANT_F16)
		return !has_full_exponent(src, bytes, 0x7c007c007c007c00, 0x0400040004000400, 0x8000800080008000);
	if (type == QUANT_BF16)
		return !has_full_exponent(src, bytes, 0x7f807f807f807f80, 0x0080008000800080, 0x8000800080008000);
	for (uint8_t i = 0; i < q->n_scale; i++)
		if (has_full_scale((const uint8_t *)src + q->scale[i], n_block, q->block_bytes))
			return false;
	return true;
}

/* Blocks of a row that are packed at a time: whole lines of the panel where that is possible. */
static size_t run_blocks(const struct quant_info *q, size_t n_block)
{
	size_t n = RUN_BYTES / q->block_bytes;

	n = n > 4 ? n - n % 4 : n;
	return n < n_block ? n : n_block;
}

void quant_pack_panel(uint32_t type, void *dst, const void *src, size_t src_stride, int n_row, size_t n_col)
{
	const struct quant_info *q = quant_info(type);
	_Alignas(64) uint8_t panel[PANEL_ROWS * RUN_BYTES];
	uint8_t rows[PANEL_ROWS][RUN_BYTES]; /* of a short panel: the rest stays zero */
	const uint8_t *in = src;
	uint8_t *out = dst;
	size_t run, bytes;

	if (n_row < PANEL_ROWS)
		memset(rows, 0, sizeof(rows));
	for (size_t n_block = n_col / q->block_len; n_block; n_block -= run, in += bytes, out += PANEL_ROWS * bytes) {
		run = run_blocks(q, n_block);
		bytes = run * q->block_bytes;
		for (int r = 0; r < n_row && n_row < PANEL_ROWS; r++)
			memcpy(rows[r], in + (size_t)r * src_stride, bytes);
		if (n_row < PANEL_ROWS)
			q->pack(panel, rows[0], sizeof(rows[0]), run);
		else
			q->pack(panel, in, src_stride, run);
		cpu_stream(out, panel, PANEL_ROWS * bytes);
	}
	cpu_stream_end();
}

void quant_dequantize_row(uint32_t type, float *y, const void *w, size_t row, size_t n_col)
{
	const struct quant_info *q = quant_info(type);
	size_t n_block = n_col / q->block_len, panel_block_bytes = (size_t)q->block_bytes * PANEL_ROWS;
	const uint8_t *src = (const uint8_t *)w + row / PANEL_ROWS * n_block * panel_block_bytes;
	uint8_t block[256];

	for (size_t b = 0; b < n_block; b++, src += panel_block_bytes, y += q->block_len) {
		q->unpack(block, src, (int)(row % PANEL_ROWS));
		q->dequantize(y, block);
	}
}
