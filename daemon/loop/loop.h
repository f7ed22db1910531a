/*
 * The control thread's waits. Each operation under way has a slot, a small number of the caller's, and ends as one event
 * of that slot; a slot has one at a time. Two forms behind one table: io_uring hands the operations to the kernel, epoll waits
 * until they would not block and makes the call itself. The first that works here is taken; both give the same events.
 *
 * One thread. A descriptor may be closed once its operation has ended. Buffers stay the caller's until then.
 */
#ifndef GYRE_DAEMON_LOOP_LOOP_H
#define GYRE_DAEMON_LOOP_LOOP_H

#include <stddef.h>
#include <stdint.h>

struct loop_event {
	uint32_t slot;
	int res; /* of accept(2) or read(2), the readiness of poll(2), 0 of a timeout; or -errno */
};

struct loop; /* begins with its const struct loop_backend * */

struct loop_backend {
	const char *name;
	/* Proves that it works, by using it. -errno: it does not. */
	int (*open)(struct loop **lp, uint32_t n_slot);
	void (*close)(struct loop *l);
	void (*accept)(struct loop *l, uint32_t slot, int fd);
	void (*read)(struct loop *l, uint32_t slot, int fd, void *to, size_t n);
	void (*poll)(struct loop *l, uint32_t slot, int fd);
	void (*timeout)(struct loop *l, uint32_t slot, uint64_t ns);
	int (*wait)(struct loop *l, struct loop_event *ev);
};

extern const struct loop_backend loop_uring, loop_epoll;

/* For slots below n_slot. *refused: io_uring's errno, 0 if io_uring was taken. -errno: nothing works. */
int loop_open(struct loop **lp, uint32_t n_slot, int *refused);
/* Ends all operations under way. NULL does nothing. Returns NULL. */
struct loop *loop_close(struct loop *l);
const char *loop_name(const struct loop *l);

/* A new connection, close-on-exec. */
void loop_accept(struct loop *l, uint32_t slot, int fd);
void loop_read(struct loop *l, uint32_t slot, int fd, void *to, size_t n);
/* Until fd is readable. */
void loop_poll(struct loop *l, uint32_t slot, int fd);
/* One at a time. */
void loop_timeout(struct loop *l, uint32_t slot, uint64_t ns);

/* Waits for the next event: 1. 0: a signal came first, or the kernel was short of memory: again. -errno. */
int loop_wait(struct loop *l, struct loop_event *ev);

#endif
