#include "daemon/control/sandbox.h"

#include "daemon/util/log.h"

#include <errno.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NUMBER_MAX 512 /* of the calls of a machine */
#define NAME_BYTES 32

/* Names by number, as the handler needs them: it can ask nobody. */
static char name_of[NUMBER_MAX][NAME_BYTES];

/* ---- what ends the daemon ---- */

static size_t append(char *line, size_t n, const char *text)
{
	size_t more = strlen(text);

	memcpy(line + n, text, more);
	return n + more;
}

static size_t append_number(char *line, size_t n, unsigned number)
{
	char digits[12];
	size_t k = sizeof(digits) - 1;

	digits[k] = 0;
	do {
		digits[--k] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	return append(line, n, digits + k);
}

/* In the thread that made the call, instead of it. A call from here that is refused, too, finds SIGSYS blocked and ends the process. */
static void on_refused(int signal_number, siginfo_t *info, void *context)
{
	unsigned number = (unsigned)info->si_syscall;
	const char *name = number < NUMBER_MAX && *name_of[number] ? name_of[number] : "a system call without a name";
	char line[160];
	size_t n = 0;

	(void)signal_number;
	(void)context;
	n = append(line, n, "seccomp: gyred called ");
	n = append(line, n, name);
	n = append(line, n, " (");
	n = append_number(line, n, number);
	n = append(line, n, "): refused and ended\n");
	(void)!write(STDERR_FILENO, line, n);
	syscall(SYS_execve, NULL, NULL, NULL);
	_exit(1);
}

static int install_handler(void)
{
	struct sigaction a = { .sa_sigaction = on_refused, .sa_flags = SA_SIGINFO };
	sigset_t set;

	for (int i = 0; i < NUMBER_MAX; i++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);

		if (name)
			snprintf(name_of[i], sizeof(name_of[i]), "%.*s", NAME_BYTES - 1, name);
		free(name);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	sigfillset(&a.sa_mask);
	if (sigaction(SIGSYS, &a, NULL) < 0)
		return -errno;
	return -pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- the filter ---- */

static struct scmp_arg_cmp compare(const struct sandbox_condition *c, const char *const path[SANDBOX_PATH_MAX])
{
	uint64_t value = c->kind == SANDBOX_OWN_SOCKET ? (uintptr_t)path[c->value] : c->value;

	return SCMP_CMP64(c->argument, SCMP_CMP_MASKED_EQ, c->mask, value);
}

/* Of this machine; negative: it has none. */
static int number_of(const struct sandbox_row *row)
{
	int number = seccomp_syscall_resolve_name(row->name);

	return number < 0 && row->other ? seccomp_syscall_resolve_name(row->other) : number;
}

static int add_row(scmp_filter_ctx ctx, const struct sandbox_row *row, const char *const path[SANDBOX_PATH_MAX])
{
	int number = number_of(row), r = 0;

	if (number < 0)
		return 0;
	if (!row->n_either)
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 0);
	for (uint32_t i = 0; r == 0 && i < row->n_either; i++) {
		const struct scmp_arg_cmp cmp = compare(&row->either[i], path);

		if (row->either[i].kind != SANDBOX_OWN_SOCKET || path[row->either[i].value])
			r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, number, 1, &cmp);
	}
	return r;
}

static int add_refusal(scmp_filter_ctx ctx, const struct sandbox_refusal *f)
{
	int number = seccomp_syscall_resolve_name(f->name);

	return number < 0 ? 0 : seccomp_rule_add(ctx, SCMP_ACT_ERRNO((unsigned)f->code), number, 0);
}

static int make(scmp_filter_ctx *ctxp, const char *const path[SANDBOX_PATH_MAX])
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int r = ctx ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < sandbox_n_row; i++)
		r = add_row(ctx, &sandbox_row[i], path);
	for (uint32_t i = 0; r == 0 && i < sandbox_n_refusal; i++)
		r = add_refusal(ctx, &sandbox_refusal[i]);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: libseccomp before 2.5 has none */
	if (r < 0 && ctx)
		seccomp_release(ctx);
	*ctxp = r < 0 ? NULL : ctx;
	return r;
}

int sandbox_export(const char *const path[SANDBOX_PATH_MAX], int fd)
{
	scmp_filter_ctx ctx;
	int r = make(&ctx, path);

	if (r < 0)
		return r;
	r = seccomp_export_bpf(ctx, fd);
	seccomp_release(ctx);
	return r;
}

int sandbox_enter(const char *const path[SANDBOX_PATH_MAX], struct error *e)
{
	scmp_filter_ctx ctx;
	int r = make(&ctx, path);

	if (r < 0)
		return error_set(e, r, "a filter of system calls cannot be made: %s", strerror(-r));
	r = install_handler();
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r < 0 ? error_set(e, r, "the kernel takes no filter of system calls: %s", strerror(-r)) : 0;
}

/* A sanitizer makes calls of its own. Weak: each is there in its build alone. */
extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));
extern void __ubsan_handle_out_of_bounds_abort(void) __attribute__((weak));

static const char *sanitizer(void)
{
	return __asan_init                          ? "AddressSanitizer"
	       : __tsan_init                        ? "ThreadSanitizer"
	       : __ubsan_handle_out_of_bounds_abort ? "UndefinedBehaviorSanitizer"
						    : NULL;
}

void sandbox_try(bool is_wanted, const char *const path[SANDBOX_PATH_MAX])
{
	struct error e;

	if (!is_wanted)
		log_info("seccomp: off (--seccomp 0): what gains control of this daemon may make any system call");
	else if (sanitizer())
		log_info("seccomp: off: %s makes system calls of its own", sanitizer());
	else if (sandbox_enter(path, &e) < 0)
		log_warn("seccomp: off: %s; allow seccomp(2) in the container, or say --seccomp 0", e.text);
	else
		log_info("seccomp: %u system calls are allowed from here on", sandbox_n_row);
}
