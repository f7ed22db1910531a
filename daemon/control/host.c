#include "daemon/control/host.h"

#include "daemon/session/session.h"
#include "daemon/util/cleanup.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static int try_memfd(void)
{
	return memfd_create("gyre-try", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static int try_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static int try_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static const struct {
	const char *call;
	int (*open)(void);
} calls[] = {
	{ "memfd_create", try_memfd },
	{ "eventfd2", try_eventfd },
	{ "epoll_create1", try_epoll },
};

/* The smallest session there is: whatever else it takes of the host. */
static int try_session(struct error *e)
{
	const struct abi_hello hello = { .sq_entries = 1, .cq_entries = 8, .arena_bytes = GYRE_ARENA_BYTES_MIN };
	struct session *s = NULL;
	int r = session_new(&s, NULL, -1, 0, &hello);

	session_free(s);
	return r < 0 ? error_call(e, r, "a session's shared memory (ftruncate, fcntl F_ADD_SEALS, mmap)") : 0;
}

int host_check(struct error *e)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		_cleanup_close_ int fd = calls[i].open();

		if (fd < 0)
			return error_call(e, -errno, calls[i].call);
	}
	return try_session(e);
}

/* A session takes four descriptors; the customary soft limit of 1024 is less than all sessions together. */
static void raise_file_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}

void host_limits(bool want_dumps)
{
	raise_file_limit();
	if (!want_dumps)
		prctl(PR_SET_DUMPABLE, 0);
}
