/*
 * A bounds-checked reader over the header's bytes. It fails once and stays failed: callers read several fields and look at
 * `code` at the end. -ENODATA means the bytes ran out, which gguf_open answers by reading more of the file.
 */
#ifndef GYRE_DAEMON_GGUF_GGUF_CURSOR_H
#define GYRE_DAEMON_GGUF_GGUF_CURSOR_H

#include "daemon/gguf/gguf.h"

#include <errno.h>
#include <string.h>

struct gguf_cursor {
	const uint8_t *p;
	size_t pos, n; /* pos <= n */
	int code;      /* 0 or -ENODATA */
};

/* The next n bytes, or NULL. */
static inline const uint8_t *gguf_take(struct gguf_cursor *c, uint64_t n)
{
	const uint8_t *p = c->p + c->pos;

	if (c->code || n > c->n - c->pos) {
		c->code = -ENODATA;
		return NULL;
	}
	c->pos += (size_t)n;
	return p;
}

static inline uint32_t gguf_take_u32(struct gguf_cursor *c)
{
	const uint8_t *p = gguf_take(c, sizeof(uint32_t));
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t gguf_take_u64(struct gguf_cursor *c)
{
	const uint8_t *p = gguf_take(c, sizeof(uint64_t));
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

static inline struct gguf_str gguf_take_str(struct gguf_cursor *c)
{
	uint64_t n = gguf_take_u64(c);
	const uint8_t *p = gguf_take(c, n);

	return p ? (struct gguf_str){ (const char *)p, n } : (struct gguf_str){ "", 0 };
}

#endif
