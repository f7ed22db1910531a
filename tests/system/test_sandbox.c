/*
 * Why: gyred reads files and bytes of people whom nobody knows. Whoever finds a hole in it must not find a shell, a file to write or a
 * network behind it, and the operator must read in the log what was tried. Each class of calls is made behind the real filter, in a
 * child; and the real daemon loads, serves and ends behind it.
 */
#include "daemon/control/sandbox.h"
#include "tests/system/tinyd.h"
#include "tests/util/emulated.h"

#include <dirent.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

static struct tinyd d;
static char own_socket[] = "/tmp/gyre-sandbox-socket", own_metrics[] = "/tmp/gyre-sandbox-metrics";
static const char *const own[SANDBOX_PATH_MAX] = { own_socket, own_metrics };

/* ---- the table ---- */

static uint32_t run_filter(const struct sock_filter *f, size_t n, const struct seccomp_data *data)
{
	uint32_t a = 0, word;

	for (size_t pc = 0; pc < n; pc++) {
		uint32_t k = f[pc].k;

		switch (f[pc].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&word, (const char *)data + k, sizeof(word));
			a = word;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= k;
			break;
		case BPF_JMP | BPF_JA:
			pc += k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == k ? f[pc].jt : f[pc].jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > k ? f[pc].jt : f[pc].jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= k ? f[pc].jt : f[pc].jf;
			break;
		case BPF_RET | BPF_K:
			return k;
		default:
			fail_msg("an instruction %#x", f[pc].code);
		}
	}
	fail_msg("a filter without an end");
	return 0;
}

static const struct sandbox_row *row_of(int number)
{
	for (uint32_t i = 0; i < sandbox_n_row; i++) {
		const struct sandbox_row *row = &sandbox_row[i];
		int of_row = seccomp_syscall_resolve_name(row->name);

		if (of_row < 0 && row->other)
			of_row = seccomp_syscall_resolve_name(row->other);
		if (of_row == number)
			return row;
	}
	return NULL;
}

/* Whether the filter lets the call through with arguments that its row allows. */
static bool lets_through(const struct sock_filter *f, size_t n, struct seccomp_data data)
{
	const struct sandbox_row *row = row_of(data.nr);
	const struct sandbox_condition *c = row ? &row->either[0] : NULL;

	if (c && row->n_either)
		data.args[c->argument] = c->kind == SANDBOX_OWN_SOCKET ? (uintptr_t)own_socket : c->value;
	return run_filter(f, n, &data) == SECCOMP_RET_ALLOW;
}

/* What the kernel is given, and not what the table says. */
static void few_calls_are_allowed_and_each_has_a_reason(void **state)
{
	static struct sock_filter f[BPF_MAXINSNS];
	struct seccomp_data data = { .arch = seccomp_arch_native() };
	int fd = memfd_create("filter", MFD_CLOEXEC);
	unsigned n_call = 0;
	size_t n;

	(void)state;
	assert_int_equal(sandbox_export(own, fd), 0);
	n = (size_t)pread(fd, f, sizeof(f), 0) / sizeof(f[0]);
	close(fd);
	assert_true(n > 10);
	for (data.nr = 0; data.nr < 1024; data.nr++) {
		bool is_allowed = lets_through(f, n, data);

		assert_int_equal(is_allowed, row_of(data.nr) != NULL);
		n_call += is_allowed;
	}
	printf("%u system calls, %zu instructions\n", n_call, n);
	assert_true(n_call > 20 && n_call <= SANDBOX_CALL_MAX);
	assert_true(sandbox_n_row <= SANDBOX_CALL_MAX);
	for (uint32_t i = 0; i < sandbox_n_row; i++)
		assert_true(strlen(sandbox_row[i].why) > 4);
	for (uint32_t i = 0; i < sandbox_n_refusal; i++)
		assert_null(row_of(seccomp_syscall_resolve_name(sandbox_refusal[i].name)));
}

/* ---- what is refused ---- */

struct call {
	const char *is, *name;
	long number, arg[4];
	int error; /* it is answered; 0: it ends the process */
};

static const char readable[] = "/proc/self/status";
static char victim[] = "/tmp/gyre-no-such-file";

#define FILE_OPEN(flags) "openat", SYS_openat, { AT_FDCWD, (long)victim, flags, 0600 }, 0
#define SOCKET(family)   "socket", SYS_socket, { family, SOCK_STREAM, 0, 0 }, 0
#define NO_ARG(call)     #call, SYS_##call, { 0 }, 0

