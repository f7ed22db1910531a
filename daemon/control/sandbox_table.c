/* The calls that serving, loading a model and ending take, and no more. See sandbox.h. */
#include "daemon/control/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define ONE(argument, mask, value)                           \
	{                                                    \
		{                                            \
			argument, mask, value, SANDBOX_VALUE \
		}                                            \
	}
#define IS(argument, value)                                \
	{                                                  \
		argument, UINT64_MAX, value, SANDBOX_VALUE \
	}
#define NO_BITS(number, bits) 1, ONE(number, bits, 0)

#define OWN_PATHS                                            \
	{                                                    \
		{ 1, UINT64_MAX, 0, SANDBOX_OWN_SOCKET },    \
		{                                            \
			1, UINT64_MAX, 1, SANDBOX_OWN_SOCKET \
		}                                            \
	}
#define WRITING (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))
#define THREAD  (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND)

const struct sandbox_row sandbox_row[] = {
	/* memory */
	{ "mmap", NULL, "sessions, pools, stacks and the allocator; never to execute", NO_BITS(2, PROT_EXEC) },
	{ "munmap", NULL, "what mmap has made", 0, { { 0 } } },
	{ "mprotect", NULL, "stacks' guards, weights read-only; never to execute", NO_BITS(2, PROT_EXEC) },
	{ "madvise", NULL, "huge pages, pages ahead of use, pages given back, none in dumps", 0, { { 0 } } },
	{ "mbind", NULL, "a model's memory on its node", 0, { { 0 } } },
	{ "move_pages", NULL, "whether it lies there; never to move any", NO_BITS(3, UINT64_MAX) },
	{ "memfd_create", NULL, "rings, arenas, pools", 0, { { 0 } } },
	{ "ftruncate", NULL, "their sizes", 0, { { 0 } } },
	{ "fchmod", NULL, "their mode", 0, { { 0 } } },
	/* files */
	{ "openat", NULL, "models, /proc, /sys and the configuration; never to write", NO_BITS(2, WRITING) },
	{ "read", NULL, "files, eventfds, signals, messages", 0, { { 0 } } },
	{ "pread64", NULL, "models, /proc and /sys", 0, { { 0 } } },
	{ "write", NULL, "the log, eventfds", 0, { { 0 } } },
	{ "close", NULL, "what was opened", 0, { { 0 } } },
	{ "fstat", NULL, "a file's size", 0, { { 0 } } },
	{ "newfstatat", NULL, "a file's size, and whose the socket's file is", 0, { { 0 } } },
	{ "getdents64", NULL, "the drop-ins of a configuration that is read again", 0, { { 0 } } },
	{ "fcntl",
	  NULL,
	  "seals, and calls that do not wait",
	  5,
	  { IS(1, F_ADD_SEALS), IS(1, F_GETFL), IS(1, F_SETFL), IS(1, F_GETFD), IS(1, F_SETFD) } },
	{ "unlinkat", NULL, "the files of its own sockets", 2, OWN_PATHS },
	{ "fchmodat", NULL, "its mode, when a configuration is read again", 2, OWN_PATHS },
	/* threads */
	{ "clone", NULL, "threads of a model that is loaded; never a process", 1, ONE(0, THREAD, THREAD) },
	{ "rseq", NULL, "libc's, in each new thread", 0, { { 0 } } },
	{ "prctl", NULL, "a thread's name", 1, ONE(0, UINT64_MAX, PR_SET_NAME) },
	{ "sched_setaffinity", NULL, "a worker's core", 0, { { 0 } } },
	{ "sched_getaffinity", NULL, "whether each worker has one", 0, { { 0 } } },
	{ "sched_yield", NULL, "workers that share a core", 0, { { 0 } } },
	{ "futex", NULL, "barriers, locks, clients that sleep", 0, { { 0 } } },
	{ "exit", NULL, "a thread's end", 0, { { 0 } } },
	{ "exit_group", NULL, "the daemon's", 0, { { 0 } } },
	/* signals and time */
	{ "rt_sigprocmask", NULL, "new threads take none", 0, { { 0 } } },
	{ "rt_sigreturn", NULL, "back from a handler, where there is no signalfd", 0, { { 0 } } },
	{ "restart_syscall", NULL, "a wait that a debugger or SIGSTOP has cut", 0, { { 0 } } },
	{ "clock_gettime", NULL, "threads' CPU time, and all time on a host without a vDSO", 0, { { 0 } } },
	/* sockets and waiting */
	{ "accept4", NULL, "clients, where there is no io_uring, and scrapes of metrics", 0, { { 0 } } },
	{ "recvfrom", NULL, "scrapes", 0, { { 0 } } },
	{ "sendto", NULL, "answers, signs of life, wake-ups", 0, { { 0 } } },
	{ "sendmsg", NULL, "a session's descriptors, the journal", 0, { { 0 } } },
	{ "socket", NULL, "the journal's; never the network's", 1, ONE(0, UINT64_MAX, AF_UNIX) },
	{ "getsockopt", NULL, "whose a connection is", 0, { { 0 } } },
	{ "shutdown", NULL, "connections that say nothing", 0, { { 0 } } },
	{ "epoll_ctl", NULL, "doorbells of new sessions", 0, { { 0 } } },
	{ "epoll_wait", "epoll_pwait", "idle leaders", 0, { { 0 } } },
	{ "poll", "ppoll", "the thread that answers scrapes", 0, { { 0 } } },
	{ "eventfd2", NULL, "a session's doorbell", 0, { { 0 } } },
	{ "io_uring_enter", NULL, "the control loop", 0, { { 0 } } },
};
const uint32_t sandbox_n_row = sizeof(sandbox_row) / sizeof(sandbox_row[0]);

