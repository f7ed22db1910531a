/*
 * A mutex that costs nothing with one engine, whose leader is then the only thread that takes it. From some moment on that leader may
 * have it shared, before the first thread of another engine is made.
 */
#ifndef GYRE_DAEMON_UTIL_LOCK_H
#define GYRE_DAEMON_UTIL_LOCK_H

#include <pthread.h>
#include <stdbool.h>

struct lock {
	bool is_shared; /* set before a second thread takes it */
	pthread_mutex_t mutex;
};

static inline void lock_init(struct lock *l, bool is_shared)
{
	pthread_mutex_init(&l->mutex, NULL);
	l->is_shared = is_shared;
}

static inline void lock_take(struct lock *l)
{
	if (l->is_shared)
		pthread_mutex_lock(&l->mutex);
}

static inline bool lock_try(struct lock *l)
{
	return !l->is_shared || pthread_mutex_trylock(&l->mutex) == 0;
}

static inline void lock_drop(struct lock *l)
{
	if (l->is_shared)
		pthread_mutex_unlock(&l->mutex);
}

/* By the only thread that has ever taken it, which has it now, or not: others will take it. */
static inline void lock_share(struct lock *l, bool is_held)
{
	if (is_held && !l->is_shared)
		(void)pthread_mutex_trylock(&l->mutex); /* nobody has it */
	l->is_shared = true;
}

#endif
