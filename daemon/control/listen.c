#include "daemon/control/listen.h"
#include "daemon/util/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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

/* Held while a file is made or removed, and what the listener says of it. */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

/* Who answers at the address: 0: nobody; -EADDRINUSE: a gyred; another -errno: somebody, or that cannot be told. */
static int probe(const struct sockaddr_un *a, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;

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
static int probe_patiently(const struct sockaddr_un *a, int type, bool has_waited)
{
	int r = probe(a, type);

	for (int i = 0; i < PROBE_MAX && r == -EADDRINUSE && !has_waited; i++) {
		usleep(PROBE_US);
		r = probe(a, type);
	}
	return r;
}

/* A file that cannot be made: for want of a descriptor, or of a right. */
static int refuse_file(const char *path, int r, struct error *e)
{
	return error_set(e, r, "%s: %s; %s", path, strerror(-r),
			 r == -EMFILE || r == -ENFILE ? error_remedy(r)
						      : "choose a --socket in a directory you may write, and a "
							"--socket-group that is gyred's");
}

/* The file is removed by who holds its lock, so a lock counts only if the name still leads to what was locked. */
static bool is_named(const char *name, int fd)
{
	struct stat mine, named;

	return fstat(fd, &mine) == 0 && lstat(name, &named) == 0 && named.st_ino == mine.st_ino &&
	       named.st_dev == mine.st_dev;
}

/* Opens the lock, and takes it if nobody has it; never waits. Made and known to be ours without a moment between. */
static int lock_try(struct listener *l)
{
	int fd, r;

	pthread_mutex_lock(&changing);
	fd = open(l->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = fd < 0 ? -errno : fd;
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		l->has_lock = is_named(l->lock, fd);
	pthread_mutex_unlock(&changing);
	return r;
}

/* Another daemon looks at the socket; it takes a second at most, or whatever holds it up. */
static int lock_wait(struct listener *l, int fd)
{
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK || i == LOCK_MAX)
			return -errno;
		usleep(PROBE_US);
	}
	pthread_mutex_lock(&changing);
	l->has_lock = is_named(l->lock, fd);
	pthread_mutex_unlock(&changing);
	return 0;
}

static int lock_take(struct listener *l, bool *has_waited, struct error *e)
{
	*has_waited = false;
	for (;;) {
		_cleanup_close_ int fd = lock_try(l);
		int r;

		if (fd < 0)
			return refuse_file(l->lock, fd, e);
		if (l->has_lock)
			return steal_fd(&fd);
		*has_waited = true;
		r = lock_wait(l, fd);
		if (r == -EWOULDBLOCK)
			return error_set(e, r,
					 "%s: held by another process (fuser %s); end it or choose another --socket",
					 l->lock, l->lock);
		if (r < 0)
			return error_set(e, r, "%s: flock: %s; %s", l->lock, strerror(-r), error_remedy(r));
		if (l->has_lock)
			return steal_fd(&fd);
	}
}

static void lock_drop(struct listener *l)
{
	pthread_mutex_lock(&changing);
	if (l->has_lock)
		unlink(l->lock);
	l->has_lock = false;
	pthread_mutex_unlock(&changing);
}

static int type_of(const struct listen_access *access)
{
	return access && access->type ? access->type : SOCK_SEQPACKET;
}

static int set_access(const char *path, const struct listen_access *access)
{
	struct stat st;

	if (!access)
		return 0;
	if (access->group != (gid_t)-1 && (lstat(path, &st) < 0 || st.st_gid != access->group) &&
	    lchown(path, (uid_t)-1, access->group) < 0)
		return -errno;
	return access->mode && fchmodat(AT_FDCWD, path, access->mode, 0) < 0 ? -errno : 0;
}

