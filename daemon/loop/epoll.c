/*
 * The loop on epoll, for hosts that forbid io_uring: a slot's operation is kept until its descriptor is ready, and the call is
 * made then. See loop.h.
 */
#include "daemon/loop/loop.h"
#include "shm/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENT_MAX 64

enum want { WANT_NOTHING, WANT_ACCEPT, WANT_READ, WANT_POLL };

struct slot {
	enum want want;
	int fd, error; /* error: it could not be watched; the event tells */
	void *to;
	size_t n;
};

struct epoll_loop {
	const struct loop_backend *backend;
	int fd;
	uint32_t n_slot, n_failed; /* n_failed: slots with an error to tell */
	int n_ready, next;
	struct epoll_event ready[EVENT_MAX];
	bool is_timing;
	uint32_t timeout_slot;
	uint64_t timeout_ns; /* CLOCK_MONOTONIC */
	struct slot slot[];
};

static struct epoll_loop *of(struct loop *l)
{
	return (struct epoll_loop *)l;
}

static void epoll_close(struct loop *l)
{
	if (of(l)->fd >= 0)
		close(of(l)->fd);
	free(l);
}

static int epoll_open(struct loop **lp, uint32_t n_slot)
{
	struct epoll_loop *l = calloc(1, sizeof(*l) + n_slot * sizeof(l->slot[0]));
	int r;

	if (!l)
		return -ENOMEM;
	l->backend = &loop_epoll;
	l->n_slot = n_slot;
	l->fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->fd < 0) {
		r = -errno;
		epoll_close((struct loop *)l);
		return r;
	}
	*lp = (struct loop *)l;
	return 0;
}

/* Once: EPOLLONESHOT leaves the descriptor known and silent, and closing it takes it out. */
static void watch(struct loop *lp, uint32_t slot, struct slot s)
{
	struct epoll_loop *l = of(lp);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT, .data.u32 = slot };

	if (epoll_ctl(l->fd, EPOLL_CTL_MOD, s.fd, &ev) < 0 && epoll_ctl(l->fd, EPOLL_CTL_ADD, s.fd, &ev) < 0) {
		s.error = -errno;
		l->n_failed++;
	}
	l->slot[slot] = s;
}

static void epoll_accept(struct loop *l, uint32_t slot, int fd)
{
	/* The connection may be gone again; the call must not wait for the next one then. */
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	watch(l, slot, (struct slot){ .want = WANT_ACCEPT, .fd = fd });
}

static void epoll_read(struct loop *l, uint32_t slot, int fd, void *to, size_t n)
{
	watch(l, slot, (struct slot){ .want = WANT_READ, .fd = fd, .to = to, .n = n });
}

static void epoll_poll(struct loop *l, uint32_t slot, int fd)
{
	watch(l, slot, (struct slot){ .want = WANT_POLL, .fd = fd });
}

static void epoll_timeout(struct loop *l, uint32_t slot, uint64_t ns)
{
	of(l)->is_timing = true;
	of(l)->timeout_slot = slot;
	of(l)->timeout_ns = clock_ns() + ns;
}

/* The call that the slot has waited for. */
static int perform(const struct slot *s)
{
	ssize_t r = POLLIN;

	if (s->error)
		return s->error;
	if (s->want == WANT_ACCEPT)
		r = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
	else if (s->want == WANT_READ)
		r = read(s->fd, s->to, s->n);
	return r < 0 ? -errno : (int)r;
}

/* false: it was not ready after all, and is watched again. */
static bool end_slot(struct loop *lp, uint32_t slot, struct loop_event *ev)
{
	struct slot *s = &of(lp)->slot[slot], was = *s;
	int res;

	if (s->want == WANT_NOTHING)
		return false;
	res = perform(s);
	s->want = WANT_NOTHING;
	if (res == -EAGAIN || res == -EINTR || res == -ECONNABORTED) {
		watch(lp, slot, was);
		return false;
	}
	*ev = (struct loop_event){ slot, res };
	return true;
}

static bool take_failed(struct loop *lp, struct loop_event *ev)
{
	struct epoll_loop *l = of(lp);

	for (uint32_t i = 0; l->n_failed && i < l->n_slot; i++)
		if (l->slot[i].want && l->slot[i].error) {
			l->n_failed--;
			return end_slot(lp, i, ev);
		}
	return false;
}

static int timeout_ms(const struct epoll_loop *l)
{
	uint64_t now = clock_ns();

	if (!l->is_timing)
		return -1;
	return l->timeout_ns <= now ? 0 : (int)((l->timeout_ns - now) / 1000000u % INT_MAX) + 1;
}

static int epoll_wait_next(struct loop *lp, struct loop_event *ev)
{
	struct epoll_loop *l = of(lp);

	if (take_failed(lp, ev))
		return 1;
	if (l->next == l->n_ready) {
		l->next = 0;
		l->n_ready = epoll_wait(l->fd, l->ready, EVENT_MAX, timeout_ms(l));
		if (l->n_ready < 0) {
			l->n_ready = 0;
			return errno == EINTR ? 0 : -errno;
		}
	}
	if (l->is_timing && clock_ns() >= l->timeout_ns) {
		l->is_timing = false;
		*ev = (struct loop_event){ l->timeout_slot, 0 };
		return 1;
	}
	while (l->next < l->n_ready)
		if (end_slot(lp, l->ready[l->next++].data.u32, ev))
			return 1;
	return 0;
}

const struct loop_backend loop_epoll = { "epoll",    epoll_open, epoll_close,   epoll_accept,
					 epoll_read, epoll_poll, epoll_timeout, epoll_wait_next };
