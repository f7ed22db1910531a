/*
 * A daemon for one run of the tool: `gyre run --model FILE` needs no set-up. Between the two stands a keeper: a child that
 * starts gyred, waits until the tool lets go of a pipe, which it does however it ends, and then ends gyred and removes its
 * directory. Both live in a process group of their own, so that a Ctrl-C meant for an answer does not reach them.
 */
#include "tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLL_US     2000
#define PROGRESS_S  1.0
#define PROGRESS_MS 200
#define STOP_MS     3000

/* gyred stands beside us in a build, in ../sbin when installed; else the PATH knows it. */
static void find_gyred(char *path, size_t n)
{
	static const char *const place[] = { "gyred", "../sbin/gyred", NULL };
	char self[4000];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[len > 0 ? len : 0] = 0;
	slash = strrchr(self, '/');
	for (int i = 0; slash && place[i]; i++) {
		snprintf(path, n, "%.*s/%s", (int)(slash - self), self, place[i]);
		if (access(path, X_OK) == 0)
			return;
	}
	snprintf(path, n, "gyred");
}

static void exec_gyred(const struct private_daemon *p, const struct args *a, int keeper)
{
	char threads[16];
	const struct {
		const char *name, *value; /* NULL: gyred's own default */
	} option[] = { { "--model", a->model },        { "--socket", p->socket },
		       { "--threads", threads },       { "--drain-seconds", "0" },
		       { "--kv-bytes", a->kv_bytes },  { "--chat-template", a->chat_template },
		       { "--chat-date", a->chat_date } };
	char *argv[2 * sizeof(option) / sizeof(option[0]) + 2] = { (char *)"gyred" };
	char path[4096];
	int n = 1;
	sigset_t none;

	snprintf(threads, sizeof(threads), "%u", a->n_thread);
	find_gyred(path, sizeof(path));
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != keeper)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(p->log_fd, STDERR_FILENO);
	dup2(p->log_fd, STDOUT_FILENO);
	for (size_t i = 0; i < sizeof(option) / sizeof(option[0]); i++)
		if (option[i].value) {
			argv[n++] = (char *)option[i].name;
			argv[n++] = (char *)option[i].value;
		}
	execvp(path, argv);
	dprintf(STDERR_FILENO, "cannot start %s: %s; put gyred beside gyre or on the PATH\n", path, strerror(errno));
	_exit(127);
}

/* Once either the tool or gyred has gone. */
static void end_gyred(const struct private_daemon *p, pid_t gyred)
{
	kill(gyred, SIGTERM);
	for (int ms = 0; waitpid(gyred, NULL, WNOHANG) == 0; ms++) {
		if (ms == STOP_MS)
			kill(gyred, SIGKILL);
		usleep(1000);
	}
	unlink(p->socket);
	rmdir(p->dir);
}

/* The tool's streams are not ours to hold open: a reader of its output waits for their end. */
static void keep(const struct private_daemon *p, const struct args *a, int tool_fd)
{
	struct pollfd f[2] = { { .fd = tool_fd, .events = POLLIN }, { .events = POLLIN } };
	int keeper, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t child;
	pid_t gyred;

	setpgid(0, 0);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	sigfillset(&child); /* a signal to the tool's session ends the tool; we have work left then */
	sigprocmask(SIG_BLOCK, &child, NULL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	f[1].fd = signalfd(-1, &child, SFD_CLOEXEC);
	keeper = getpid();
	gyred = fork();
	if (gyred == 0)
		exec_gyred(p, a, keeper);
	if (gyred > 0) {
		while (poll(f, 2, -1) < 0)
			;
		end_gyred(p, gyred);
	}
	_exit(0);
}

/* The daemon's last line says why it ended. */
static int fail_with_log(const struct private_daemon *p)
{
	char line[1024], last[1024] = "gyred ended without a word";
	int fd = dup(p->log_fd);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (f)
		rewind(f);
	while (f && fgets(line, sizeof(line), f))
		if (*line != '\n')
			strcpy(last, line);
	if (f)
		fclose(f);
	last[strcspn(last, "\n")] = 0;
	return fail(TOOL_FAILED, "%s", last);
}

static int wait_ready(struct private_daemon *p, struct gyre **g)
{
	const struct gyre_params params = { .connect_timeout_ms = PROGRESS_MS }; /* it listens, and loads meanwhile */
	double begin = now_s();
	bool is_shown = false;

	for (;;) {
		int r = gyre_connect(g, p->socket, &params);

		if (r == 0 || waitpid(p->pid, NULL, WNOHANG) == p->pid) {
			if (is_shown)
				fputs("\r\033[K", stderr);
			if (r == 0)
				return TOOL_OK;
			p->pid = 0;
			return fail_with_log(p);
		}
		if (now_s() - begin > PROGRESS_S && isatty(STDERR_FILENO)) {
			fprintf(stderr, "\rloading the model: %.1f s", now_s() - begin);
			is_shown = true;
		}
		usleep(POLL_US);
	}
}

int private_start(struct private_daemon *p, struct gyre **g, const struct args *a)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	int alive[2] = { -1, -1 }, r = TOOL_OK;

	if (access(a->model, R_OK) < 0)
		return fail(TOOL_FAILED, "%s: %s", a->model, strerror(errno));
	if (!base || !*base || strlen(base) > 60 || access(base, W_OK) < 0) /* sun_path takes 107 bytes */
		base = "/tmp";
	snprintf(p->dir, sizeof(p->dir), "%s/gyre-XXXXXX", base);
	if (!mkdtemp(p->dir))
		return fail(TOOL_FAILED, "%s: %s", p->dir, strerror(errno));
	snprintf(p->socket, sizeof(p->socket), "%s/sock", p->dir);
	p->log_fd = memfd_create("gyred.log", MFD_CLOEXEC);
	if (p->log_fd < 0 || pipe2(alive, O_CLOEXEC) < 0)
		r = fail(TOOL_FAILED, "no descriptor for a private gyred: %s; raise ulimit -n", strerror(errno));
	p->alive_fd = alive[1];
	if (r == TOOL_OK) {
		p->pid = fork();
		if (p->pid == 0) {
			close(alive[1]);
			keep(p, a, alive[0]);
		}
		close(alive[0]);
		r = p->pid < 0 ? fail(TOOL_FAILED, "fork: %s; raise ulimit -u", strerror(errno)) : wait_ready(p, g);
	}
	if (r != TOOL_OK)
		private_stop(p);
	return r;
}

void private_stop(struct private_daemon *p)
{
	if (!*p->dir)
		return;
	if (p->alive_fd >= 0)
		close(p->alive_fd);
	if (p->pid > 0)
		waitpid(p->pid, NULL, 0);
	if (p->log_fd >= 0)
		close(p->log_fd);
	unlink(p->socket);
	rmdir(p->dir); /* the keeper has, unless it was never started */
	memset(p, 0, sizeof(*p));
}