/* The socket and its file. On failure none of them is left. Nobody gets in before the file has its mode: it does not listen until then. */
static int make_socket(struct listener *l, const struct listen_access *access)
{
	const struct sockaddr_un *a = &l->at;
	_cleanup_close_ int fd = socket(AF_UNIX, type_of(access) | SOCK_CLOEXEC, 0);
	struct stat st;
	int r;

	if (fd < 0 || bind(fd, (const struct sockaddr *)a, sizeof(*a)) < 0)
		return -errno;
	r = set_access(a->sun_path, access);
	if (r < 0 || listen(fd, SOMAXCONN) < 0 || lstat(a->sun_path, &st) < 0) {
		r = r < 0 ? r : -errno;
		unlink(a->sun_path);
		return r;
	}
	l->fd = steal_fd(&fd);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

/* May what is there be replaced? */
static int check_dead(const struct sockaddr_un *a, int type, const struct stat *st, bool has_waited, struct error *e)
{
	int r;

	if (!S_ISSOCK(st->st_mode))
		return error_set(e, -EEXIST, "%s: exists and is not a socket; choose another --socket", a->sun_path);
	r = probe_patiently(a, type, has_waited);
	if (r == -EADDRINUSE)
		return error_set(e, r, "%s: another gyred serves there; stop it or choose another --socket",
				 a->sun_path);
	return r < 0 ? error_set(e, r, "%s: a socket that somebody else may serve (%s); choose another --socket",
				 a->sun_path, strerror(-r))
		     : 0;
}

/* Under the lock: what was found dead is still dead when it is removed. */
static int replace(struct listener *l, const struct listen_access *access, bool has_waited, struct error *e)
{
	const char *path = l->at.sun_path;
	struct stat st;
	bool is_there = lstat(path, &st) == 0;
	int r = is_there ? check_dead(&l->at, type_of(access), &st, has_waited, e) : 0;

	if (r < 0)
		return r;
	pthread_mutex_lock(&changing);
	if (is_there)
		unlink(path);
	r = make_socket(l, access);
	pthread_mutex_unlock(&changing);
	return r < 0 ? refuse_file(path, r, e) : 0;
}

int listen_open(struct listener *l, const char *path, const struct listen_access *access, struct error *e)
{
	_cleanup_close_ int lock = -1;
	bool has_waited;
	int r;

	pthread_mutex_lock(&changing);
	*l = LISTENER_NONE;
	pthread_mutex_unlock(&changing);
	l->at.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(l->at.sun_path))
		return error_set(e, -ENAMETOOLONG, "%s: a socket's path is at most %zu bytes", path,
				 sizeof(l->at.sun_path) - 1);
	strcpy(l->at.sun_path, path);
	if (!strncmp(path, SYSTEM_DIR "/", strlen(SYSTEM_DIR "/")))
		(void)mkdir(SYSTEM_DIR, 0755); /* if that fails, opening the lock says why */
	snprintf(l->lock, sizeof(l->lock), "%s" LOCK_SUFFIX, path);
	lock = lock_take(l, &has_waited, e);
	if (lock < 0)
		return lock;
	r = replace(l, access, has_waited, e);
	lock_drop(l);
	return r;
}

int listen_adopt(struct listener *l, int fd, struct error *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNSPEC };
	int is_listening = 0, type = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){ sizeof(type) }) < 0 || type != SOCK_SEQPACKET ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &(socklen_t){ sizeof(is_listening) }) < 0 ||
	    !is_listening || getsockname(fd, (struct sockaddr *)&at, &(socklen_t){ sizeof(at) }) < 0 ||
	    at.sun_family != AF_UNIX)
		return error_set(
			e, -EPROTOTYPE,
			"the service manager's descriptor %d is no listening SOCK_SEQPACKET socket of AF_UNIX; "
			"its unit says ListenSequentialPacket=PATH",
			fd);
	pthread_mutex_lock(&changing);
	*l = LISTENER_NONE;
	l->at = at;
	l->fd = fd;
	pthread_mutex_unlock(&changing);
	return 0;
}

static bool is_ours(const struct listener *l)
{
	struct stat st;

	return l->fd >= 0 && l->ino && lstat(l->at.sun_path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino;
}

int listen_change(const struct listener *l, const struct listen_access *access)
{
	return is_ours(l) ? set_access(l->at.sun_path, access) : -ENOENT;
}

static void remove_socket(const struct listener *l)
{
	if (is_ours(l))
		unlinkat(AT_FDCWD, l->at.sun_path, 0); /* the call and the address that the sandbox knows */
}

void listen_close(struct listener *l)
{
	if (l->fd < 0)
		return;
	remove_socket(l);
	close(l->fd);
	l->fd = -1;
}

void listen_abandon(struct listener *l, uint32_t n)
{
	pthread_mutex_lock(&changing); /* for good */
	for (; n--; l++) {
		if (l->has_lock)
			unlink(l->lock);
		remove_socket(l);
	}
}
