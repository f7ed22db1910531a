/*
 * Why: gyred runs where others decide what a process may do: containers whose filters know no io_uring, kernels of other ages, limits
 * that a site has set. What there is another way for must work, and what there is none for must be said before the model is loaded,
 * by the name of the call, with what to do. Each case is the real gyred under a real filter or limit.
 */
#include "tests/system/tinyd.h"
#include "tests/util/emulated.h"
#include "tests/util/sanitized.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static struct tinyd d;

/* A call that fails. arg2: only with this third argument; -1: always. */
struct denial {
	long call;
	int error, arg2;
};

struct filter_case {
	const char *name;
	struct denial deny[12];
	const char *want;   /* what gyred says; NULL: anything */
	const char *refuse; /* instead of serving; NULL: it serves */
};

#define LOAD(field)          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(v, n)    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(v), 0, (n))
#define RETURN(v)            BPF_STMT(BPF_RET | BPF_K, (v))
#define RETURN_ERROR(number) RETURN(SECCOMP_RET_ERRNO | (uint32_t)(number))

static void deny(void *arg)
{
	const struct filter_case *c = arg;
	struct sock_filter f[64];
	struct sock_fprog prog = { 0, f };
	unsigned short n = 0;

	for (const struct denial *one = c->deny; one->error; one++) {
		f[n++] = (struct sock_filter)LOAD(nr);
		f[n++] = (struct sock_filter)SKIP_UNLESS(one->call, one->arg2 < 0 ? 1 : 3);
		if (one->arg2 >= 0) {
			f[n++] = (struct sock_filter)LOAD(args[2]);
			f[n++] = (struct sock_filter)SKIP_UNLESS(one->arg2, 1);
		}
		f[n++] = (struct sock_filter)RETURN_ERROR(one->error);
	}
	f[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	prog.len = n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		_exit(126);
}

#define ALWAYS(call, error)           \
	{                             \
		SYS_##call, error, -1 \
	}
#define FILTERED "allow it in the container's seccomp profile"
#define ON_EPOLL "control loop: epoll (io_uring: "

static const struct filter_case cases[] = {
	{ "nothing", { { 0 } }, NULL, NULL },
	{ "io_uring_setup, EPERM", { ALWAYS(io_uring_setup, EPERM) }, ON_EPOLL "Operation not permitted)", NULL },
	{ "io_uring_setup, ENOSYS", { ALWAYS(io_uring_setup, ENOSYS) }, ON_EPOLL "Function not implemented)", NULL },
	{ "io_uring_enter, EPERM", { ALWAYS(io_uring_enter, EPERM) }, ON_EPOLL, NULL },
	{ "io_uring_register, EPERM", { ALWAYS(io_uring_register, EPERM) }, ON_EPOLL, NULL },
	{ "Linux before 5.14", { { SYS_madvise, EINVAL, MADV_POPULATE_WRITE } }, NULL, NULL },
	{ "madvise, EPERM", { ALWAYS(madvise, EPERM) }, NULL, NULL },
	{ "madvise, ENOSYS", { ALWAYS(madvise, ENOSYS) }, NULL, NULL },
	{ "signalfd4, EPERM", { ALWAYS(signalfd4, EPERM) }, "signals: by a handler", NULL },
	{ "signalfd4, ENOSYS", { ALWAYS(signalfd4, ENOSYS) }, "signals: by a handler", NULL },
	{ "signalfd4 and io_uring",
	  { ALWAYS(signalfd4, EPERM), ALWAYS(io_uring_setup, EPERM) },
	  "signals: by a handler",
	  NULL },
	{ "mbind, EPERM", { ALWAYS(mbind, EPERM) }, NULL, NULL },
	{ "set_mempolicy, EPERM", { ALWAYS(set_mempolicy, EPERM) }, NULL, NULL },
	{ "move_pages, EPERM", { ALWAYS(move_pages, EPERM) }, NULL, NULL },
	{ "sched_setaffinity, EPERM", { ALWAYS(sched_setaffinity, EPERM) }, NULL, NULL },
	{ "sched_getaffinity, EPERM", { ALWAYS(sched_getaffinity, EPERM) }, NULL, NULL },
	{ "prctl, EPERM", { ALWAYS(prctl, EPERM) }, NULL, NULL },
	{ "prlimit64, EPERM", { ALWAYS(prlimit64, EPERM) }, NULL, NULL },
	{ "preadv2, ENOSYS", { ALWAYS(preadv2, ENOSYS) }, NULL, NULL },
	{ "clone3, ENOSYS", { ALWAYS(clone3, ENOSYS) }, NULL, NULL },
	{ "statx, ENOSYS", { ALWAYS(statx, ENOSYS) }, NULL, NULL },
	{ "pidfd_open and futex_waitv", { ALWAYS(pidfd_open, EPERM), { 449, ENOSYS, -1 } }, NULL, NULL },
	{ "a container's usual filter",
	  { ALWAYS(io_uring_setup, EPERM), ALWAYS(io_uring_enter, EPERM), ALWAYS(io_uring_register, EPERM),
	    ALWAYS(mbind, EPERM), ALWAYS(set_mempolicy, EPERM), ALWAYS(get_mempolicy, EPERM), ALWAYS(move_pages, EPERM),
	    ALWAYS(clone3, ENOSYS), ALWAYS(perf_event_open, EPERM), ALWAYS(bpf, EPERM), ALWAYS(userfaultfd, EPERM) },
	  ON_EPOLL,
	  NULL },
	{ "all that there is another way for",
	  { ALWAYS(io_uring_setup, ENOSYS), ALWAYS(madvise, EPERM), ALWAYS(signalfd4, EPERM), ALWAYS(mbind, EPERM),
	    ALWAYS(set_mempolicy, EPERM), ALWAYS(move_pages, EPERM), ALWAYS(sched_setaffinity, EPERM),
	    ALWAYS(preadv2, ENOSYS), ALWAYS(prctl, EPERM), ALWAYS(prlimit64, EPERM) },
	  ON_EPOLL,
	  NULL },
	{ "memfd_create, EPERM",
	  { ALWAYS(memfd_create, EPERM) },
	  NULL,
	  "memfd_create: Operation not permitted; " FILTERED },
	{ "memfd_create, ENOSYS",
	  { ALWAYS(memfd_create, ENOSYS) },
	  NULL,
	  "memfd_create: Function not implemented; " FILTERED },
	{ "eventfd2, EPERM", { ALWAYS(eventfd2, EPERM) }, NULL, "eventfd2: Operation not permitted; " FILTERED },
	{ "epoll_create1, EPERM",
	  { ALWAYS(epoll_create1, EPERM) },
	  NULL,
	  "epoll_create1: Operation not permitted; " FILTERED },
	{ "fchmod, EPERM", { ALWAYS(fchmod, EPERM) }, NULL, "shared memory" },
	{ "flock, EPERM", { ALWAYS(flock, EPERM) }, NULL, "s.lock: flock: Operation not permitted; " FILTERED },
	{ "memfd_create, EMFILE", { ALWAYS(memfd_create, EMFILE) }, NULL, "raise ulimit -n" },
	{ "eventfd2, ENFILE", { ALWAYS(eventfd2, ENFILE) }, NULL, "raise sysctl fs.file-max" },
};

/* "Ready" means that a request is served; and whatever it lives on, a SIGTERM ends it in order. */
static void serves(const char *name, const char *want)
{
	struct gyre *g;

	if (!tinyd_wait_for(&d, "ready in"))
		fail_msg("%s: not ready: %s", name, d.said);
	g = tinyd_connect(&d, NULL);
	if (tinyd_generate(g, "hello", 5))
		fail_msg("%s: no answer: %s", name, tinyd_said(&d));
	gyre_close(g);
	if (want && !strstr(tinyd_said(&d), want))
		fail_msg("%s: does not say '%s' but:\n%s", name, want, d.said);
	if (tinyd_stop(&d))
		fail_msg("%s: SIGTERM does not end it in order: %s", name, tinyd_said(&d));
}

static void refuses(const char *name, const char *want)
{
	if (tinyd_wait_for(&d, "ready in"))
		kill(d.pid, SIGKILL);
	if (tinyd_wait(&d) != 1)
		fail_msg("%s: should be refused, but: %s", name, tinyd_said(&d));
	if (!strstr(tinyd_said(&d), want) || strstr(d.said, "model:"))
		fail_msg("%s: does not say '%s' first, but:\n%s", name, want, d.said);
}

/* A sanitizer's runtime ends the program where it may not arrange its own memory. */
static bool can_run(const struct filter_case *c)
{
	static const long own[] = { SYS_madvise, SYS_prctl, SYS_prlimit64, SYS_sched_getaffinity };
	bool is_bare = true;

	for (const struct denial *one = c->deny; one->error; one++)
		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
			is_bare &= one->call != own[i];
	return is_bare || !IS_SANITIZED;
}

static void what_a_filter_denies_is_done_otherwise_or_named(void **state)
{
	char *argv[] = { (char *)"--threads", (char *)"2", NULL };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct filter_case *c = &cases[i];

		if (!can_run(c))
			continue;
		tinyd_start(&d, argv, deny, (void *)c);
		if (c->refuse)
			refuses(c->name, c->refuse);
		else
			serves(c->name, c->want);
	}
}

