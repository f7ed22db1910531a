#include "daemon/listen.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PROBE_MAX 20 /* of PROBE_US: one second */
#define PROBE_US  50000

static bool can_connect(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (fd < 0)
		return false;
	alive = connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 || errno == EAGAIN;
	close(fd);
	return alive;
}

/* The kernel lets go of a killed daemon's io_uring, and so of its listener, a moment after the process: ask for a while. */
static bool is_alive(const struct sockaddr_un *a)
{
	for (int i = 0; i < PROBE_MAX; i++) {
		if (!can_connect(a))
			return false;
		usleep(PROBE_US);
	}
	return true;
}

int listen_open(const char *path, struct error *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, r;

	if (strlen(path) >= sizeof(a.sun_path))
		return error_set(e, -ENAMETOOLONG, "%s: a socket's path is at most %zu bytes", path,
				 sizeof(a.sun_path) - 1);
	strcpy(a.sun_path, path);
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return error_set(e, -EEXIST, "%s: exists and is not a socket; choose another --socket", path);
		if (is_alive(&a))
			return error_set(e, -EADDRINUSE,
					 "%s: another gyred serves there; stop it or choose another --socket", path);
		unlink(path);
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(e, -errno, "socket: %s", strerror(errno));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, SOMAXCONN) < 0) {
		r = error_set(e, -errno, "%s: %s; choose a --socket in a directory you may write", path,
			      strerror(errno));
		close(fd);
		return r;
	}
	return fd;
}
