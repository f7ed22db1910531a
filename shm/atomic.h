/*
 * The few atomic operations of the rings, by the names the comments use. Every store-release names the load-acquire it pairs
 * with, and the reverse. `fence` is for the one pattern release/acquire can't give: store mine, then load yours (parking).
 */
#ifndef GYRE_SHM_ATOMIC_H
#define GYRE_SHM_ATOMIC_H

#include <stdint.h>

static inline uint32_t load_acquire(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void store_release(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline uint32_t load_relaxed(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void store_relaxed(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/* Orders earlier stores before later loads. */
static inline void fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
