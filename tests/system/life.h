/* The real gyred on a tiny model in a folder of its own: how tests start it, hear it, and wait for its end. */
#ifndef GYRE_TESTS_SYSTEM_LIFE_H
#define GYRE_TESTS_SYSTEM_LIFE_H

#include "client/gyre.h"
#include "tests/util/tiny.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_NS 300000000000ull

static char dir[64], sock[96], model[96], log_path[96], said[65536];

static inline int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/gyre-life-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(sock, sizeof(sock), "%s/s", dir);
	snprintf(model, sizeof(model), "%s/m.gguf", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	return tiny_write(model, &tiny_served);
}

static inline int teardown(void **state)
{
	(void)state;
	unlink(sock);
	unlink(model);
	unlink(log_path);
	return rmdir(dir);
}

static inline double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* gyred with `argv` (its own name first, NULL last), both outputs to fd, under a limit unless resource is -1. */
static inline pid_t spawn_to(int fd, char *const *argv, int resource, rlim_t limit)
{
	char gyred[PATH_MAX];
	const char *build = getenv("BUILD");
	pid_t pid;

	snprintf(gyred, sizeof(gyred), "%s/gyred", build ? build : "build");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves it behind */
		dup2(fd, 1);
		dup2(fd, 2);
		if (resource >= 0)
			setrlimit((__rlimit_resource_t)resource, &(struct rlimit){ limit, limit });
		execv(gyred, argv);
		_exit(127);
	}
	return pid;
}

static inline pid_t spawn(char *const *argv, int resource, rlim_t limit)
{
	pid_t pid;
	int fd;

	unlink(log_path); /* what is said from now on is the new one's */
	fd = open(log_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	pid = spawn_to(fd, argv, resource, limit);
	close(fd);
	return pid;
}

static inline int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline bool is_running(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	return info.si_pid == 0;
}

/* What gyred said last. */
static inline const char *last_line(void)
{
	FILE *f = fopen(log_path, "r");
	size_t n = f ? fread(said, 1, sizeof(said) - 1, f) : 0;
	char *line;

	if (f)
		fclose(f);
	said[n] = 0;
	while (n && said[n - 1] == '\n')
		said[--n] = 0;
	line = strrchr(said, '\n');
	return line ? line + 1 : said;
}

static inline pid_t start(const char *key, const char *value)
{
	char *argv[] = { (char *)"gyred",     (char *)"--model", model,       (char *)"--socket", sock,
			 (char *)"--threads", (char *)"1",       (char *)key, (char *)value,      NULL };

	return spawn(argv, -1, 0);
}

static inline struct gyre *connect_to(uint32_t cq_entries)
{
	struct gyre_params p = { .cq_entries = cq_entries };
	struct gyre *g = NULL;
	int r = -1;

	for (int i = 0; i < 30000 && (r = gyre_connect(&g, sock, &p)) < 0; i++)
		usleep(10000);
	assert_int_equal(r, 0);
	return g;
}

static inline void submit(struct gyre *g, uint32_t max)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	assert_int_equal(gyre_prep_generate(g, sqe, "hello", 5, max), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	assert_int_equal(gyre_submit(g), 1);
}

/* Reads to the last completion: its res, or how waiting ended. *n: tokens. */
static inline int read_all(struct gyre *g, int *n)
{
	const struct gyre_cqe *cqe;

	for (*n = 0;;) {
		int r = gyre_wait_cqe(g, &cqe, WAIT_NS);
		bool more;

		if (r < 0)
			return r;
		r = cqe->res;
		more = cqe->flags & GYRE_CQE_MORE;
		*n += more && cqe->token >= 0;
		gyre_cqe_seen(g, cqe);
		if (!more)
			return r;
	}
}

/* A stream that stands still because its client does not read: it has begun when the ring is full. */
static inline struct gyre *hold_a_stream(uint32_t max)
{
	struct gyre *g = connect_to(8);
	const struct gyre_cqe *cqe;

	submit(g, max);
	assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
	return g;
}

/* A case in a folder of its own. */
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
