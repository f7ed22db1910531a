/*
 * `gyre health`: whether tokens move, for scripts, probes and load balancers. The question is asked without a session, so that a daemon
 * with no place left for one answers, too; one whose control thread stands answers nobody, and that is an answer.
 */
#include "tools/tool.h"

#include "client/client.h"
#include "shm/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 900 /* it is not ready within a second of standing */
#define AGAIN_US    100000

struct health_answer {
	int code; /* an exit code */
	char why[512];
};

__attribute__((format(printf, 3, 4))) static void say(struct health_answer *h, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(h->why, sizeof(h->why), fmt, ap);
	va_end(ap);
	h->code = code;
}

/* The answer, within the time; -errno. */
static int receive(int fd, char *text, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r = poll(&p, 1, PATIENCE_MS);
	ssize_t n;

	if (r <= 0)
		return r < 0 ? -errno : -ETIMEDOUT;
	n = recv(fd, text, size - 1, MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 ? -errno : -ECONNRESET;
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	return 0;
}

static void refuse(struct health_answer *h, int res, const char *why)
{
	if (res == -ENOENT || res == -ECONNREFUSED)
		say(h, TOOL_NO_DAEMON, "%s", why);
	else if (res == -EAGAIN || res == -ETIMEDOUT)
		say(h, TOOL_FAILED,
		    "gyred does not answer within a second: it is loading its model, or its control "
		    "thread stands");
	else
		say(h, TOOL_FAILED, "%s", *why ? why : strerror(-res));
}

static void look(struct health_answer *h, const char *path)
{
	const struct abi_query query = { .magic = ABI_QUERY_MAGIC, .what = ABI_QUERY_HEALTH };
	char text[400], why[256] = "";
	const struct gyre_params p = { .error = why, .error_bytes = sizeof(why), .connect_timeout_ms = PATIENCE_MS };
	struct gyre g = { .socket_fd = -1 };
	int r = client_open_socket(&g, path, &p);

	if (r == 0 && send(g.socket_fd, &query, offsetof(struct abi_query, name), MSG_NOSIGNAL) < 0)
		r = -errno;
	if (r == 0)
		r = receive(g.socket_fd, text, sizeof(text));
	if (g.socket_fd >= 0)
		close(g.socket_fd);
	if (r < 0)
		refuse(h, r, why);
	else
		say(h, *text ? TOOL_FAILED : TOOL_OK, "%s", text);
}

int health_main(const struct args *a)
{
	uint64_t end_ns = clock_ns() + (uint64_t)((double)a->wait_s * 1e9);
	struct health_answer h;

	for (look(&h, a->socket); h.code != TOOL_OK && clock_ns() < end_ns; look(&h, a->socket))
		usleep(AGAIN_US);
	if (a->json)
		print_json(json_pack("{s:b,s:s}", "healthy", h.code == TOOL_OK, "reason", h.why));
	else if (h.code == TOOL_OK)
		puts("tokens move");
	return h.code == TOOL_OK || a->json ? h.code : fail(h.code, "%s", h.why);
}
