#include "daemon/control.h"
#include "daemon/intake/handshake.h"
#include "daemon/stats.h"
#include "daemon/util/counter.h"
#include "daemon/util/log.h"
#include "shm/doorbell.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define RING_ENTRIES 1024u
#define CONNECTION_MAX \
	(INTAKE_SESSION_MAX + 64) /* the surplus: to tell those past the last session why they are refused */
#define TICK_NS          20000000 /* a draining daemon, a late hello, a failed accept: looked at this often */
#define HELLO_TIMEOUT_NS 5000000000ull

enum event_kind { EVENT_ACCEPT, EVENT_SIGNAL, EVENT_LEADER, EVENT_TICK, EVENT_CONNECTION };

/* At most one operation of each kind, and of each connection, is under way: the ring always has a free entry. */
static_assert(CONNECTION_MAX + EVENT_CONNECTION <= RING_ENTRIES, "submission ring");

struct connection {
	int fd; /* -1: free; once a session exists, the session's */
	struct ucred peer;
	struct session *session;
	uint64_t since_ns;
	union {
		struct abi_hello hello;
		uint8_t bytes[256]; /* a longer message is cut, and then none of ours by its length */
	} in;
};

struct control {
	struct daemon *d;
	struct io_uring ring;
	int listen_fd, signal_fd;
	uint64_t leader_count, drain_end_ns;
	bool is_draining, is_done, is_ticking, is_accepting;
	struct signalfd_siginfo signal;
	struct __kernel_timespec tick;
	struct connection connection[CONNECTION_MAX];
};

/* ---- submissions ---- */

static struct io_uring_sqe *get_sqe(struct control *c, enum event_kind kind, uint32_t index)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&c->ring);

	assert(sqe);
	io_uring_sqe_set_data64(sqe, (uint64_t)index << 8 | kind);
	return sqe;
}

/* prep functions clear user_data on some versions: it is set again after them. */
#define SUBMIT(c, kind, index, prep, ...)                                       \
	do {                                                                    \
		struct io_uring_sqe *sqe_ = get_sqe(c, kind, index);            \
		prep(sqe_, __VA_ARGS__);                                        \
		io_uring_sqe_set_data64(sqe_, (uint64_t)(index) << 8 | (kind)); \
	} while (0)

static void want_accept(struct control *c)
{
	c->is_accepting = true;
	SUBMIT(c, EVENT_ACCEPT, 0, io_uring_prep_accept, c->listen_fd, NULL, NULL, SOCK_CLOEXEC);
}

static void want_signal(struct control *c)
{
	SUBMIT(c, EVENT_SIGNAL, 0, io_uring_prep_read, c->signal_fd, &c->signal, sizeof(c->signal), 0);
}

static void want_leader(struct control *c)
{
	SUBMIT(c, EVENT_LEADER, 0, io_uring_prep_poll_add, c->d->control_fd, POLLIN);
}

static void want_message(struct control *c, uint32_t i)
{
	struct connection *n = &c->connection[i];

	SUBMIT(c, EVENT_CONNECTION, i, io_uring_prep_recv, n->fd, n->in.bytes, sizeof(n->in.bytes), 0);
}

static void want_tick(struct control *c)
{
	if (c->is_ticking)
		return;
	c->is_ticking = true;
	c->tick = (struct __kernel_timespec){ .tv_nsec = TICK_NS };
	SUBMIT(c, EVENT_TICK, 0, io_uring_prep_timeout, &c->tick, 0, 0);
}

/* ---- handshake ---- */

static void fill_welcome(const struct daemon *d, struct abi_welcome *w)
{
	*w = (struct abi_welcome){ .magic = GYRE_ABI_MAGIC,
				   .version = GYRE_ABI_VERSION,
				   .layout_hash = abi_layout_hash() };
	w->n_vocab = vocab_size(d->vocab);
	w->n_ctx = d->engine[0].n_ctx;
	w->bos = vocab_bos(d->vocab);
	w->eos = vocab_eos(d->vocab);
	w->has_chat = vocab_chat_family(d->vocab) != NULL;
	memcpy(w->model, d->model_name, sizeof(w->model));
}

