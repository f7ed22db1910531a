/*
 * A daemon for one run of the tool: `gyre run --model FILE` needs no set-up. Between the two stands a keeper: a child that
 * makes a directory and starts gyred in it, waits until the tool lets go of a socket, which it does however it ends, and then
 * ends gyred and removes the directory. Nothing is made before the keeper stands, so that nothing stays behind. Both live in a
 * process group of their own, so that a Ctrl-C meant for an answer does not reach them.
 */
#include "tools/tool.h"

#include "daemon/util/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLL_US     2000
#define PROGRESS_S  1.0
#define PROGRESS_MS 200
#define DRAW_S      0.1
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

/* What the keeper says first: where its directory is. */
struct made {
	char dir[sizeof(((struct private_daemon *)0)->dir)];
	int error; /* errno; 0: it is there */
};

static void take_dir(struct private_daemon *p, const struct made *m)
{
	memcpy(p->dir, m->dir, sizeof(p->dir));
	snprintf(p->socket, sizeof(p->socket), "%s/sock", p->dir);
}

static struct made make_dir(void)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	struct made m = { .error = 0 };

	if (!base || !*base || strlen(base) > 60 || access(base, W_OK) < 0) /* sun_path takes 107 bytes */
		base = "/tmp";
	snprintf(m.dir, sizeof(m.dir), "%s/gyre-XXXXXX", base);
	if (!mkdtemp(m.dir))
		m.error = errno;
	return m;
}

/* The tool's streams are not ours to hold open: a reader of its output waits for their end. */
static void keep(struct private_daemon *p, const struct args *a, int tool_fd)
{
	struct pollfd f[2] = { { .fd = tool_fd, .events = POLLIN }, { .events = POLLIN } };
	int keeper;
	struct made made;
	sigset_t child;
	pid_t gyred;

	setpgid(0, 0);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		close(fd);
	streams_open();
	sigfillset(&child); /* a signal to the tool's session ends the tool; we have work left then */
	sigprocmask(SIG_BLOCK, &child, NULL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	f[1].fd = signalfd(-1, &child, SFD_CLOEXEC);
	keeper = getpid();
	made = make_dir();
	send(tool_fd, &made, sizeof(made), MSG_NOSIGNAL); /* to a tool that has gone: the poll below says so */
	if (made.error)
		_exit(1);
	take_dir(p, &made);
	gyred = fork();
	if (gyred == 0)
		exec_gyred(p, a, keeper);
	if (gyred > 0) {
		while (poll(f, 2, -1) < 0)
			;
		end_gyred(p, gyred);
	} else {
		rmdir(p->dir);
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
	double begin = now_s(), drawn = 0;

	for (;;) {
		int r = gyre_connect(g, p->socket, &params);

		if (r == 0 || waitpid(p->pid, NULL, WNOHANG) == p->pid) {
			if (drawn > 0)
				fputs("\r\033[K", stderr);
			if (r == 0)
				return TOOL_OK;
			p->pid = 0;
			return fail_with_log(p);
		}
		if (now_s() - begin > PROGRESS_S && now_s() - drawn > DRAW_S && isatty(STDERR_FILENO)) {
			drawn = now_s();
			fprintf(stderr, "\rloading the model: %.1f s", drawn - begin);
		}
		usleep(POLL_US);
	}
}

static int start_keeper(struct private_daemon *p, const struct args *a)
{
	int alive[2];
	struct made made;

	p->log_fd = memfd_create("gyred.log", MFD_CLOEXEC);
	if (p->log_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, alive) < 0)
		return fail(TOOL_FAILED, "no descriptor for a private gyred: %s; raise ulimit -n", strerror(errno));
	p->alive_fd = alive[1];
	p->pid = fork();
	if (p->pid == 0) {
		close(alive[1]);
		keep(p, a, alive[0]);
	}
	close(alive[0]);
	if (p->pid < 0)
		return fail(TOOL_FAILED, "fork: %s; raise ulimit -u", strerror(errno));
	if (recv(p->alive_fd, &made, sizeof(made), 0) != sizeof(made))
		return fail(TOOL_FAILED, "the keeper of a private gyred was killed");
	if (made.error)
		return fail(TOOL_FAILED, "%s: %s", made.dir, strerror(made.error));
	take_dir(p, &made);
	return TOOL_OK;
}

int private_start(struct private_daemon *p, struct gyre **g, const struct args *a)
{
	int r;

	if (access(a->model, R_OK) < 0)
		return fail(TOOL_FAILED, "%s: %s", a->model, strerror(errno));
	*p = (struct private_daemon){ .alive_fd = -1, .log_fd = -1 };
	r = start_keeper(p, a);
	if (r == TOOL_OK)
		r = wait_ready(p, g);
	if (r != TOOL_OK)
		private_stop(p);
	return r;
}

/* The keeper removes the directory. */
void private_stop(struct private_daemon *p)
{
	if (p->alive_fd > 0)
		close(p->alive_fd);
	if (p->pid > 0)
		waitpid(p->pid, NULL, 0);
	if (p->log_fd > 0)
		close(p->log_fd);
	memset(p, 0, sizeof(*p));
}
