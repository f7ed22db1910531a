#include "daemon/control/service.h"
#include "shm/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

int service_take_socket(struct error *e)
{
	int n = sd_listen_fds(1);

	if (n > 1)
		return error_set(e, -EINVAL, "the service manager hands over %d sockets; gyred listens on one", n);
	return n == 1 ? SD_LISTEN_FDS_START : -ENOENT;
}

/*
 * sd_notify(3) opens a socket for each message and asks for four ids: calls that the sandbox need not allow. The socket is opened with
 * the first message, at start-up.
 */
static void notify(const char *text)
{
	static int fd = -1;
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;

	if (!n || n >= sizeof(to.sun_path) || !strchr("/@", *path))
		return;
	if (fd < 0)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(to.sun_path, path, n);
	if (*path == '@') /* an abstract name */
		to.sun_path[0] = 0;
	(void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

void service_say(const char *fmt, ...)
{
	char text[256] = "STATUS=";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + strlen(text), sizeof(text) - strlen(text), fmt, ap);
	va_end(ap);
	notify(text);
}

void service_say_ready(void)
{
	notify("READY=1\nSTATUS=serving");
}

void service_say_reloading(void)
{
	char text[128];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reading the configuration",
		 (unsigned long long)clock_ns() / 1000);
	notify(text);
}

void service_say_stopping(void)
{
	notify("STOPPING=1\nSTATUS=finishing what runs");
}

uint64_t service_watchdog_ns(void)
{
	uint64_t us = 0;

	return sd_watchdog_enabled(0, &us) > 0 ? us * 1000 : 0;
}

void service_say_alive(void)
{
	notify("WATCHDOG=1");
}