static const struct call calls[] = {
	{ "a program", NO_ARG(execve) },
	{ "a program of a descriptor", NO_ARG(execveat) },
	{ "a process", "clone", SYS_clone, { SIGCHLD, 0, 0, 0 }, 0 },
	{ "a user namespace", "clone", SYS_clone, { CLONE_NEWUSER | SIGCHLD, 0, 0, 0 }, 0 },
	{ "a process of unseen flags", "clone3", SYS_clone3, { 0 }, ENOSYS },
	{ "another namespace", NO_ARG(unshare) },
	{ "another's namespace", NO_ARG(setns) },
	{ "another process", NO_ARG(ptrace) },
	{ "another process's memory", NO_ARG(process_vm_readv) },
	{ "another process's descriptor", NO_ARG(pidfd_getfd) },
	{ "a signal", NO_ARG(kill) },
	{ "a file to write", FILE_OPEN(O_WRONLY) },
	{ "a file to change", FILE_OPEN(O_RDWR) },
	{ "a new file", FILE_OPEN(O_CREAT) },
	{ "an empty file", FILE_OPEN(O_TRUNC) },
	{ "a file by its handle", NO_ARG(open_by_handle_at) },
	{ "openat2's file", NO_ARG(openat2) },
	{ "a removed file", "unlinkat", SYS_unlinkat, { AT_FDCWD, (long)victim, 0, 0 }, 0 },
	{ "a renamed file", NO_ARG(renameat2) },
	{ "a folder", NO_ARG(mkdirat) },
	{ "a link", NO_ARG(symlinkat) },
	{ "a file's owner", "fchownat", SYS_fchownat, { AT_FDCWD, (long)victim, 0, 0 }, EPERM },
	{ "a mount", NO_ARG(mount) },
	{ "another root", NO_ARG(chroot) },
	{ "IPv4", SOCKET(AF_INET) },
	{ "IPv6", SOCKET(AF_INET6) },
	{ "netlink", SOCKET(AF_NETLINK) },
	{ "raw packets", SOCKET(AF_PACKET) },
	{ "a virtual machine's host", SOCKET(AF_VSOCK) },
	{ "a server", NO_ARG(bind) },
	{ "a connection", "connect", SYS_connect, { -1, 0, 0, 0 }, EPERM },
	{ "memory to execute", "mmap", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS }, 0 },
	{ "memory made executable", "mprotect", SYS_mprotect, { 0, 4096, PROT_READ | PROT_EXEC, 0 }, 0 },
	{ "the same by a key", NO_ARG(pkey_mprotect) },
	{ "pages of others", "move_pages", SYS_move_pages, { 1, 1, (long)victim, (long)victim }, 0 },
	{ "faults of its own", NO_ARG(userfaultfd) },
	{ "a ring that makes calls", "io_uring_setup", SYS_io_uring_setup, { 1, (long)victim, 0, 0 }, EPERM },
	{ "a device's control", "ioctl", SYS_ioctl, { 0, TIOCSTI, (long)victim, 0 }, 0 },
	{ "a limit", "prlimit64", SYS_prlimit64, { 0, 0, (long)victim, 0 }, EPERM },
	{ "dumps again", "prctl", SYS_prctl, { PR_SET_DUMPABLE, 1, 0, 0 }, 0 },
	{ "another user", NO_ARG(setuid) },
	{ "another group", NO_ARG(setgid) },
	{ "capabilities", NO_ARG(capset) },
	{ "another filter", NO_ARG(seccomp) },
	{ "a program in the kernel", NO_ARG(bpf) },
	{ "counters of the kernel", NO_ARG(perf_event_open) },
	{ "a module", NO_ARG(finit_module) },
	{ "another kernel", NO_ARG(kexec_load) },
	{ "a reboot", NO_ARG(reboot) },
	{ "the clock", NO_ARG(clock_settime) },
	{ "keys", NO_ARG(keyctl) },
	{ "shared memory with a name", NO_ARG(shmget) },
	{ "another personality", NO_ARG(personality) },
	{ "memory by /dev/mem's way", NO_ARG(mlockall) },
	{ "another priority", NO_ARG(sched_setscheduler) },
	{ "a call that nobody knows", "a system call without a name", 499, { 0 }, 0 },
};

static _Noreturn void be_confined(int to, void (*what)(const void *arg), const void *arg)
{
	struct error e;

	signal(SIGSEGV, SIG_DFL); /* cmocka's */
	signal(SIGILL, SIG_DFL);
	dup2(to, STDERR_FILENO);
	if (sandbox_enter(own, &e) < 0) {
		dprintf(to, "%s", e.text);
		_exit(3);
	}
	what(arg);
	_exit(0);
}

