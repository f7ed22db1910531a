/*
 * See pack.h.
 */
#include "daemon/weights/pack.h"

#include "daemon/util/minmax.h"
#include "kernels/quant.h"

#include <string.h>

static void vector_to_f32(const struct loader_job *job, const uint8_t *src)
{
	const struct quant_info *q = quant_info(job->type);

	for (uint32_t i = 0; i < job->n_part; i++) {
		float *y = job->part[i].data;

		for (size_t k = 0; k < job->n_col; k += q->block_len)
			q->dequantize(y + k, src + k / q->block_len * q->block_bytes);
	}
}

/* How far x is into [begin, begin + n]. */
static uint32_t clamp(uint32_t x, uint32_t begin, uint32_t n)
{
	return x < begin ? 0 : min_u32(x - begin, n);
}

/* Where (expert, row) lies in a part, or would if it were within: bytes from data on. */
static size_t part_offset(const struct tensor_part *p, uint32_t type, uint32_t expert, uint32_t row)
{
	return expert * p->stride + quant_packed_bytes(type, clamp(row, p->row0, p->n_row), p->n_col);
}

/* What a part takes of an expert's rows, which begin at src. */
static void pack_rows(const struct loader_job *job, const struct tensor_part *p, uint32_t expert, const uint8_t *src)
{
	size_t stride = quant_row_bytes(job->type, job->n_col);
	uint32_t row = max_u32(job->row0, p->row0), end = min_u32(job->row0 + job->n_row, p->row0 + p->n_row);
	uint8_t *dst = (uint8_t *)p->data + part_offset(p, job->type, expert, row);

	src += (row - job->row0) * stride + quant_row_bytes(job->type, p->col0);
	for (; row < end; row += PANEL_ROWS) {
		quant_pack_panel(job->type, dst, src, stride, (int)min_u32(end - row, PANEL_ROWS), p->n_col);
		src += PANEL_ROWS * stride;
		dst += PANEL_ROWS * quant_row_bytes(job->type, p->n_col);
	}
}

void pack_gather(const struct loader_job *job, uint8_t *buf)
{
	size_t to = job->head;

	for (size_t at = to + job->gap, n; job->gap && at < job->bytes; at += n + job->gap) {
		n = min_size(job->run, job->bytes - at);
		memmove(buf + to, buf + at, n);
		to += n;
	}
}

bool pack_job(const struct loader_job *job, const uint8_t *src)
{
	size_t expert_bytes = job->n_row * quant_row_bytes(job->type, job->n_col);
	size_t n_block = job->n_col / quant_info(job->type)->block_len;

	if (!quant_is_finite(job->type, src, job->n_row ? n_block * job->n_row * job->n_expert : n_block))
		return false;
	if (!job->n_row) {
		vector_to_f32(job, src);
		return true;
	}
	for (uint32_t i = 0; i < job->n_part; i++)
		for (uint32_t k = 0; k < job->n_expert; k++)
			pack_rows(job, &job->part[i], job->expert + k, src + k * expert_bytes);
	return true;
}

int pack_populate(const struct pool *pools, const struct tensor_part *p, const struct loader_job *first,
		  const struct loader_job *last)
{
	const struct pool *pool = &pools[p->node];
	const uint8_t *data = p->data;
	size_t begin = 0, end = p->n_col * sizeof(float);

	if (pool->is_present)
		return 0;
	if (first->n_row) {
		begin = part_offset(p, first->type, first->expert, first->row0);
		end = part_offset(p, last->type, last->expert + last->n_expert - 1, last->row0 + last->n_row);
	}
	return begin < end ? pool_populate(pool, data + begin, data + end) : 0;
}
