#include "daemon/loop/loop.h"

#include <stdbool.h>

struct loop {
	const struct loop_backend *backend;
};

int loop_open(struct loop **lp, uint32_t n_slot, int *refused)
{
	*refused = loop_uring.open(lp, n_slot);
	return *refused ? loop_epoll.open(lp, n_slot) : 0;
}

struct loop *loop_close(struct loop *l)
{
	if (l)
		l->backend->close(l);
	return NULL;
}

const char *loop_name(const struct loop *l)
{
	return l->backend->name;
}

void loop_accept(struct loop *l, uint32_t slot, int fd)
{
	l->backend->accept(l, slot, fd);
}

void loop_read(struct loop *l, uint32_t slot, int fd, void *to, size_t n)
{
	l->backend->read(l, slot, fd, to, n);
}

void loop_poll(struct loop *l, uint32_t slot, int fd)
{
	l->backend->poll(l, slot, fd);
}

void loop_timeout(struct loop *l, uint32_t slot, uint64_t ns)
{
	l->backend->timeout(l, slot, ns);
}

int loop_wait(struct loop *l, struct loop_event *ev)
{
	return l->backend->wait(l, ev);
}