static int send_welcome(int fd, const struct abi_welcome *w, const struct session *s)
{
	char space[CMSG_SPACE(3 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)w, sizeof(*w) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[3];

	if (s) {
		struct cmsghdr *cm;

		m.msg_control = space;
		m.msg_controllen = sizeof(space);
		cm = CMSG_FIRSTHDR(&m);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(fds));
		fds[0] = s->region.client_fd;
		fds[1] = s->region.daemon_fd;
		fds[2] = s->doorbell_fd;
		memcpy(CMSG_DATA(cm), fds, sizeof(fds));
	}
	return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void explain_session(int res, char *text, size_t n)
{
	if (res == -EINVAL)
		snprintf(text, n, "rings are powers of two up to %u and %u entries, arenas %u to %u bytes",
			 GYRE_SQ_ENTRIES_MAX, GYRE_CQ_ENTRIES_MAX, GYRE_ARENA_BYTES_MIN, GYRE_ARENA_BYTES_MAX);
	else if (res == -EMFILE || res == -ENFILE)
		snprintf(text, n, "gyred has no file descriptor left; raise its LimitNOFILE (ulimit -n)");
	else
		snprintf(text, n, "gyred cannot make a session: %s", strerror(-res));
}

/* The longest token of the vocabulary has to fit what a step may write: who asks for no size gets one that holds it. */
static int fit_ring(const struct control *c, struct abi_hello *h, char *text, size_t n)
{
	uint32_t least = intake_cq_min(&c->d->intake), entries = GYRE_CQ_ENTRIES_DEFAULT;

	while (entries < least)
		entries *= 2;
	if (!h->cq_entries)
		h->cq_entries = entries;
	if (h->cq_entries >= least)
		return 0;
	snprintf(text, n, "the longest token of this model takes a completion ring of %u entries", least);
	return -EINVAL;
}

struct census {
	uint32_t n, n_own; /* of anybody, of the uid */
};

static struct census count(const struct control *c, uid_t uid, bool is_session)
{
	struct census all = { 0 };

	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		const struct connection *n = &c->connection[i];

		if (n->fd < 0 || (is_session && !n->session))
			continue;
		all.n++;
		all.n_own += n->peer.uid == uid;
	}
	return all;
}

/* A uid's first place is taken from nobody; it has more as long as it leaves more to others than it has. */
static bool has_place(struct census now, uint32_t n_max)
{
	return now.n < n_max && (!now.n_own || n_max - now.n > now.n_own);
}

static int admit(const struct control *c, const struct connection *n, char *text, size_t n_text)
{
	struct census now = count(c, n->peer.uid, true);

	if (c->is_draining) {
		snprintf(text, n_text, "gyred is shutting down");
		return -ESHUTDOWN;
	}
	if (has_place(now, INTAKE_SESSION_MAX))
		return 0;
	if (now.n == INTAKE_SESSION_MAX)
		snprintf(text, n_text, "gyred serves %u sessions already, and no more; close one", now.n);
	else
		snprintf(text, n_text, "uid %u has %u of gyred's %u sessions, the %u left are for others; close one",
			 (unsigned)n->peer.uid, now.n_own, INTAKE_SESSION_MAX, INTAKE_SESSION_MAX - now.n);
	return -EUSERS;
}

static int welcome(struct control *c, struct connection *n)
{
	struct abi_welcome w;

	fill_welcome(c->d, &w);
	w.res = handshake_check(&n->in.hello, w.text, sizeof(w.text));
	if (w.res == 0)
		w.res = admit(c, n, w.text, sizeof(w.text));
	if (w.res == 0)
		w.res = fit_ring(c, &n->in.hello, w.text, sizeof(w.text));
	if (w.res == 0) {
		if (!n->in.hello.arena_bytes)
			n->in.hello.arena_bytes = c->d->intake.geometry.arena_bytes;
		w.res = session_new(&n->session, n->fd, &n->peer, &n->in.hello);
		if (w.res < 0)
			explain_session(w.res, w.text, sizeof(w.text));
	}
	if (n->session) {
		w.client_bytes = n->session->region.layout.client_bytes;
		w.daemon_bytes = n->session->region.layout.daemon_bytes;
	}
	if (send_welcome(n->fd, &w, n->session) < 0 || w.res < 0)
		return -EPROTO;
	intake_attach(&c->d->intake, n->session);
	return 0;
}

/* ---- statistics ---- */

