/*
 * A GGUF file's header: the tensor table, and the checks that make the rest of the daemon trust it.
 */
#include "daemon/gguf/gguf_own.h"

#include "kernels/quant.h"

#include <stdlib.h>

#define GGUF_MAGIC       0x46554747u         /* "GGUF" */
#define KV_BYTES_MIN     (8 + 1 + 4 + 1)     /* key length, key, type, value */
#define TENSOR_BYTES_MIN (8 + 1 + 4 + 4 + 8) /* name length, name, n_dims, type, offset */

struct gguf_header *gguf_header_free(struct gguf_header *h)
{
	if (!h)
		return NULL;
	if (h->file.fd >= 0)
		close(h->file.fd);
	gguf_kv_free(h->kv, h->n_kv);
	free(h->kv_by_key);
	free(h->tensor);
	free(h->data);
	free(h->file.path);
	free(h);
	return NULL;
}

static int tensor_parse_one(struct gguf_tensor *t, struct gguf_cursor *c, struct error *e)
{
	t->name = gguf_take_str(c);
	t->n_dim = gguf_take_u32(c);
	if (c->code)
		return c->code;
	if (!t->name.n || t->name.n > GGUF_NAME_MAX)
		return error_set(e, -EINVAL, "GGUF tensor name of %llu bytes (1 to %d allowed): " DAMAGED,
				 (unsigned long long)t->name.n, GGUF_NAME_MAX);
	if (t->n_dim > GGUF_DIM_MAX)
		return error_set(e, -EINVAL, "tensor '%.*s' has %u dimensions (at most %d allowed): " DAMAGED,
				 NAME(t->name), t->n_dim, GGUF_DIM_MAX);
	for (uint32_t i = 0; i < GGUF_DIM_MAX; i++)
		t->ne[i] = i < t->n_dim ? gguf_take_u64(c) : 1;
	t->type = gguf_take_u32(c);
	t->offset = gguf_take_u64(c);
	return c->code;
}

/* ne[] and type -> bytes. An unknown type has none, and whoever wants its data refuses it by name. */
static int tensor_size(struct gguf_tensor *t, struct error *e)
{
	const struct quant_info *q = quant_info(t->type);
	uint64_t n = 1;

	for (int i = 0; i < GGUF_DIM_MAX; i++)
		if (!t->ne[i] || __builtin_mul_overflow(n, t->ne[i], &n))
			return error_set(e, -EINVAL, "tensor '%.*s' has an impossible shape: " DAMAGED, NAME(t->name));
	t->bytes = 0;
	if (!q)
		return 0;
	if (t->ne[0] % q->block_len)
		return error_set(
			e, -EINVAL,
			"tensor '%.*s': rows of %llu are not whole %s blocks of %u; quantize the model to another type",
			NAME(t->name), (unsigned long long)t->ne[0], q->name, q->block_len);
	if (__builtin_mul_overflow(n / q->block_len, (uint64_t)q->block_bytes, &t->bytes))
		return error_set(e, -EINVAL, "tensor '%.*s' has an impossible shape: " DAMAGED, NAME(t->name));
	return 0;
}

/* Offsets count from data0 in the file; absolute afterwards. */
static int tensor_place(struct gguf_tensor *t, uint64_t data0, uint32_t alignment, uint64_t file_bytes, struct error *e)
{
	if (t->offset % alignment)
		return error_set(e, -EINVAL, "tensor '%.*s' is not aligned to %u bytes: " DAMAGED, NAME(t->name),
				 alignment);
	if (__builtin_add_overflow(t->offset, data0, &t->offset) || t->offset > file_bytes ||
	    t->bytes > file_bytes - t->offset)
		return error_set(
			e, -EINVAL,
			"tensor '%.*s' ends past the end of the file: the file is truncated; download it again",
			NAME(t->name));
	return 0;
}

