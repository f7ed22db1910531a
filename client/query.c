/* Questions to the daemon (struct abi_query): each is one message on the socket, and so is its answer. */
#include "client/client.h"
#include "shm/clock.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUERY_TIMEOUT_MS 5000

/* name: "" where the question has none. */
static int ask(int fd, uint32_t what, const char *name)
{
	struct abi_query query = { .magic = ABI_QUERY_MAGIC, .what = what };
	size_t n = strlen(name);

	if (n >= sizeof(query.name))
		return -ENAMETOOLONG;
	memcpy(query.name, name, n);
	if (send(fd, &query, offsetof(struct abi_query, name) + (n ? n + 1 : 0), MSG_NOSIGNAL) < 0)
		return errno == EPIPE ? -ECONNRESET : errno == EAGAIN ? -ETIMEDOUT : -errno;
	return 0;
}

/* One message of at least n_min bytes. */
static ssize_t receive_answer(int fd, ssize_t n_min, uint64_t timeout_ms, char *text, size_t size)
{
	uint64_t end_ns = clock_ns() + timeout_ms * 1000000ull;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	do {
		uint64_t now_ns = clock_ns();

		if (now_ns >= end_ns || poll(&p, 1, (int)((end_ns - now_ns) / 1000000 + 1)) == 0)
			return -ETIMEDOUT;
		n = recv(fd, text, size - 1, MSG_DONTWAIT | MSG_TRUNC);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return -ECONNRESET;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
	} while (n < n_min);
	if ((size_t)n >= size)
		return -ENOBUFS;
	text[n] = 0;
	return n;
}

ssize_t gyre_query_stats(struct gyre *g, char *text, size_t size)
{
	int r;

	if (size < 2)
		return -ENOBUFS;
	r = ask(g->socket_fd, ABI_QUERY_STATS, "");
	/* Wake-ups of a session, one byte each, may come before it. */
	return r < 0 ? r : receive_answer(g->socket_fd, 2, QUERY_TIMEOUT_MS, text, size);
}

ssize_t gyre_query(const char *path, enum abi_query_kind what, const char *name, uint32_t timeout_ms, char *text,
		   size_t size)
{
	struct gyre_params p = { .connect_timeout_ms = timeout_ms, .error = text, .error_bytes = size };
	struct gyre g = { .socket_fd = -1 };
	ssize_t r;

	if (size < 2)
		return -ENOBUFS;
	*text = 0;
	r = client_open_socket(&g, path, &p);
	if (r == 0)
		r = ask(g.socket_fd, what, name ? name : "");
	if (r == 0)
		r = receive_answer(g.socket_fd, 1, timeout_ms ? timeout_ms : QUERY_TIMEOUT_MS, text, size);
	if (g.socket_fd >= 0)
		close(g.socket_fd);
	if (r > 0 && text[r - 1] == '\n')
		text[--r] = 0;
	return r;
}
