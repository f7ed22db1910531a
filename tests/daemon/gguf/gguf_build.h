/*
 * Builds GGUF files byte by byte, so that tests can lie in any field.
 */
#ifndef GYRE_TESTS_GGUF_BUILD_H
#define GYRE_TESTS_GGUF_BUILD_H

#include "daemon/gguf/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct gguf_build {
	uint8_t p[1 << 16];
	size_t n;
	char path[64];
	int fd;
};

static inline void put(struct gguf_build *b, const void *p, size_t n)
{
	if (n > sizeof(b->p) - b->n)
		abort();
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static inline void put_u32(struct gguf_build *b, uint32_t v)
{
	put(b, &v, sizeof(v));
}

static inline void put_u64(struct gguf_build *b, uint64_t v)
{
	put(b, &v, sizeof(v));
}

static inline void put_str(struct gguf_build *b, const char *s)
{
	put_u64(b, strlen(s));
	put(b, s, strlen(s));
}

static inline void put_head(struct gguf_build *b, uint64_t n_tensor, uint64_t n_kv)
{
	b->n = 0;
	put(b, "GGUF", 4);
	put_u32(b, 3);
	put_u64(b, n_tensor);
	put_u64(b, n_kv);
}

static inline void put_kv_u32(struct gguf_build *b, const char *key, uint32_t v)
{
	put_str(b, key);
	put_u32(b, GGUF_U32);
	put_u32(b, v);
}

static inline void put_tensor(struct gguf_build *b, const char *name, uint32_t type, uint64_t n_col, uint64_t n_row,
			      uint64_t offset)
{
	put_str(b, name);
	put_u32(b, n_row ? 2 : 1);
	put_u64(b, n_col);
	if (n_row)
		put_u64(b, n_row);
	put_u32(b, type);
	put_u64(b, offset);
}

static inline void put_align(struct gguf_build *b, size_t to)
{
	while (b->n % to)
		put(b, "", 1);
}

/* The bytes as a file; the path is good until build_close. */
static inline const char *build_file(struct gguf_build *b)
{
	b->fd = memfd_create("gguf", MFD_CLOEXEC);
	if (b->fd < 0 || write(b->fd, b->p, b->n) != (ssize_t)b->n)
		abort();
	snprintf(b->path, sizeof(b->path), "/proc/self/fd/%d", b->fd);
	return b->path;
}

static inline void build_close(struct gguf_build *b)
{
	close(b->fd);
}

#endif