struct limit {
	int resource;
	rlim_t n;
};

static void set_limit(void *arg)
{
	const struct limit *l = arg;

	if (setrlimit((__rlimit_resource_t)l->resource, &(struct rlimit){ l->n, l->n }))
		_exit(126);
}

/* A file that may not be made is an error of the client that asked for it: SIGXFSZ would end everybody's daemon. */
static void a_limit_on_files_is_the_asking_clients_error(void **state)
{
	char *argv[] = { (char *)"--threads", (char *)"1", NULL };
	struct limit l = { RLIMIT_FSIZE, 4 << 20 };
	char why[256] = "";
	struct gyre_params p = { .arena_bytes = 16 << 20, .error = why, .error_bytes = sizeof(why) };
	struct gyre *g, *refused;

	(void)state;
	tinyd_start(&d, argv, set_limit, &l);
	tinyd_wait_ready(&d);
	assert_int_equal(gyre_connect(&refused, d.socket, &p), -EFBIG);
	assert_non_null(strstr(why, "LimitFSIZE"));
	g = tinyd_connect(&d, NULL);
	assert_int_equal(tinyd_generate(g, "hello", 3), 0);
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
	/* Where no session can be made there is nothing to serve. */
	l.n = 16384;
	tinyd_start(&d, argv, set_limit, &l);
	refuses("RLIMIT_FSIZE", "raise ulimit -f");
}

