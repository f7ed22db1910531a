/* Connecting, the handshake, and the socket's later uses: queries and hang-up. */
#include "client/client.h"
#include "shm/clock.h"

#include "shm/doorbell.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 5000u
#define SPIN_NS \
	20000u /* a token of a small model takes longer than this, a wake-up from a futex is shorter than three */
#define N_FD 3 /* client region, daemon region, doorbell */

__attribute__((format(printf, 3, 4))) static int refuse(const struct gyre_params *p, int res, const char *format, ...)
{
	va_list ap;

	if (p && p->error && p->error_bytes) {
		va_start(ap, format);
		vsnprintf(p->error, p->error_bytes, format, ap);
		va_end(ap);
	}
	return res;
}

static int socket_path(struct sockaddr_un *sa, const char *path, const struct gyre_params *p)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	int n;

	if (!path)
		path = getenv("GYRE_SOCKET");
	if (path && *path) {
		n = snprintf(sa->sun_path, sizeof(sa->sun_path), "%s", path);
	} else {
		n = dir && *dir ? snprintf(sa->sun_path, sizeof(sa->sun_path), "%s/gyre.sock", dir) : 0;
		if (n <= 0 || n >= (int)sizeof(sa->sun_path) || access(sa->sun_path, F_OK) < 0)
			n = snprintf(sa->sun_path, sizeof(sa->sun_path), "/run/gyre/gyre.sock");
	}
	if (n >= (int)sizeof(sa->sun_path))
		return refuse(p, -ENAMETOOLONG, "socket path is longer than %zu bytes: use a shorter one",
			      sizeof(sa->sun_path) - 1);
	return 0;
}

static int refuse_connect(const struct gyre_params *p, int err, const char *path)
{
	if (err == EACCES || err == EPERM)
		return refuse(p, -err, "%s: permission denied: who may write to the socket may connect (see gyred(8))",
			      path);
	if (err == ENOENT || err == ECONNREFUSED)
		return refuse(p, -err, "%s: no gyred listens here: start it, or set GYRE_SOCKET", path);
	return refuse(p, -err, "%s: %s", path, strerror(err));
}

