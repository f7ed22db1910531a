#include "daemon/control/listen.h"
#include "daemon/util/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE_MAX   20 /* of PROBE_US: one second */
#define PROBE_US    50000
#define LOCK_MAX    200 /* of PROBE_US: who holds the lock looks for a second, and others may wait before us */
#define LOCK_SUFFIX ".lock"
#define SYSTEM_DIR  "/run/gyre" /* of the usual socket; /run is empty after each boot */

/* Who answers at the address: 0: nobody; -EADDRINUSE: a gyred; another -errno: somebody, or that cannot be told. */
static int probe(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 || errno == EAGAIN)
		r = -EADDRINUSE;
	else
		r = errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
	close(fd);
	return r;
}

/*
 * The kernel lets go of a killed daemon's io_uring, and so of its listener, a moment after the process: ask for a while.
 * Unless we waited for another that looked: what answers then is what it found alive, or itself.
 */
static int probe_patiently(const struct sockaddr_un *a, bool has_waited)
{
	int r = probe(a);

	for (int i = 0; i < PROBE_MAX && r == -EADDRINUSE && !has_waited; i++) {
		usleep(PROBE_US);
		r = probe(a);
	}
	return r;
}

/* As long as a daemon that starts may hold it; the caller cannot be interrupted. */
static int lock_wait(int fd)
{
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK || i == LOCK_MAX)
			return -errno;
		usleep(PROBE_US);
	}
	return 0;
}

/* The file is removed by who holds its lock, so a lock counts only if the name still leads to what was locked. */
static int lock_take(const char *name, bool *has_waited, struct error *e)
{
	*has_waited = false;
	for (;;) {
		_cleanup_close_ int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		int r = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
		struct stat mine, named;

		if (r == -EWOULDBLOCK) {
			*has_waited = true;
			r = lock_wait(fd);
		}
		if (r == -EWOULDBLOCK)
			return error_set(e, r,
					 "%s: held by another process (fuser %s); end it or choose another --socket",
					 name, name);
		if (r < 0)
			return error_set(e, r, "%s: flock: %s; %s", name, strerror(-r), error_remedy(r));
		if (fd < 0 || fstat(fd, &mine) < 0)
			return error_set(e, -errno, "%s: %s; choose a --socket in a directory you may write", name,
					 strerror(errno));
		if (lstat(name, &named) == 0 && named.st_ino == mine.st_ino && named.st_dev == mine.st_dev)
			return steal_fd(&fd);
	}
}

/* Between bind and listen, so that nobody gets in by the umask's rights. */
static int set_access(const char *path, const struct listen_access *access)
{
	if (!access)
		return 0;
	if (access->group != (gid_t)-1 && lchown(path, (uid_t)-1, access->group) < 0)
		return -errno;
	return access->mode && chmod(path, access->mode) < 0 ? -errno : 0;
}

static int make_socket(struct listener *l, const struct listen_access *access, struct error *e)
{
	const char *path = l->at.sun_path;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct stat st;
	int r;

	if (fd < 0)
		return error_set(e, -errno, "socket: %s", strerror(errno));
	if (bind(fd, (const struct sockaddr *)&l->at, sizeof(l->at)) < 0)
		return error_set(e, -errno, "%s: %s; choose a --socket in a directory you may write", path,
				 strerror(errno));
	r = set_access(path, access);
	if (r < 0) {
		unlink(path);
		return error_set(e, r, "%s: its mode or group cannot be set: %s; --socket-group is one of gyred's own",
				 path, strerror(-r));
	}
	if (listen(fd, SOMAXCONN) < 0 || lstat(path, &st) < 0)
		return error_set(e, -errno, "%s: %s", path, strerror(errno));
	l->fd = steal_fd(&fd);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

/* Under the lock: what was found dead is still dead when it is removed. */
static int replace(struct listener *l, const struct listen_access *access, bool has_waited, struct error *e)
{
	const struct sockaddr_un *a = &l->at;
	const char *path = a->sun_path;
	struct stat st;
	int r;

	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return error_set(e, -EEXIST, "%s: exists and is not a socket; choose another --socket", path);
		r = probe_patiently(a, has_waited);
		if (r == -EADDRINUSE)
			return error_set(e, r, "%s: another gyred serves there; stop it or choose another --socket",
					 path);
		if (r < 0)
			return error_set(e, r,
					 "%s: a socket that somebody else may serve (%s); choose another --socket",
					 path, strerror(-r));
		unlink(path);
	}
	return make_socket(l, access, e);
}

int listen_open(struct listener *l, const char *path, const struct listen_access *access, struct error *e)
{
	char name[sizeof(l->at.sun_path) + sizeof(LOCK_SUFFIX)];
	_cleanup_close_ int lock = -1;
	bool has_waited;
	int r;

	*l = (struct listener){ .fd = -1, .at.sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(l->at.sun_path))
		return error_set(e, -ENAMETOOLONG, "%s: a socket's path is at most %zu bytes", path,
				 sizeof(l->at.sun_path) - 1);
	strcpy(l->at.sun_path, path);
	if (!strncmp(path, SYSTEM_DIR "/", strlen(SYSTEM_DIR "/")))
		(void)mkdir(SYSTEM_DIR, 0755); /* if that fails, opening the lock says why */
	snprintf(name, sizeof(name), "%s" LOCK_SUFFIX, path);
	lock = lock_take(name, &has_waited, e);
	if (lock < 0)
		return lock;
	r = replace(l, access, has_waited, e);
	unlink(name);
	return r;
}

int listen_adopt(struct listener *l, int fd, struct error *e)
{
	socklen_t n = sizeof(l->at);
	int on = 0, type = 0;

	*l = (struct listener){ .fd = -1, .at.sun_family = AF_UNIX };
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){ sizeof(type) }) < 0 || type != SOCK_SEQPACKET ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &(socklen_t){ sizeof(on) }) < 0 || !on ||
	    getsockname(fd, (struct sockaddr *)&l->at, &n) < 0 || l->at.sun_family != AF_UNIX)
		return error_set(
			e, -EPROTOTYPE,
			"the service manager's descriptor %d is no listening SOCK_SEQPACKET socket of AF_UNIX; "
			"its unit says ListenSequentialPacket=PATH",
			fd);
	l->fd = fd;
	return 0;
}

void listen_unlink(const struct listener *l)
{
	struct stat st;

	if (l->ino && lstat(l->at.sun_path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->at.sun_path);
}

void listen_close(struct listener *l)
{
	if (l->fd < 0)
		return;
	listen_unlink(l);
	close(l->fd);
	l->fd = -1;
}
