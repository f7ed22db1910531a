/*
 * A daemon for one run of the tool: `gyre run --model FILE` needs no set-up. It lives in its own process group, so that a
 * Ctrl-C meant for an answer does not reach it, and dies with us by PR_SET_PDEATHSIG even if we are killed.
 */
#include "tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLL_US    2000
#define PROGRESS_S 1.0
#define STOP_MS    3000

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

static void exec_gyred(const struct private_daemon *p, const struct args *a, int parent)
{
	char path[4096], threads[16];
	int fd = open(p->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	snprintf(threads, sizeof(threads), "%u", a->n_thread);
	find_gyred(path, sizeof(path));
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setpgid(0, 0);
	if (getppid() != parent)
		_exit(1);
	dup2(fd, STDERR_FILENO);
	dup2(fd, STDOUT_FILENO);
	execlp(path, "gyred", "--model", a->model, "--socket", p->socket, "--threads", threads, "--drain-seconds", "0",
	       NULL);
	dprintf(STDERR_FILENO, "cannot start %s: %s; put gyred beside gyre or on the PATH\n", path, strerror(errno));
	_exit(127);
}

/* The daemon's last line says why it ended. */
static int fail_with_log(const struct private_daemon *p)
{
	char line[1024], last[1024] = "gyred ended without a word";
	FILE *f = fopen(p->log, "re");

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
	double begin = now_s();
	bool is_shown = false;

	for (;;) {
		int r = gyre_connect(g, p->socket, NULL);

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
	int parent = getpid(), r;

	if (access(a->model, R_OK) < 0)
		return fail(TOOL_FAILED, "%s: %s", a->model, strerror(errno));
	if (!base || !*base || strlen(base) > 60 || access(base, W_OK) < 0) /* sun_path takes 107 bytes */
		base = "/tmp";
	snprintf(p->dir, sizeof(p->dir), "%s/gyre-XXXXXX", base);
	if (!mkdtemp(p->dir))
		return fail(TOOL_FAILED, "%s: %s", p->dir, strerror(errno));
	snprintf(p->socket, sizeof(p->socket), "%s/sock", p->dir);
	snprintf(p->log, sizeof(p->log), "%s/log", p->dir);
	p->pid = fork();
	if (p->pid == 0)
		exec_gyred(p, a, parent);
	if (p->pid < 0) {
		p->pid = 0;
		r = fail(TOOL_FAILED, "fork: %s", strerror(errno));
	} else {
		r = wait_ready(p, g);
	}
	if (r != TOOL_OK)
		private_stop(p);
	return r;
}

void private_stop(struct private_daemon *p)
{
	if (p->pid > 0) {
		kill(p->pid, SIGTERM);
		for (int ms = 0; waitpid(p->pid, NULL, WNOHANG) == 0; ms++) {
			if (ms == STOP_MS)
				kill(p->pid, SIGKILL);
			usleep(1000);
		}
	}
	if (*p->dir) {
		unlink(p->socket);
		unlink(p->log);
		rmdir(p->dir);
	}
	memset(p, 0, sizeof(*p));
}