int client_open_socket(struct gyre *g, const char *path, const struct gyre_params *p)
{
	uint32_t timeout_ms = p && p->connect_timeout_ms ? p->connect_timeout_ms : CONNECT_TIMEOUT_MS;
	struct timeval tv = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int res = socket_path(&sa, path, p);

	if (res < 0)
		return res;
	g->socket_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (g->socket_fd < 0)
		return refuse(p, -errno, "socket: %s", strerror(errno));
	setsockopt(g->socket_fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(g->socket_fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (connect(g->socket_fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		int err = errno == EAGAIN ? ETIMEDOUT : errno; /* EAGAIN: its backlog stayed full */

		return refuse_connect(p, err, sa.sun_path);
	}
	return 0;
}

static int send_hello(struct gyre *g, const struct gyre_params *p)
{
	struct abi_hello hello = { .magic = GYRE_ABI_MAGIC,
				   .version = GYRE_ABI_VERSION,
				   .layout_hash = abi_layout_hash() };

	if (p) {
		hello.sq_entries = p->sq_entries;
		hello.cq_entries = p->cq_entries;
		hello.arena_bytes = p->arena_bytes;
		if (p->model)
			snprintf(hello.model, sizeof(hello.model), "%s", p->model);
	}
	/* A daemon that refuses before reading has closed its end: its answer is still to be read. */
	if (send(g->socket_fd, &hello, sizeof(hello), MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return 0;
}

/* Collects the descriptors of one message; those past N_FD are closed. */
static unsigned take_fds(struct msghdr *msg, int fds[N_FD])
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		unsigned n_here = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (unsigned i = 0; i < n_here; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (n < N_FD)
				fds[n++] = fd;
			else
				close(fd);
		}
	}
	return n;
}

/* The welcome, with all N_FD descriptors or none. 0 if complete; a refusal has res < 0 inside. */
static int receive_welcome(struct gyre *g, int fds[N_FD])
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * (N_FD + 1))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = &g->welcome, .iov_len = sizeof(g->welcome) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t n;
	unsigned n_fd;

	do {
		n = recvmsg(g->socket_fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n == 0 ? -ECONNRESET : errno == EAGAIN ? -ETIMEDOUT : -errno;
	n_fd = take_fds(&msg, fds);
	if (n == sizeof(g->welcome) && g->welcome.magic == GYRE_ABI_MAGIC && (g->welcome.res < 0 || n_fd == N_FD)) {
		g->welcome.model[sizeof(g->welcome.model) - 1] = 0;
		g->welcome.title[sizeof(g->welcome.title) - 1] = 0;
		g->welcome.text[sizeof(g->welcome.text) - 1] = 0;
		if (g->welcome.res >= 0)
			return 0;
	}
	for (unsigned i = 0; i < n_fd; i++)
		close(fds[i]);
	return n == sizeof(g->welcome) && g->welcome.magic == GYRE_ABI_MAGIC && g->welcome.res < 0 ? 0 : -EPROTO;
}

static int shake_hands(struct gyre *g, const struct gyre_params *p)
{
	int fds[N_FD], res = send_hello(g, p);

	if (!res)
		res = receive_welcome(g, fds);
	if (res)
		return refuse(p, res, "the daemon did not welcome us: %s",
			      res == -EPROTO ? "it is no gyred of this version" : strerror(-res));
	if (g->welcome.res < 0)
		return refuse(p, g->welcome.res, "%s", *g->welcome.text ? g->welcome.text : strerror(-g->welcome.res));
	g->event_fd = fds[2];
	res = region_attach(&g->region, fds[0], fds[1]);
	if (res)
		return refuse(p, res,
			      "the daemon's shared memory has another layout: rebuild against the gyre that runs");
	g->arena_mark = calloc(g->region.layout.sq_entries, sizeof(*g->arena_mark));
	return g->arena_mark ? 0 : refuse(p, -ENOMEM, "out of memory");
}

static int open_and_shake_hands(struct gyre *g, const char *path, const struct gyre_params *p)
{
	int res = client_open_socket(g, path, p);

	return res ? res : shake_hands(g, p);
}

/* A daemon that ends may have taken the connection a moment before; its successor has the same socket. */
static int connect_once_more(struct gyre *g, const char *path, const struct gyre_params *p)
{
	close(g->socket_fd);
	g->socket_fd = -1;
	return open_and_shake_hands(g, path, p);
}

int gyre_connect(struct gyre **out, const char *path, const struct gyre_params *p)
{
	struct gyre *g = calloc(1, sizeof(*g));
	int res;

	*out = NULL;
	if (!g)
		return refuse(p, -ENOMEM, "out of memory");
	g->region.client_fd = g->region.daemon_fd = g->socket_fd = g->event_fd = -1;
	g->spin_ns = p && p->spin_ns ? p->spin_ns : SPIN_NS;
	res = open_and_shake_hands(g, path, p);
	if (res == -ECONNRESET)
		res = connect_once_more(g, path, p);
	if (res) {
		gyre_close(g);
		return res;
	}
	*out = g;
	return 0;
}

void gyre_close(struct gyre *g)
{
	if (!g)
		return;
	region_deinit(&g->region);
	if (g->event_fd >= 0)
		close(g->event_fd);
	if (g->socket_fd >= 0)
		close(g->socket_fd);
	free(g->arena_mark);
	free(g);
}

void gyre_info(const struct gyre *g, struct gyre_info *info)
{
	*info = (struct gyre_info){
		.n_ctx = g->welcome.n_ctx,
		.n_vocab = g->welcome.n_vocab,
		.bos = g->welcome.bos,
		.eos = g->welcome.eos,
		.n_embd = g->welcome.n_embd,
		.has_chat = g->welcome.has_chat,
		.sq_entries = g->region.layout.sq_entries,
		.cq_entries = g->region.layout.cq_entries,
		.arena_bytes = g->region.layout.arena_bytes,
	};
	memcpy(info->model, g->welcome.title, sizeof(info->model));
	memcpy(info->name, g->welcome.model, sizeof(info->name));
	info->limits = g->welcome.limits;
}

bool client_has_hung_up(struct gyre *g)
{
	struct pollfd p = { .fd = g->socket_fd, .events = POLLRDHUP };

	if (!g->has_hung_up && poll(&p, 1, 0) > 0)
		g->has_hung_up = p.revents & (POLLRDHUP | POLLHUP | POLLERR);
	return g->has_hung_up;
}
