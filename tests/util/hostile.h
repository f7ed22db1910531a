/*
 * Clients that do what libgyre never would: speak garbage, lie in their counters, fill rings with noise, vanish in
 * mid-request. For tests against a live daemon, in this process or another.
 */
#ifndef GYRE_TESTS_UTIL_HOSTILE_H
#define GYRE_TESTS_UTIL_HOSTILE_H

#include "shm/region.h"

#include <stdint.h>

/* A session without libgyre: the regions are mapped as any client's are. */
struct raw {
	int fd, event_fd;
	struct abi_welcome welcome;
	struct region region;
};

/* A hello that gyred would accept. */
struct abi_hello raw_hello(void);
/* A connected socket; aborts if nobody listens. */
int raw_connect(const char *path);
/* Says hello: 0, the welcome's -errno, or -ECONNRESET if there was none. */
int raw_open(struct raw *w, const char *path, const struct abi_hello *hello);
void raw_close(struct raw *w);
/* Publishes n entries without looking at anything, and rings. */
void raw_submit(struct raw *w, const struct gyre_sqe *sqe, uint32_t n);

/* One misdeed, drawn from *seed; returns when the connection is closed. n_us: it may dwell this long before it vanishes. */
void hostile_act(const char *path, uint64_t *seed, uint32_t n_us);
uint32_t hostile_random(uint64_t *seed, uint32_t n); /* in [0, n) */

#endif
