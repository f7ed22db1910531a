/*
 * A small daemon in a thread of this process, made of the real shm/ functions: it can be told to stand still, to sleep, to refuse, or to
 * vanish. It echoes prompts back, a byte a completion.
 */
#ifndef GYRE_TESTS_CLIENT_FAKE_H
#define GYRE_TESTS_CLIENT_FAKE_H

#include "client/gyre.h"
#include "shm/atomic.h"
#include "shm/clock.h"
#include "shm/doorbell.h"
#include "shm/region.h"
#include "shm/ring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND 1000000000ull
#define STATS  "{\"requests\":1}"

enum mode { MODE_SERVE, MODE_HOLD, MODE_DIE };

struct fake {
	char path[64];
	pthread_t thread;
	int listen_fd, conn_fd, event_fd;
	uint32_t mode;
	uint32_t n_slept;
	int32_t refuse; /* answer hello with this */
	bool is_mute;   /* never answer */
	int n_hang_up;  /* hellos that are not answered before one is: by a predecessor that ends */
	struct region region;
	struct sq_consumer sq;
	struct cq_producer cq;
};

static inline void send_welcome(struct fake *f)
{
	struct abi_welcome w = { .magic = GYRE_ABI_MAGIC,
				 .version = GYRE_ABI_VERSION,
				 .layout_hash = abi_layout_hash() };
	int fds[3] = { f->region.client_fd, f->region.daemon_fd, f->event_fd };
	union {
		char bytes[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { &w, sizeof(w) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	w.res = f->refuse;
	w.n_ctx = 2048;
	w.n_vocab = 1000;
	w.has_chat = 1;
	strcpy(w.model, "fake");
	strcpy(w.title, "a fake model");
	w.limits.n_session = 7;
	strcpy(w.text, f->refuse ? "too many sessions: raise max_sessions" : "");
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	if (f->refuse)
		msg.msg_control = NULL, msg.msg_controllen = 0;
	sendmsg(f->conn_fd, &msg, MSG_NOSIGNAL);
}

/* Echoes the prompt back, a byte a completion; the last completion is empty. */
static inline bool answer(struct fake *f, const struct gyre_sqe *sqe, uint32_t *i)
{
	uint32_t n = sqe->opcode == GYRE_OP_GENERATE ? sqe->data_len : 0;
	uint8_t *result;

	for (; *i <= n; ++*i) {
		struct gyre_cqe *cqe = cq_producer_space(&f->cq) > 0 ? cq_producer_reserve(&f->cq, &result) : NULL;

		if (!cqe)
			return false;
		cqe->user_data = sqe->user_data;
		if (*i < n) {
			cqe->flags = GYRE_CQE_MORE;
			region_read_arena(&f->region, sqe->data_off + *i, cqe->bytes, 1);
			cqe->n_bytes = 1;
		} else if (sqe->opcode == GYRE_OP_TOKENIZE) {
			cqe->flags = GYRE_CQE_EXT;
			cqe->res = 2;
			memcpy(result, (uint32_t[]){ 11, 22 }, 8);
		}
		cq_producer_commit(&f->cq);
		if (doorbell_wake_client(f->region.client, f->region.daemon) == GYRE_PARKED_SOCKET)
			send(f->conn_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	return true;
}

static inline bool answer_query(struct fake *f)
{
	struct abi_query q;
	ssize_t n = recv(f->conn_fd, &q, sizeof(q), MSG_DONTWAIT);

	if (n >= (ssize_t)offsetof(struct abi_query, name) && q.magic == ABI_QUERY_MAGIC) /* its name may be missing */
		send(f->conn_fd, STATS, strlen(STATS), MSG_NOSIGNAL);
	return n != 0;
}

static inline void sleep_until_rung(struct fake *f)
{
	struct pollfd p[2] = { { .fd = f->event_fd, .events = POLLIN }, { .fd = f->conn_fd, .events = POLLIN } };
	uint64_t count;

	doorbell_arm(f->region.daemon);
	if (sq_consumer_load(&f->sq) == 0) {
		poll(p, 2, 20);
		f->n_slept++;
		if (p[0].revents && read(f->event_fd, &count, sizeof(count)) < 0)
			abort();
	}
	doorbell_disarm(f->region.daemon);
}

static inline void serve(struct fake *f)
{
	struct gyre_sqe sqe;
	bool has_sqe = false;
	uint32_t i = 0, mode;

	while ((mode = load_acquire(&f->mode)) != MODE_DIE && answer_query(f)) {
		if (mode == MODE_HOLD) {
			sched_yield();
			continue;
		}
		if (!has_sqe && sq_consumer_load(&f->sq) > 0 && sq_consumer_peek(&f->sq, &sqe)) {
			has_sqe = true;
			i = 0;
		}
		if (!has_sqe) {
			sleep_until_rung(f);
		} else if (answer(f, &sqe, &i)) {
			has_sqe = false;
			sq_consumer_advance(&f->sq);
			sq_consumer_commit(&f->sq);
		} else {
			sched_yield();
		}
	}
}

static inline void *fake_main(void *arg)
{
	struct fake *f = arg;
	struct region_layout l;
	struct abi_hello hello;

	f->conn_fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	for (; f->conn_fd >= 0 && f->n_hang_up; f->n_hang_up--) {
		close(f->conn_fd);
		f->conn_fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	}
	if (f->conn_fd < 0 || recv(f->conn_fd, &hello, sizeof(hello), 0) != sizeof(hello))
		return NULL;
	if (f->is_mute) {
		while (load_acquire(&f->mode) != MODE_DIE)
			sched_yield();
	} else if (region_layout_init(&l, hello.sq_entries, hello.cq_entries, hello.arena_bytes) == 0 &&
		   region_create(&f->region, &l) == 0) {
		f->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		sq_consumer_init(&f->sq, &f->region);
		cq_producer_init(&f->cq, &f->region);
		send_welcome(f);
		if (!f->refuse)
			serve(f);
		close(f->event_fd);
		region_deinit(&f->region);
	}
	close(f->conn_fd);
	return NULL;
}

static inline void fake_start(struct fake *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(f->path, sizeof(f->path), "/tmp/gyre-test-client-%d.sock", getpid());
	unlink(f->path);
	memcpy(sa.sun_path, f->path, sizeof(f->path));
	f->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(f->listen_fd, 1), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, fake_main, f), 0);
}

static inline void fake_stop(struct fake *f)
{
	store_release(&f->mode, MODE_DIE);
	pthread_join(f->thread, NULL);
	close(f->listen_fd);
	unlink(f->path);
}

static inline struct gyre *begin(struct fake *f, uint32_t sq, uint32_t cq)
{
	char why[256] = "";
	struct gyre_params p = { .sq_entries = sq,
				 .cq_entries = cq,
				 .arena_bytes = GYRE_ARENA_BYTES_MIN,
				 .error = why,
				 .error_bytes = 256 };
	struct gyre *g;

	memset(f, 0, sizeof(*f));
	fake_start(f);
	if (gyre_connect(&g, f->path, &p) < 0)
		fail_msg("%s", why);
	return g;
}

static inline void end(struct fake *f, struct gyre *g)
{
	gyre_close(g);
	fake_stop(f);
}

#endif