/* The status of a child that does it behind the filter, and what it said. */
static int confined(void (*what)(const void *arg), const void *arg, char *said, size_t n)
{
	int fd[2], status;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0)
		be_confined(fd[1], what, arg);
	close(fd[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	got = read(fd[0], said, n - 1);
	said[got > 0 ? got : 0] = 0;
	close(fd[0]);
	return status;
}

static void make_call(const void *arg)
{
	const struct call *c = arg;

	if (syscall(c->number, c->arg[0], c->arg[1], c->arg[2], c->arg[3], -1, 0) >= 0)
		_exit(4);
	_exit(errno == c->error ? 0 : 5);
}

static bool can_filter(void)
{
#ifdef GYRE_SANITIZED
	puts("skip: a sanitizer makes calls of its own");
	return false;
#else
	return !is_emulated("a filter of system calls is");
#endif
}

static void a_refused_call_is_named_and_ends_it(void **state)
{
	char said[512], want[128];

	(void)state;
	if (!can_filter())
		skip();
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		const struct call *c = &calls[i];
		int status = confined(make_call, c, said, sizeof(said));

		if (c->error) {
			if (!WIFEXITED(status) || WEXITSTATUS(status) || *said)
				fail_msg("%s: %s: status %#x: %s", c->is, c->name, (unsigned)status, said);
			continue;
		}
		snprintf(want, sizeof(want), "seccomp: gyred called %s (%ld): refused and ended\n", c->name, c->number);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS || strcmp(said, want))
			fail_msg("%s: %s: status %#x: %s", c->is, c->name, (unsigned)status, said);
	}
}

static int go_fd[2];

static void *call_later(void *arg)
{
	char byte;

	(void)!read(go_fd[0], &byte, 1);
	syscall(SYS_execve, NULL, NULL, NULL);
	return arg;
}

static void wake(const void *arg)
{
	(void)!write(go_fd[1], "", 1);
	pthread_join(*(const pthread_t *)arg, NULL);
}

/* A worker was made before, and blocks what a worker blocks. */
static void threads_that_were_there_are_confined(void **state)
{
	char said[512] = "";
	int fd[2], status;
	pid_t pid;

	(void)state;
	if (!can_filter())
		skip();
	assert_int_equal(pipe(go_fd), 0);
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		pthread_t thread;
		sigset_t all;

		sigfillset(&all);
		sigdelset(&all, SIGSYS);
		pthread_sigmask(SIG_SETMASK, &all, NULL);
		pthread_create(&thread, NULL, call_later, NULL);
		be_confined(fd[1], wake, &thread);
	}
	close(fd[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)!read(fd[0], said, sizeof(said) - 1);
	close(fd[0]);
	close(go_fd[0]);
	close(go_fd[1]);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	assert_non_null(strstr(said, "gyred called execve "));
}

/* ---- what goes on ---- */

static void *nothing(void *arg)
{
	return arg;
}

static void live(const void *arg)
{
	pthread_t thread;
	char byte, *p;
	int fd = open(readable, O_RDONLY | O_CLOEXEC);

	(void)arg;
	if (fd < 0 || read(fd, &byte, 1) != 1 || close(fd))
		_exit(10);
	if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
		_exit(11);
	fd = memfd_create("m", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, 4096) || fchmod(fd, 0600) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		_exit(12);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ) || munmap(p, 4096))
		_exit(13);
	p = malloc(64u << 20);
	if (!p)
		_exit(14);
	free(p);
	if (unlinkat(AT_FDCWD, own_socket, 0) == 0 || errno != ENOENT)
		_exit(15);
	if (unlinkat(AT_FDCWD, own_metrics, 0) == 0 || errno != ENOENT)
		_exit(16);
}

static void die_by_abort(const void *arg)
{
	(void)arg;
	abort();
}

static void serving_goes_on(void **state)
{
	char said[512];
	int status;

	(void)state;
	if (!can_filter())
		skip();
	status = confined(live, NULL, said, sizeof(said));
	if (status)
		fail_msg("status %#x: %s", (unsigned)status, said);
	status = confined(die_by_abort, NULL, said, sizeof(said));
	assert_true(WIFSIGNALED(status));
	assert_string_equal(said, ""); /* abort() is no call that was refused */
}

/* ---- the daemon ---- */

/* Of all threads: 2 is a filter. */
static void assert_filtered(bool is_filtered)
{
	char path[300], line[256];
	struct dirent *e;
	int n_thread = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)d.pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		FILE *f;

		if (*e->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", (int)d.pid, e->d_name);
		f = fopen(path, "r");
		assert_non_null(f);
		while (fgets(line, sizeof(line), f))
			if (!strncmp(line, "Seccomp:", 8)) {
				assert_int_equal(atoi(line + 8), is_filtered ? 2 : 0);
				n_thread++;
			}
		fclose(f);
	}
	closedir(dir);
	assert_true(n_thread >= 4); /* this one, a leader, a worker, helpers */
}

static void serve(char *wanted, char *metrics, void (*before)(void *arg), void *arg)
{
	char *argv[] = {
		(char *)"--threads", (char *)"2", (char *)"--seccomp", wanted, (char *)"--metrics-socket", metrics, NULL
	};
	struct gyre *g;

	if (!metrics)
		argv[4] = NULL;
	tinyd_start(&d, argv, before, arg);
	tinyd_wait_ready(&d);
	g = tinyd_connect(&d, NULL);
	assert_int_equal(tinyd_generate(g, "hello", 3), 0);
	gyre_close(g);
}

