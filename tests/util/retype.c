#include "tests/util/retype.h"

#include "daemon/gguf/gguf.h"
#include "kernels/quant.h"
#include "tests/util/random_block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALIGNMENT 32u

struct retype {
	FILE *f;
	const struct gguf *g;
	uint32_t *type; /* [n_tensor] */
	uint32_t random;
};

static void put(struct retype *r, const void *p, size_t n)
{
	fwrite(p, 1, n, r->f);
}

static void put_str(struct retype *r, struct gguf_str s)
{
	put(r, &s.n, 8);
	put(r, s.p, s.n);
}

static bool has(struct gguf_str s, const char *part)
{
	return memmem(s.p, s.n, part, strlen(part));
}

/* What quantizers leave alone, beside vectors. */
static bool is_kept(const struct gguf_tensor *t)
{
	static const char *const kept[] = { "_norm.",   "ffn_gate_inp.", "ssm_conv1d.", "shortconv.conv.",
					    "time_mix", "ssm_a",         "altup",       "laurel" };

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (has(t->name, kept[i]))
			return true;
	return t->n_dim < 2 || !has(t->name, ".weight");
}

/* A type whose blocks fill the tensor's columns. */
static uint32_t any_type(struct retype *r, const struct gguf_tensor *t)
{
	for (;;) {
		uint32_t type = random_next(&r->random) % QUANT_TYPE_MAX;

		if (quant_info(type) && t->ne[0] % quant_info(type)->block_len == 0)
			return type;
	}
}

static uint64_t numbers(const struct gguf_tensor *t)
{
	return t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
}

static uint64_t bytes_of(const struct retype *r, size_t i)
{
	const struct quant_info *q = quant_info(r->type[i]);

	return numbers(gguf_tensor_at(r->g, i)) / q->block_len * q->block_bytes;
}

static void put_kv(struct retype *r, const struct gguf_kv *kv)
{
	static const char context[] = ".context_length";
	bool is_context = kv->type == GGUF_U32 && kv->key.n > strlen(context) &&
			  !memcmp(kv->key.p + kv->key.n - strlen(context), context, strlen(context)) &&
			  !has(kv->key, "rope.");

	put_str(r, kv->key);
	put(r, &(uint32_t){ kv->type }, 4);
	put(r, is_context ? (const void *)&(uint32_t){ RETYPE_CTX } : kv->data, kv->bytes);
}

static void put_info(struct retype *r)
{
	uint64_t offset = 0;

	for (size_t i = 0; i < gguf_n_tensor(r->g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(r->g, i);

		put_str(r, t->name);
		put(r, &t->n_dim, 4);
		put(r, t->ne, 8 * t->n_dim);
		put(r, &r->type[i], 4);
		put(r, &offset, 8);
		offset = (offset + bytes_of(r, i) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	}
}

/* Random blocks, or the tensor's own bytes where its type stays. */
static int put_data(struct retype *r, size_t i)
{
	const struct gguf_tensor *t = gguf_tensor_at(r->g, i);
	const size_t n = bytes_of(r, i), block = quant_info(r->type[i])->block_bytes;
	uint8_t *data = malloc(n);
	bool is_read = data && r->type[i] == t->type;

	if (!data)
		return -1;
	if (is_read && pread(gguf_file_at(r->g, t->file)->fd, data, n, (off_t)t->offset) != (ssize_t)n) {
		free(data);
		return -1;
	}
	for (size_t at = 0; !is_read && at < n; at += block)
		random_block(&r->random, r->type[i], data + at, block);
	while (ftell(r->f) % ALIGNMENT)
		fputc(0, r->f);
	put(r, data, n);
	free(data);
	return 0;
}

static int put_file(struct retype *r)
{
	uint64_t n_tensor = gguf_n_tensor(r->g), n_kv = gguf_n_kv(r->g);
	int e = 0;

	put(r, "GGUF", 4);
	put(r, &(uint32_t){ 3 }, 4);
	put(r, &n_tensor, 8);
	put(r, &n_kv, 8);
	for (size_t i = 0; i < n_kv; i++)
		put_kv(r, gguf_kv_at(r->g, i));
	put_info(r);
	for (size_t i = 0; i < n_tensor && e == 0; i++)
		e = put_data(r, i);
	return e;
}

static int write_as(const char *path, const struct gguf *g, uint32_t seed)
{
	struct retype r = { .f = fopen(path, "wb"), .g = g, .random = seed };
	int e;

	if (!r.f)
		return -1;
	r.type = calloc(gguf_n_tensor(g), sizeof(*r.type));
	for (size_t i = 0; r.type && i < gguf_n_tensor(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);

		r.type[i] = !seed || is_kept(t) ? t->type : any_type(&r, t);
	}
	e = r.type ? put_file(&r) : -1;
	free(r.type);
	return fclose(r.f) || e ? -1 : 0;
}

int retype_write(const char *path, const char *from, uint32_t seed)
{
	struct error e = { "" };
	struct gguf *g = NULL;
	int r = gguf_open(&g, from, &e);

	if (r == 0)
		r = write_as(path, g, seed);
	gguf_close(g);
	return r < 0 ? -1 : 0;
}
