/*
 * Cleanup attributes for constructors: each way out of a scope releases the things that the scope owns.
 *   _cleanup_free_ char *p = malloc(n);    _cleanup_close_ int fd = open(...);
 *   CLEANUP_FUNC(struct gguf *, gguf_close) then _cleanup_(gguf_closep) struct gguf *g = NULL;
 * steal_ptr / steal_fd hand ownership to the caller.
 */
#ifndef GYRE_DAEMON_UTIL_CLEANUP_H
#define GYRE_DAEMON_UTIL_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

#define CLEANUP_FUNC(type, fn)            \
	static inline void fn##p(type *p) \
	{                                 \
		if (*p)                   \
			fn(*p);           \
	}

#define steal_ptr(p)                         \
	({                                   \
		__typeof__(p) stolen_ = (p); \
		(p) = NULL;                  \
		stolen_;                     \
	})

static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _cleanup_free_  _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)

#endif
