/*
 * The few atomic operations that gyre uses, and the only place that spells them out. Every store-release names the load-acquire that it
 * pairs with, and the reverse (tools/lint-pairs). `fence` is for the one pattern release/acquire can't give: store mine, then load yours (parking).
 */
#ifndef GYRE_SHM_ATOMIC_H
#define GYRE_SHM_ATOMIC_H

#include <stdbool.h>
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

/* The same of 64 bits, which no machine here tears. */
static inline uint64_t load_acquire64(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void store_release64(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline uint64_t load_relaxed64(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void store_relaxed64(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/* Of words that several threads change; what was there before. Relaxed. */
static inline uint32_t fetch_add(uint32_t *p, uint32_t n)
{
	return __atomic_fetch_add(p, n, __ATOMIC_RELAXED);
}

static inline uint64_t fetch_add64(uint64_t *p, uint64_t n)
{
	return __atomic_fetch_add(p, n, __ATOMIC_RELAXED);
}

/* One holder less of *p. true: there is none any more, and this thread sees all that the others did. */
static inline bool is_last_release(uint32_t *p)
{
	return __atomic_sub_fetch(p, 1, __ATOMIC_ACQ_REL) == 0;
}

/* *p becomes v if it is *old, else *old becomes what it is. What one thread settles so, those that find it settled see. */
static inline bool compare_swap(uint32_t *p, uint32_t *old, uint32_t v)
{
	return __atomic_compare_exchange_n(p, old, v, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Relaxed, and may fail for no reason. */
static inline bool compare_swap64(uint64_t *p, uint64_t *old, uint64_t v)
{
	return __atomic_compare_exchange_n(p, old, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* *p becomes v; what it was. In one order with every other. */
static inline uint32_t swap(uint32_t *p, uint32_t v)
{
	return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}

/* Orders earlier stores before later loads. */
static inline void fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