static void answer_query(struct control *c, int fd)
{
	static char text[STATS_BYTES_MAX]; /* the control thread's */
	size_t n = stats_write(c->d, text, sizeof(text));

	(void)!send(fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- events ---- */

static void close_connection(struct control *c, uint32_t i)
{
	struct connection *n = &c->connection[i];

	if (n->session) {
		intake_detach(&c->d->intake, n->session);
		return;
	}
	close(n->fd);
	n->fd = -1;
}

static void on_accept(struct control *c, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct census now;

	c->is_accepting = false;
	if (fd < 0) { /* no descriptors or memory left: asking again at once would spin, so the tick does */
		log_warn("accept: %s", strerror(-fd));
		want_tick(c);
		return;
	}
	want_accept(c);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		log_warn("a connection whose peer the kernel does not tell is refused: %s", strerror(errno));
		close(fd);
		return;
	}
	now = count(c, peer.uid, false);
	for (uint32_t i = 0; has_place(now, CONNECTION_MAX) && i < CONNECTION_MAX; i++) {
		struct connection *n = &c->connection[i];

		if (n->fd >= 0)
			continue;
		*n = (struct connection){ .fd = fd, .peer = peer, .since_ns = doorbell_now_ns() };
		want_message(c, i);
		want_tick(c);
		return;
	}
	log_warn("uid %u has %u of %u connections, the %u left are for others: one more is refused", (unsigned)peer.uid,
		 now.n_own, CONNECTION_MAX, CONNECTION_MAX - now.n);
	close(fd);
}

/* A hello that was refused leaves no attached session: everything of it is freed here. */
static void on_hello(struct control *c, uint32_t i)
{
	struct connection *n = &c->connection[i];

	if (welcome(c, n) == 0) {
		want_message(c, i);
		return;
	}
	if (n->session) {
		n->session = session_free(n->session); /* closes the socket, too */
		n->fd = -1;
		return;
	}
	close_connection(c, i);
}

static void on_message(struct control *c, uint32_t i, int res)
{
	struct connection *n = &c->connection[i];

	if (res == -EINTR || res == -EAGAIN) {
		want_message(c, i);
		return;
	}
	switch (handshake_classify(n->in.bytes, res > 0 ? (size_t)res : 0, n->session != NULL)) {
	case MESSAGE_HELLO:
		on_hello(c, i);
		break;
	case MESSAGE_QUERY:
		answer_query(c, n->fd);
		want_message(c, i);
		break;
	case MESSAGE_ALIEN: /* also the end: a hang-up reads as no bytes */
		close_connection(c, i);
		break;
	}
}

static void on_leader(struct control *c)
{
	struct session *s, *next;

	(void)!read(c->d->control_fd, &c->leader_count, sizeof(c->leader_count));
	for (s = intake_take_detached(&c->d->intake); s; s = next) {
		next = s->next;
		for (uint32_t i = 0; i < CONNECTION_MAX; i++)
			if (c->connection[i].fd >= 0 && c->connection[i].session == s)
				c->connection[i] = (struct connection){ .fd = -1 };
		session_free(s);
	}
	want_leader(c);
}

static void on_signal(struct control *c, int res)
{
	if (res != (int)sizeof(c->signal)) {
		want_signal(c);
		return;
	}
	if (c->is_draining) {
		c->is_done = true; /* asked twice: at once */
		return;
	}
	log_info("signal %u: finishing what runs, at most %u s", c->signal.ssi_signo, c->d->config.drain_seconds);
	c->is_draining = true;
	c->drain_end_ns = doorbell_now_ns() + c->d->config.drain_seconds * 1000000000ull;
	intake_close(&c->d->intake);
	want_tick(c);
	want_signal(c);
}

static void on_tick(struct control *c)
{
	uint64_t now = doorbell_now_ns();
	bool is_waiting = false;

	c->is_ticking = false;
	if (!c->is_accepting)
		want_accept(c);
	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		struct connection *n = &c->connection[i];

		if (n->fd < 0 || n->session)
			continue;
		is_waiting = true;
		if (now - n->since_ns > HELLO_TIMEOUT_NS)
			shutdown(n->fd, SHUT_RDWR);
	}
	if (c->is_draining) {
		if (now >= c->drain_end_ns || counter_read32(&c->d->intake.pool.n_live) == 0)
			c->is_done = true;
	}
	if (is_waiting || c->is_draining)
		want_tick(c);
}

static void on_event(struct control *c, uint64_t data, int res)
{
	switch ((enum event_kind)(data & 0xff)) {
	case EVENT_ACCEPT:
		on_accept(c, res);
		break;
	case EVENT_SIGNAL:
		on_signal(c, res);
		break;
	case EVENT_LEADER:
		on_leader(c);
		break;
	case EVENT_TICK:
		on_tick(c);
		break;
	case EVENT_CONNECTION:
		on_message(c, (uint32_t)(data >> 8), res);
		break;
	}
}

static void close_all(struct control *c)
{
	io_uring_queue_exit(&c->ring);
	daemon_stop(c->d);
	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		struct connection *n = &c->connection[i];

		if (n->session)
			session_free(n->session);
		else if (n->fd >= 0)
			close(n->fd);
	}
}

/* Memory may come back, and completions are taken next: no reason to drop every client. */
static bool is_passing(int r)
{
	return r == -EINTR || r == -EAGAIN || r == -EBUSY;
}

int control_run(struct daemon *d, int listen_fd, int signal_fd, struct error *e)
{
	struct control *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_set(e, -ENOMEM, "no memory");
	c->d = d;
	c->listen_fd = listen_fd;
	c->signal_fd = signal_fd;
	for (uint32_t i = 0; i < CONNECTION_MAX; i++)
		c->connection[i].fd = -1;
	r = io_uring_queue_init(RING_ENTRIES, &c->ring, 0);
	if (r < 0) {
		free(c);
		return error_set(e, r,
				 "io_uring: %s; allow it (sysctl kernel.io_uring_disabled=0; seccomp profile of a "
				 "container), and on Linux before 5.12 let memory be locked (ulimit -l, LimitMEMLOCK=)",
				 strerror(-r));
	}
	want_accept(c);
	want_signal(c);
	want_leader(c);
	while (!c->is_done) {
		struct io_uring_cqe *cqe;

		r = io_uring_submit_and_wait(&c->ring, 1);
		if (r < 0 && !is_passing(r))
			break;
		while (!c->is_done && io_uring_peek_cqe(&c->ring, &cqe) == 0) {
			uint64_t data = cqe->user_data;
			int res = cqe->res;

			io_uring_cqe_seen(&c->ring, cqe);
			on_event(c, data, res);
		}
	}
	close_all(c);
	free(c);
	return r < 0 && !is_passing(r) ? error_set(e, r, "io_uring: %s", strerror(-r)) : 0;
}
