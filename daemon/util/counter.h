/*
 * Figures that one thread writes and others look at: neither lock nor torn value, and no order with anything else. The
 * writer reads its own without any of this.
 */
#ifndef GYRE_DAEMON_UTIL_COUNTER_H
#define GYRE_DAEMON_UTIL_COUNTER_H

#include "shm/atomic.h"

static inline void counter_set(uint64_t *c, uint64_t v)
{
	store_relaxed64(c, v);
}

static inline void counter_add(uint64_t *c, uint64_t n)
{
	counter_set(c, *c + n);
}

static inline uint64_t counter_read(const uint64_t *c)
{
	return load_relaxed64(c);
}

/* The same for a count that the writer uses as one: the length of a list, say. */
static inline void counter_set32(uint32_t *c, uint32_t v)
{
	store_relaxed(c, v);
}

static inline uint32_t counter_read32(const uint32_t *c)
{
	return load_relaxed(c);
}

#endif