/* Five seconds would be the kernel's patience between SIGXCPU and SIGKILL: an orderly end is what a batch system's limit means. */
static void a_cpu_limit_is_a_sigterm(void **state)
{
	char *argv[] = { (char *)"--threads", (char *)"1", (char *)"--drain-seconds", (char *)"0", NULL };

	(void)state;
	tinyd_start(&d, argv, NULL, NULL);
	tinyd_wait_ready(&d);
	kill(d.pid, SIGXCPU);
	assert_int_equal(tinyd_wait(&d), 0);
}

static void few_descriptors_are_named(void **state)
{
	char *argv[] = { (char *)"--threads", (char *)"1", NULL };
	struct limit l = { RLIMIT_NOFILE, 6 };

	(void)state;
	tinyd_start(&d, argv, set_limit, &l);
	refuses("RLIMIT_NOFILE", "raise ulimit -n");
}

static void limit_nobody(void *arg)
{
	set_limit(arg);
	if (setgid(65534) || setuid(65534))
		_exit(126);
}

static void few_threads_are_named(void **state)
{
	char *argv[] = { (char *)"--threads", (char *)"1", NULL };
	struct limit l = { RLIMIT_NPROC, 0 };

	(void)state;
	if (getuid()) {
		puts("skip: a limit of one thread for a user without others needs root");
		skip();
	}
	assert_int_equal(chmod(d.dir, 0777), 0);
	assert_int_equal(chmod(d.model, 0644), 0);
	tinyd_start(&d, argv, limit_nobody, &l);
	refuses("RLIMIT_NPROC", "pthread_create: Resource temporarily unavailable; raise ulimit -u");
}

static int setup(void **state)
{
	(void)state;
	tinyd_setup(&d, &tiny_served);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tinyd_teardown(&d);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_filter_denies_is_done_otherwise_or_named),
		cmocka_unit_test(a_limit_on_files_is_the_asking_clients_error),
		cmocka_unit_test(a_cpu_limit_is_a_sigterm),
		cmocka_unit_test(few_descriptors_are_named),
		cmocka_unit_test(few_threads_are_named),
	};

	if (is_emulated("limits and filters are"))
		return 0;
	return cmocka_run_group_tests(tests, setup, teardown);
}
