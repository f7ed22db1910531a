#include "daemon/sample/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t n_blocks(uint32_t n)
{
	return (n + ORDER_BLOCK - 1) / ORDER_BLOCK;
}

int order_init(struct order *o, uint32_t n_max)
{
	memset(o, 0, sizeof(*o));
	o->block = calloc(n_blocks(n_max), sizeof(*o->block));
	o->open = calloc(n_max, sizeof(*o->open));
	if (o->block && o->open)
		return 0;
	order_deinit(o);
	return -ENOMEM;
}

void order_deinit(struct order *o)
{
	free(o->block);
	free(o->open);
	memset(o, 0, sizeof(*o));
}

static bool is_before(const float *key, uint32_t a, uint32_t b)
{
	return key[a] > key[b] || (key[a] == key[b] && a < b);
}

static void sift_down(const float *key, uint32_t *heap, uint32_t n, uint32_t i)
{
	uint32_t v = heap[i];

	for (;;) {
		uint32_t c = 2 * i + 1;

		if (c >= n)
			break;
		if (c + 1 < n && is_before(key, heap[c + 1], heap[c]))
			c++;
		if (!is_before(key, heap[c], v))
			break;
		heap[i] = heap[c];
		i = c;
	}
	heap[i] = v;
}

static void push(const float *key, uint32_t *heap, uint32_t *n, uint32_t v)
{
	uint32_t i = (*n)++;

	for (; i && is_before(key, v, heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = v;
}

static uint32_t pop(const float *key, uint32_t *heap, uint32_t *n)
{
	uint32_t top = heap[0];

	heap[0] = heap[--*n];
	if (*n)
		sift_down(key, heap, *n, 0);
	return top;
}

void order_begin(struct order *o, const float *x, const float *block_max, uint32_t n, float floor)
{
	o->x = x;
	o->block_max = block_max;
	o->n = n;
	o->n_block = o->n_open = 0;
	for (uint32_t b = 0; b < n_blocks(n); b++)
		if (block_max[b] >= floor) /* a NaN is not */
			o->block[o->n_block++] = b;
	for (uint32_t i = o->n_block / 2; i-- > 0;)
		sift_down(block_max, o->block, o->n_block, i);
}

static void open_block(struct order *o)
{
	uint32_t first = pop(o->block_max, o->block, &o->n_block) * ORDER_BLOCK;
	uint32_t end = o->n - first < ORDER_BLOCK ? o->n : first + ORDER_BLOCK;

	for (uint32_t i = first; i < end; i++)
		if (o->x[i] == o->x[i])
			push(o->x, o->open, &o->n_open, i);
}

bool order_next(struct order *o, uint32_t *id)
{
	/* Also at equality: the block may hold the smaller id. */
	while (o->n_block && (!o->n_open || o->block_max[o->block[0]] >= o->x[o->open[0]]))
		open_block(o);
	if (!o->n_open)
		return false;
	*id = pop(o->x, o->open, &o->n_open);
	return true;
}