/* A scrape of metrics, by a thread and a library of their own. */
static bool is_scraped(const char *path)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_found = false;
	char text[4096];
	ssize_t n;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && write(fd, request, sizeof(request) - 1) > 0)
		while ((n = read(fd, text, sizeof(text) - 1)) > 0) {
			text[n] = 0;
			is_found |= strstr(text, "gyre_") != NULL;
		}
	close(fd);
	return is_found;
}

static void the_whole_daemon_is_confined(void **state)
{
	char metrics[128];

	(void)state;
	snprintf(metrics, sizeof(metrics), "%s/m", d.dir);
	if (!can_filter())
		skip();
	serve((char *)"1", metrics, NULL, NULL);
	assert_true(is_scraped(metrics));
	assert_non_null(strstr(tinyd_said(&d), " system calls are allowed from here on"));
	assert_filtered(true);
	assert_int_equal(tinyd_stop(&d), 0);
	assert_int_equal(access(d.socket, F_OK), -1); /* it may remove these two files */
	assert_int_equal(access(metrics, F_OK), -1);
	serve((char *)"0", NULL, NULL, NULL);
	assert_non_null(strstr(tinyd_said(&d), "seccomp: off (--seccomp 0)"));
	assert_filtered(false);
	assert_int_equal(tinyd_stop(&d), 0);
}

/* A host whose kernel or container has no filters to give. */
static void deny_filters(void *arg)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	(void)arg;
	if (!ctx || seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp), 0) ||
	    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP)) ||
	    seccomp_load(ctx))
		_exit(126);
}

static void a_host_without_filters_is_told(void **state)
{
	(void)state;
	if (!can_filter())
		skip();
	serve((char *)"1", NULL, deny_filters, NULL);
	assert_non_null(strstr(tinyd_said(&d), "seccomp: off: "));
	assert_int_equal(tinyd_stop(&d), 0);
}

/* ---- the unit ---- */

#define ALLOWED_MAX 1024

struct names {
	char name[ALLOWED_MAX][40];
	size_t n;
};

static void name_set(struct names *s, const char *name, bool is_in)
{
	size_t i = 0;

	while (i < s->n && strcmp(s->name[i], name))
		i++;
	if (is_in && i == s->n) {
		assert_true(s->n < ALLOWED_MAX);
		snprintf(s->name[s->n++], sizeof(s->name[0]), "%.39s", name);
	} else if (!is_in && i < s->n) {
		memmove(s->name[i], s->name[--s->n], sizeof(s->name[0]));
	}
}

/* A call, or a group as systemd has it: groups hold groups. */
static void word_set(struct names *s, const char *word, bool is_in)
{
	char command[128], line[256];
	FILE *f;

	if (*word != '@') {
		name_set(s, word, is_in);
		return;
	}
	snprintf(command, sizeof(command), "systemd-analyze syscall-filter --no-pager %.60s", word);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *at = line + strspn(line, " ");

		at[strcspn(at, " \n")] = 0;
		if (at != line && *at && *at != '#')
			word_set(s, at, is_in);
	}
	assert_int_equal(pclose(f), 0);
}

static void the_units_filter_lets_it_live(void **state)
{
	static struct names s;
	char line[1024], *rest, *word;
	FILE *f;

	(void)state;
	if (system("systemd-analyze syscall-filter --no-pager @default >/dev/null 2>&1")) {
		puts("skip: systemd-analyze is not installed");
		skip();
	}
	f = fopen("systemd/gyred.service.in", "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		bool is_in;

		if (strncmp(line, "SystemCallFilter=", 17))
			continue;
		is_in = line[17] != '~';
		for (word = strtok_r(line + 17 + !is_in, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
			word_set(&s, word, is_in);
	}
	fclose(f);
	assert_true(s.n > 100);
	for (uint32_t i = 0; i < sandbox_n_row; i++) {
		size_t k = 0;

		while (k < s.n && strcmp(s.name[k], sandbox_row[i].name))
			k++;
		if (k == s.n)
			fail_msg("gyred.service forbids %s: %s", sandbox_row[i].name, sandbox_row[i].why);
	}
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
		cmocka_unit_test(few_calls_are_allowed_and_each_has_a_reason),
		cmocka_unit_test(a_refused_call_is_named_and_ends_it),
		cmocka_unit_test(threads_that_were_there_are_confined),
		cmocka_unit_test(serving_goes_on),
		cmocka_unit_test(the_whole_daemon_is_confined),
		cmocka_unit_test(a_host_without_filters_is_told),
		cmocka_unit_test(the_units_filter_lets_it_live),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