static int cmp_offset(const void *a, const void *b)
{
	const struct gguf_tensor *x = *(const struct gguf_tensor *const *)a, *y = *(const struct gguf_tensor *const *)b;

	return x->offset != y->offset ? (x->offset > y->offset) - (x->offset < y->offset)
				      : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int check_overlap(const struct gguf_header *h, struct error *e)
{
	_cleanup_free_ const struct gguf_tensor **t = calloc(h->n_tensor + 1, sizeof(*t));

	if (!t)
		return error_set(e, -ENOMEM, "out of memory reading a GGUF header; free some memory");
	for (size_t i = 0; i < h->n_tensor; i++)
		t[i] = &h->tensor[i];
	qsort(t, h->n_tensor, sizeof(*t), cmp_offset);
	for (size_t i = 1; i < h->n_tensor; i++)
		if (t[i - 1]->offset + t[i - 1]->bytes > t[i]->offset)
			return error_set(e, -EINVAL, "tensors '%.*s' and '%.*s' overlap: " DAMAGED,
					 NAME(t[i - 1]->name), NAME(t[i]->name));
	return 0;
}

static int read_alignment(const struct gguf_header *h, uint32_t *alignment, struct error *e)
{
	int r;

	*alignment = 32;
	r = gguf_header_get_u32(h, "general.alignment", alignment);
	if (r && r != -ENOENT)
		return error_set(e, r, "GGUF key 'general.alignment' is not a number: " DAMAGED);
	if (*alignment < 8 || *alignment & (*alignment - 1) || *alignment > 1u << 20)
		return error_set(e, -EINVAL, "general.alignment is %u, not a power of two from 8 to 1 MiB: " DAMAGED,
				 *alignment);
	return 0;
}

static int parse_tensors(struct gguf_header *h, struct gguf_cursor *c, struct error *e)
{
	uint32_t alignment;
	uint64_t data0;
	int r = read_alignment(h, &alignment, e);

	for (size_t i = 0; i < h->n_tensor && !r; i++)
		r = tensor_parse_one(&h->tensor[i], c, e);
	if (r)
		return r;
	data0 = (c->pos + (uint64_t)alignment - 1) & ~((uint64_t)alignment - 1);
	for (size_t i = 0; i < h->n_tensor; i++) {
		r = tensor_size(&h->tensor[i], e);
		if (!r)
			r = tensor_place(&h->tensor[i], data0, alignment, h->file.bytes, e);
		if (r)
			return r;
	}
	return check_overlap(h, e);
}

static int parse_counts(struct gguf_header *h, struct gguf_cursor *c, struct error *e)
{
	uint32_t magic = gguf_take_u32(c);
	uint64_t n_tensor, n_kv;

	h->version = gguf_take_u32(c);
	n_tensor = gguf_take_u64(c);
	n_kv = gguf_take_u64(c);
	if (c->n >= sizeof(magic) && magic != GGUF_MAGIC)
		return error_set(e, -EINVAL, "not a GGUF file; convert the model to GGUF first");
	if (c->code)
		return c->code;
	if (h->version != 2 && h->version != 3)
		return error_set(
			e, -EINVAL,
			"GGUF version %u%s; gyre reads little-endian versions 2 and 3: convert the model again",
			h->version, h->version & 0xffff ? "" : " (big endian)");
	if (n_kv > GGUF_KV_MAX || n_tensor > GGUF_TENSOR_MAX)
		return error_set(e, -EINVAL,
				 "GGUF header claims %llu keys and %llu tensors (at most %u and %u): " DAMAGED,
				 (unsigned long long)n_kv, (unsigned long long)n_tensor, GGUF_KV_MAX, GGUF_TENSOR_MAX);
	if (n_kv * KV_BYTES_MIN + n_tensor * TENSOR_BYTES_MIN > c->n - c->pos)
		return -ENODATA;
	h->n_kv = (size_t)n_kv;
	h->n_tensor = (size_t)n_tensor;
	return 0;
}

static int alloc_tables(struct gguf_header *h, struct error *e)
{
	h->kv = calloc(h->n_kv + 1, sizeof(*h->kv));
	h->kv_by_key = calloc(h->n_kv + 1, sizeof(*h->kv_by_key));
	h->tensor = calloc(h->n_tensor + 1, sizeof(*h->tensor));
	if (!h->kv || !h->kv_by_key || !h->tensor)
		return error_set(e, -ENOMEM, "out of memory reading a GGUF header; free some memory");
	return 0;
}

int gguf_header_parse(struct gguf_header **hp, const uint8_t *data, size_t n, uint64_t file_bytes, struct error *e)
{
	_cleanup_(gguf_header_freep) struct gguf_header *h = calloc(1, sizeof(*h));
	struct gguf_cursor c = { .p = data, .n = n };
	int r;

	if (!h)
		return error_set(e, -ENOMEM, "out of memory reading a GGUF header; free some memory");
	*h = (struct gguf_header){ .file = { .fd = -1, .bytes = file_bytes }, .n = n };
	r = parse_counts(h, &c, e);
	if (!r)
		r = alloc_tables(h, e);
	if (!r)
		r = gguf_kv_parse(h->kv, h->n_kv, &c, e);
	if (!r)
		r = gguf_index_keys(h, e);
	if (!r)
		r = parse_tensors(h, &c, e);
	if (!r)
		*hp = steal_ptr(h);
	return r;
}
