/* The real gyred on a tiny model, with whatever the test does to the child before it becomes gyred: limits, filters, cgroups. */
#ifndef GYRE_TESTS_SYSTEM_TINYD_H
#define GYRE_TESTS_SYSTEM_TINYD_H

#include "client/gyre.h"
#include "tests/util/tiny.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TINYD_WAIT_NS 60000000000ull

struct tinyd {
	pid_t pid;
	char dir[64], socket[96], model[96], log[96];
	char said[65536];
};

static inline void tinyd_setup(struct tinyd *d, const struct tiny *model)
{
	strcpy(d->dir, "/tmp/gyre-tinyd-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	assert_int_equal(chmod(d->dir, 0755), 0); /* for other uids */
	snprintf(d->socket, sizeof(d->socket), "%s/s", d->dir);
	snprintf(d->model, sizeof(d->model), "%s/m.gguf", d->dir);
	snprintf(d->log, sizeof(d->log), "%s/log", d->dir);
	assert_int_equal(tiny_write(d->model, model), 0);
}

static inline void tinyd_teardown(struct tinyd *d)
{
	unlink(d->socket);
	unlink(d->model);
	unlink(d->log);
	rmdir(d->dir);
}

/* `extra`: more options, up to a NULL. before(arg), in the child: may be NULL. */
static inline void tinyd_start(struct tinyd *d, char *const *extra, void (*before)(void *arg), void *arg)
{
	char gyred[PATH_MAX],
		*argv[24] = { (char *)"gyred", (char *)"--model", d->model, (char *)"--socket", d->socket };
	const char *build = getenv("BUILD");
	int n = 5, fd;

	snprintf(gyred, sizeof(gyred), "%s/gyred", build ? build : "build");
	for (; extra && *extra; extra++)
		argv[n++] = *extra;
	if (d->pid > 0 && kill(d->pid, SIGKILL) == 0) /* of a test that failed */
		waitpid(d->pid, NULL, 0);
	unlink(d->log);
	fd = open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	d->pid = fork();
	if (d->pid == 0) {
		umask(0); /* every uid may connect */
		dup2(fd, 1);
		dup2(fd, 2);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves it behind */
		if (before)
			before(arg);
		execv(gyred, argv);
		_exit(127);
	}
	close(fd);
}

/* All that it has said so far. */
static inline const char *tinyd_said(struct tinyd *d)
{
	int fd = open(d->log, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, d->said, sizeof(d->said) - 1);

	d->said[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
	return d->said;
}

static inline bool tinyd_is_running(const struct tinyd *d)
{
	siginfo_t info = { .si_pid = 0 };

	assert_int_equal(waitid(P_PID, (id_t)d->pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	return info.si_pid == 0;
}

/* Waits until it says `words`; false: it has ended before, or has not for a minute. */
static inline bool tinyd_wait_for(struct tinyd *d, const char *words)
{
	for (int i = 0; i < 12000; i++) {
		bool runs = tinyd_is_running(d);

		if (strstr(tinyd_said(d), words))
			return true;
		if (!runs)
			return false;
		usleep(5000);
	}
	return false;
}

static inline void tinyd_wait_ready(struct tinyd *d)
{
	if (!tinyd_wait_for(d, "ready in"))
		fail_msg("gyred is not ready: %s", d->said);
}

/* Its exit status, or minus the signal that ended it. */
static inline int tinyd_wait(struct tinyd *d)
{
	int status;

	assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
	d->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int tinyd_stop(struct tinyd *d)
{
	kill(d->pid, SIGTERM);
	return tinyd_wait(d);
}

static inline struct gyre *tinyd_connect(const struct tinyd *d, const struct gyre_params *p)
{
	struct gyre *g = NULL;

	assert_int_equal(gyre_connect(&g, d->socket, p), 0);
	return g;
}

/* n tokens after a prompt: 0, or what the last completion says went wrong. */
static inline int tinyd_generate(struct gyre *g, const char *prompt, uint32_t n)
{
	const struct gyre_cqe *cqe;
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	bool has_more;
	int r;

	assert_int_equal(gyre_prep_generate(g, sqe, prompt, strlen(prompt), n), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	assert_int_equal(gyre_submit(g), 1);
	do {
		r = gyre_wait_cqe(g, &cqe, TINYD_WAIT_NS);
		if (r < 0)
			return r;
		r = cqe->res;
		has_more = cqe->flags & GYRE_CQE_MORE;
		gyre_cqe_seen(g, cqe);
	} while (has_more);
	return r < 0 ? r : 0;
}

#endif