const struct sandbox_refusal sandbox_refusal[] = {
	{ "clone3", "its flags lie in memory, where no filter sees them: libc takes clone", ENOSYS },
	{ "io_uring_setup", "a ring makes calls that no filter sees: a model is read without", EPERM },
	{ "io_uring_register", "the same", EPERM },
	{ "set_robust_list", "no mutex here is robust", ENOSYS },
	{ "set_mempolicy", "a wish; pools are bound by mbind", EPERM },
	{ "setpriority", "a wish", EPERM },
	{ "setsockopt", "libsystemd's wish for a larger buffer", EPERM },
	{ "connect", "libraries' wish; every message names its receiver", EPERM },
	{ "preadv2", "whether a file is cached, which matters to a ring alone", EPERM },
	{ "fadvise64", "a wish", EPERM },
	{ "lseek", "libc's, when a file is closed that was not read to its end", ESPIPE },
	{ "readlink", "libraries' look for settings", ENOENT },
	{ "access", "the same", ENOENT },
	{ "faccessat", "the same", ENOENT },
	{ "brk", "the allocator takes mmap", ENOMEM },
	{ "mremap", "the allocator copies", ENOMEM },
	{ "getrandom", "libraries read /dev/urandom", ENOSYS },
	{ "sysinfo", "qsort(3)'s look at how large a buffer may be, once", EPERM },
	{ "clock_nanosleep", "nobody's wait", EPERM },
	{ "prlimit64", "a limit that is not known is found by trying", EPERM },
	{ "chmod", "fchmodat is the call that is known", EPERM },
	{ "chown", "the socket's group, which takes a restart", EPERM },
	{ "lchown", "the same", EPERM },
	{ "fchownat", "the same", EPERM },
	{ "epoll_create1", "name services' (a name in a configuration that is read again)", EPERM },
	{ "getpid", "abort() ends by a fault then", EPERM },
	{ "gettid", "the same", EPERM },
	{ "tgkill", "the same", EPERM },
	{ "rt_sigaction", "the same", EPERM },
};
const uint32_t sandbox_n_refusal = sizeof(sandbox_refusal) / sizeof(sandbox_refusal[0]);
