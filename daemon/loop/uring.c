/* The loop on io_uring: an operation is an entry, its event the completion. See loop.h. */
#include "daemon/loop/loop.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

struct uring_loop {
	const struct loop_backend *backend;
	struct io_uring ring;
	struct __kernel_timespec timeout;
};

static struct uring_loop *of(struct loop *l)
{
	return (struct uring_loop *)l;
}

static const uint8_t wanted[] = { IORING_OP_ACCEPT, IORING_OP_READ, IORING_OP_POLL_ADD, IORING_OP_TIMEOUT,
				  IORING_OP_NOP };

static bool has_operations(struct io_uring *ring)
{
	struct io_uring_probe *p = io_uring_get_probe_ring(ring);
	bool all = p != NULL;

	for (size_t i = 0; all && i < sizeof(wanted) / sizeof(wanted[0]); i++)
		all = io_uring_opcode_supported(p, wanted[i]);
	io_uring_free_probe(p);
	return all;
}

/* The functions that Debian 12's liburing declares and does not have. */
static int register_ring(struct io_uring *ring, unsigned what, const void *arg, unsigned n)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, what, arg, n) < 0 ? -errno : 0;
}

/* A ring makes calls that no filter of system calls sees: this one makes no others, whoever writes to it. */
static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction only[sizeof(wanted)] = { 0 };
	int r;

	for (size_t i = 0; i < sizeof(wanted); i++) {
		only[i].opcode = IORING_RESTRICTION_SQE_OP;
		only[i].sqe_op = wanted[i];
	}
	r = register_ring(ring, IORING_REGISTER_RESTRICTIONS, only, sizeof(wanted));
	return r < 0 ? r : register_ring(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/* A filter may let a ring be made and forbid to use it. */
static int try_ring(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int r = has_operations(ring) ? restrict_ring(ring) : -ENOSYS;

	if (r < 0)
		return r;
	io_uring_prep_nop(io_uring_get_sqe(ring));
	r = io_uring_submit_and_wait(ring, 1);
	if (r >= 0)
		r = io_uring_peek_cqe(ring, &cqe);
	if (r < 0)
		return r;
	io_uring_cqe_seen(ring, cqe);
	return 0;
}

static void uring_close(struct loop *l)
{
	io_uring_queue_exit(&of(l)->ring);
	free(l);
}

static int uring_open(struct loop **lp, uint32_t n_slot)
{
	struct uring_loop *l = calloc(1, sizeof(*l));
	int r = -ENOMEM;

	if (!l)
		return r;
	l->backend = &loop_uring;
	/* Rounded up to a power of two: as many operations as slots always find a free entry. */
	r = io_uring_queue_init(n_slot, &l->ring, IORING_SETUP_R_DISABLED);
	if (r < 0) {
		free(l);
		return r;
	}
	r = try_ring(&l->ring);
	if (r < 0) {
		uring_close((struct loop *)l);
		return r;
	}
	*lp = (struct loop *)l;
	return 0;
}

static struct io_uring_sqe *get_sqe(struct loop *l)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&of(l)->ring);

	assert(sqe);
	return sqe;
}

/* Some versions' prep functions clear user_data: it is set after them. */
static void uring_accept(struct loop *l, uint32_t slot, int fd)
{
	struct io_uring_sqe *sqe = get_sqe(l);

	io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	sqe->user_data = slot;
}

static void uring_read(struct loop *l, uint32_t slot, int fd, void *to, size_t n)
{
	struct io_uring_sqe *sqe = get_sqe(l);

	io_uring_prep_read(sqe, fd, to, (unsigned)n, 0);
	sqe->user_data = slot;
}

static void uring_poll(struct loop *l, uint32_t slot, int fd)
{
	struct io_uring_sqe *sqe = get_sqe(l);

	io_uring_prep_poll_add(sqe, fd, POLLIN);
	sqe->user_data = slot;
}

static void uring_timeout(struct loop *l, uint32_t slot, uint64_t ns)
{
	struct io_uring_sqe *sqe = get_sqe(l);

	of(l)->timeout = (struct __kernel_timespec){ (int64_t)(ns / 1000000000u), (int64_t)(ns % 1000000000u) };
	io_uring_prep_timeout(sqe, &of(l)->timeout, 0, 0);
	sqe->user_data = slot;
}

static int uring_wait(struct loop *l, struct loop_event *ev)
{
	struct io_uring *ring = &of(l)->ring;
	struct io_uring_cqe *cqe;
	int r = io_uring_peek_cqe(ring, &cqe);

	if (r < 0) {
		r = io_uring_submit_and_wait(ring, 1);
		if (r >= 0)
			r = io_uring_peek_cqe(ring, &cqe);
	}
	if (r < 0) /* memory may come back, and completions are taken next: no reason to drop every client */
		return r == -EINTR || r == -EAGAIN || r == -EBUSY ? 0 : r;
	*ev = (struct loop_event){ (uint32_t)cqe->user_data, cqe->res == -ETIME ? 0 : cqe->res };
	io_uring_cqe_seen(ring, cqe);
	return 1;
}

const struct loop_backend loop_uring = { "io_uring", uring_open, uring_close,   uring_accept,
					 uring_read, uring_poll, uring_timeout, uring_wait };
