#include "tests/util/split.h"

#include "daemon/gguf/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct part {
	FILE *f;
	const struct split_lie *lie; /* NULL: none in this part */
	uint32_t i, n;
	uint64_t n_kv, n_tensor;
};

static void put(struct part *p, const void *v, size_t n)
{
	if (fwrite(v, 1, n, p->f) != n)
		abort();
}

static void put_str(struct part *p, const char *s, uint64_t n)
{
	put(p, &n, sizeof(n));
	put(p, s, n);
}

static void put_number(struct part *p, const char *key, uint32_t type, uint32_t v)
{
	if (p->lie && p->lie->omit && !strcmp(p->lie->omit, key))
		return;
	if (p->lie && p->lie->key_type)
		type = p->lie->key_type;
	put_str(p, key, strlen(key));
	put(p, &type, sizeof(type));
	if (type == GGUF_STR)
		put_str(p, "three", 5);
	else
		put(p, &v, type == GGUF_U16 ? 2 : 4);
	p->n_kv++;
}

static void put_keys(struct part *p, const struct gguf *g)
{
	const struct split_lie *lie = p->lie;
	uint32_t type = GGUF_STR;

	for (size_t i = 0; i < gguf_n_kv(g) && p->i == 0; i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);

		put_str(p, kv->key.p, kv->key.n);
		type = kv->type;
		put(p, &type, sizeof(type));
		put(p, kv->data, kv->bytes);
		p->n_kv++;
	}
	if (lie && lie->arch) {
		type = GGUF_STR;
		put_str(p, "general.architecture", strlen("general.architecture"));
		put(p, &type, sizeof(type));
		put_str(p, lie->arch, strlen(lie->arch));
		p->n_kv++;
	}
	put_number(p, "split.no", GGUF_U16, lie && lie->count ? lie->no : p->i);
	put_number(p, "split.count", GGUF_U16, lie && lie->count ? lie->count : p->n);
	put_number(p, "split.tensors.count", GGUF_I32,
		   lie && lie->n_tensor ? lie->n_tensor : (uint32_t)gguf_n_tensor(g));
}

static uint64_t pad(uint64_t n)
{
	return (n + 31) / 32 * 32;
}

static uint64_t put_info(struct part *p, const struct gguf_tensor *t, uint64_t offset)
{
	put_str(p, t->name.p, t->name.n);
	put(p, &t->n_dim, sizeof(t->n_dim));
	put(p, t->ne, t->n_dim * sizeof(t->ne[0]));
	put(p, &t->type, sizeof(t->type));
	put(p, &offset, sizeof(offset));
	p->n_tensor++;
	return offset + pad(t->bytes);
}

static void put_data(struct part *p, const struct gguf *g, const struct gguf_tensor *t)
{
	uint8_t *data = calloc(1, pad(t->bytes));

	while (ftell(p->f) % 32)
		fputc(0, p->f);
	if (g && pread(gguf_file_at(g, t->file)->fd, data, t->bytes, (off_t)t->offset) != (ssize_t)t->bytes)
		abort();
	put(p, data, pad(t->bytes));
	free(data);
}

static void put_tensors(struct part *p, const struct gguf *g, size_t begin, size_t end)
{
	const char *extra = p->lie ? p->lie->extra : NULL;
	struct gguf_tensor more = { .n_dim = 1, .ne = { 8, 1, 1, 1 }, .bytes = 32 };
	uint64_t offset = 0;

	for (size_t i = begin; i < end; i++)
		offset = put_info(p, gguf_tensor_at(g, i), offset);
	if (extra) {
		more.name = (struct gguf_str){ extra, strlen(extra) };
		put_info(p, &more, offset);
	}
	for (size_t i = begin; i < end; i++)
		put_data(p, g, gguf_tensor_at(g, i));
	if (extra)
		put_data(p, NULL, &more);
}

static void put_part(struct part *p, const char *path, const struct gguf *g, size_t begin, size_t end)
{
	uint32_t version = 3;
	struct stat st;

	p->f = fopen(path, "wb+");
	if (!p->f)
		abort();
	put(p, "GGUF", 4);
	put(p, &version, sizeof(version));
	put(p, (uint64_t[]){ 0, 0 }, 16);
	put_keys(p, g);
	put_tensors(p, g, begin, p->lie && p->lie->n_skip <= end - begin ? end - p->lie->n_skip : end);
	fseek(p->f, 8, SEEK_SET);
	put(p, &p->n_tensor, sizeof(p->n_tensor));
	put(p, &p->n_kv, sizeof(p->n_kv));
	if (fclose(p->f) || stat(path, &st) || (p->lie && truncate(path, st.st_size - p->lie->n_cut)))
		abort();
}

void split_path(char path[SPLIT_PATH_BYTES], const char *stem, uint32_t i, uint32_t n)
{
	snprintf(path, SPLIT_PATH_BYTES, "%s-%05u-of-%05u.gguf", stem, i + 1, n);
}

void split_write(const char *whole, const char *stem, uint32_t n, int is_bare, const struct split_lie *lie)
{
	uint32_t n_full = is_bare ? n - 1 : n;
	struct gguf *g = NULL;
	size_t begin = 0;

	if (gguf_open(&g, whole, NULL) < 0)
		abort();
	for (uint32_t i = 0; i < n; i++) {
		struct part p = { .lie = lie && lie->part == i ? lie : NULL, .i = i, .n = n };
		size_t end = gguf_n_tensor(g) * (is_bare ? i : i + 1) / n_full;
		char path[SPLIT_PATH_BYTES];

		split_path(path, stem, i, n);
		put_part(&p, path, g, begin, end);
		begin = end;
	}
	gguf_close(g);
}

void split_unlink(const char *stem, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		char path[SPLIT_PATH_BYTES];

		split_path(path, stem, i, n);
		unlink(path);
	}
}
