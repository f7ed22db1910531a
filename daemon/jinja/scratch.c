/*
 * A scratch: one arena that grows upward, the text with its ranges, and the account of the limits. The three areas are mapped
 * once at their full size and touched as they are needed, so that a generous limit costs address space alone.
 */
#include "daemon/jinja/value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/*
 * Levels of recursion over syntax and values together. A level takes at most some 600 bytes of stack in an optimized build (three
 * times that under AddressSanitizer), so that 1500 levels fit a thread of 8 MiB with room for its caller.
 */
#define NEST_MAX 1500

/* Lengths are 32 bits wide. */
#define AREA_MAX ((size_t)UINT32_MAX - 4096)

/* Text that changes hands more often than every 4 bytes needs more ranges than there are. */
#define RANGE_BYTES 4

const uint8_t jinja_all[1] = { 1 };

void *jinja_fail(struct jinja_scratch *s, const char *fmt, ...)
{
	va_list ap;

	if (s->error)
		return NULL;
	s->error = -EINVAL;
	va_start(ap, fmt);
	vsnprintf(s->message, sizeof(s->message), fmt, ap);
	va_end(ap);
	return NULL;
}

void *jinja_over(struct jinja_scratch *s, const char *what)
{
	if (s->error)
		return NULL;
	s->error = -E2BIG;
	snprintf(s->message, sizeof(s->message), "the template needs more %s than a rendering may have", what);
	return NULL;
}

static void *area(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

struct jinja_scratch *jinja_scratch_new(const struct jinja_limits *limits)
{
	struct jinja_scratch *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->limit = *limits;
	s->cap = limits->value_bytes < AREA_MAX ? limits->value_bytes : AREA_MAX;
	if (s->limit.output_bytes > AREA_MAX)
		s->limit.output_bytes = AREA_MAX;
	s->range_cap = 64 + s->limit.output_bytes / RANGE_BYTES;
	s->arena = area(s->cap + 1);
	s->out = area(s->limit.output_bytes + 1);
	s->range = area(s->range_cap * sizeof(*s->range));
	if (!s->arena || !s->out || !s->range)
		return jinja_scratch_free(s);
	return s;
}

struct jinja_scratch *jinja_scratch_free(struct jinja_scratch *s)
{
	if (!s)
		return NULL;
	if (s->arena)
		munmap(s->arena, s->cap + 1);
	if (s->out)
		munmap(s->out, s->limit.output_bytes + 1);
	if (s->range)
		munmap(s->range, s->range_cap * sizeof(*s->range));
	free(s);
	return NULL;
}

void jinja_scratch_reset(struct jinja_scratch *s)
{
	s->used = s->last = s->n_out = s->n_range = s->range_base = 0;
	s->n_step = 0;
	s->depth = s->nest = s->line = 0;
	s->error = 0;
	s->global = NULL;
}

void jinja_scratch_wipe(struct jinja_scratch *s)
{
	jinja_scratch_reset(s);
	madvise(s->arena, s->cap + 1, MADV_DONTNEED);
	madvise(s->out, s->limit.output_bytes + 1, MADV_DONTNEED);
	explicit_bzero(s->message, sizeof(s->message));
}

void *jinja_alloc(struct jinja_scratch *s, size_t n)
{
	size_t at = s->used;

	n = (n + 7) & ~(size_t)7;
	if (n > s->cap - at)
		return jinja_over(s, "memory for values");
	s->last = at;
	s->used = at + n;
	return s->arena + at;
}

void *jinja_grow(struct jinja_scratch *s, void *p, size_t n_old, size_t n_new)
{
	void *q;

	if (p && (char *)p == s->arena + s->last) {
		s->used = s->last;
		return jinja_alloc(s, n_new);
	}
	q = jinja_alloc(s, n_new);
	if (q && p && n_old) {
		memcpy(q, p, n_old);
		jinja_step(s, n_old / 64);
	}
	return q;
}

bool jinja_enter(struct jinja_scratch *s)
{
	if (s->nest >= NEST_MAX)
		jinja_over(s, "nesting");
	if (s->error)
		return false;
	s->nest++;
	return true;
}
