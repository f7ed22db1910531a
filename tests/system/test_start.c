/*
 * Why: between exec and the first client gyred holds a lock, a socket and memory, and whoever starts it may change his mind, or have given
 * it no streams. A signal at any moment ends it at once and leaves nothing behind.
 */
#include "tests/system/life.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Loading stands still: its first message does not fit the pipe that nobody reads. */
static void sigterm_while_loading_ends_at_once(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	char *argv[] = { (char *)"gyred", (char *)"--model", model, (char *)"--socket", sock, NULL };
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(fd[1], "x", 1) == 1)
		;
	fcntl(fd[1], F_SETFL, 0);
	for (int i = 0; i < 3; i++) {
		pid_t pid = spawn_to(fd[1], argv, -1, 0);
		double begin = now_s();

		while (access(sock, F_OK) < 0 && now_s() - begin < 300)
			usleep(1000);
		usleep(50000);
		assert_true(is_running(pid));
		kill(pid, signals[i]);
		assert_int_equal(end_of(pid), 0);
		assert_int_equal(access(sock, F_OK), -1);
	}
	close(fd[0]);
	close(fd[1]);
}

static uint32_t count_files(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	uint32_t n = 0;

	while ((e = readdir(d)))
		n += e->d_name[0] != '.' && strcmp(e->d_name, "m.gguf") && strcmp(e->d_name, "log");
	closedir(d);
	return n;
}

/* From main on it holds these signals back. Before, while the dynamic loader is at work, it is as any program is. */
static bool has_begun(pid_t pid)
{
	unsigned long long blocked = 0, caught = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		(void)sscanf(line, "SigBlk: %llx", &blocked);
		(void)sscanf(line, "SigCgt: %llx", &caught);
	}
	if (f)
		fclose(f);
	return (blocked | caught) >> (SIGTERM - 1) & 1;
}

/* The moments of a start, as many as there are delays; whichever it meets, nothing stays behind. */
static void a_signal_at_any_moment_leaves_nothing(void **state)
{
	enum { N_DELAY = 40 };
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	char *argv[] = { (char *)"gyred", (char *)"--model", model, (char *)"--socket", sock, NULL };
	uint32_t n_begun = 0;
	double begin = now_s(), whole;
	pid_t pid = spawn(argv, -1, 0);

	(void)state;
	while (!strstr(last_line(), "ready in") && is_running(pid))
		usleep(1000);
	whole = now_s() - begin;
	kill(pid, SIGTERM);
	assert_int_equal(end_of(pid), 0);
	for (int i = 0; i < N_DELAY; i++) {
		bool begun;
		int code;

		pid = spawn(argv, -1, 0);
		usleep((useconds_t)(whole * 1e6 * i / N_DELAY));
		begun = has_begun(pid);
		kill(pid, signals[i % 3]);
		code = end_of(pid);
		n_begun += begun;
		if (code != 0 && (begun || code != -signals[i % 3]))
			fail_msg("signal %d after %d of %d: exit %d after \"%s\"", signals[i % 3], i, N_DELAY, code,
				 last_line());
		if (count_files())
			fail_msg("signal %d after %d of %d: something stays behind", signals[i % 3], i, N_DELAY);
	}
	assert_true(n_begun > 0);
}

/* It has begun, and gets no further. */
static void end_it_in_the_middle(pid_t pid, uint32_t n_left)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	static int n;
	int number = signals[n++ % 3], code;

	for (int ms = 0; ms < 30000 && !has_begun(pid) && is_running(pid); ms++)
		usleep(1000);
	usleep(100000);
	assert_true(is_running(pid));
	kill(pid, number);
	code = end_of(pid);
	if (code != 0)
		fail_msg("signal %d: exit %d after \"%s\"", number, code, last_line());
	assert_int_equal(count_files(), n_left);
}

/* Whatever holds a start up for long: a configuration that does not come, another's lock, a socket that is asked whether it lives. */
static void a_start_that_is_held_up_ends_at_once(void **state)
{
	char fifo[128], lock[128], *argv[] = { (char *)"gyred",
					       (char *)"--model",
					       model,
					       (char *)"--socket",
					       sock,
					       (char *)"--config",
					       fifo,
					       NULL };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd;

	(void)state;
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	snprintf(lock, sizeof(lock), "%s.lock", sock);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(mkfifo(fifo, 0600), 0);
		end_it_in_the_middle(spawn(argv, -1, 0), 1);
		unlink(fifo);
	}
	argv[5] = NULL;
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	for (int i = 0; i < 3; i++)
		end_it_in_the_middle(spawn(argv, -1, 0), 1);
	unlink(lock);
	close(fd);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	strcpy(at.sun_path, sock);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1000), 0);
	for (int i = 0; i < 3; i++) {
		pid_t pid = spawn(argv, -1, 0);
		double begin = now_s();

		while (access(lock, F_OK) < 0 && now_s() - begin < 300)
			usleep(100);
		kill(pid, SIGTERM); /* in the second in which it asks; on a host that is too slow for that, after it */
		if (end_of(pid) != 0 && !strstr(last_line(), "another gyred serves"))
			fail_msg("%s", last_line());
		assert_int_equal(count_files(), 1); /* the other's socket */
	}
	close(fd);
}

/* What a child has in place of its standard streams: it must be nothing that anybody reads. */
static void expect_no_streams(pid_t pid)
{
	for (int i = 0; i < 3; i++) {
		char path[64], to[256] = "";

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, i);
		(void)!readlink(path, to, sizeof(to) - 1);
		if (strcmp(to, "/dev/null") && strncmp(to, "pipe:", 5))
			fail_msg("descriptor %d is %s", i, to);
	}
}

static void close_streams(bool has_dev)
{
	if (!has_dev && (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			 mount("none", "/dev", "tmpfs", 0, NULL) < 0))
		_exit(126);
	for (int fd = 0; fd < 3; fd++)
		close(fd);
}

static pid_t spawn_without_streams(char *const *argv, bool has_dev)
{
	char gyred[PATH_MAX];
	const char *build = getenv("BUILD");
	pid_t pid;

	snprintf(gyred, sizeof(gyred), "%s/gyred", build ? build : "build");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close_streams(has_dev);
		execv(gyred, argv);
		_exit(127);
	}
	return pid;
}

/* The first file it opens would be number 0, and a client's socket or memory number 2, where its log goes. */
static void without_streams_it_serves_and_says_nothing_to_anybody(void **state)
{
	char *argv[] = { (char *)"gyred", (char *)"--model", model, (char *)"--socket", sock, NULL };

	(void)state;
	for (int has_dev = 1; has_dev >= 0; has_dev--) {
		struct gyre *g;
		pid_t pid;
		int n;

		if (!has_dev && geteuid() != 0) {
			puts("skip: only root can take /dev away");
			continue;
		}
		pid = spawn_without_streams(argv, has_dev);
		g = connect_to(8);
		expect_no_streams(pid);
		submit(g, 3);
		assert_int_equal(read_all(g, &n), 0);
		assert_int_equal(n, 3);
		gyre_close(g);
		kill(pid, SIGTERM);
		assert_int_equal(end_of(pid), 0);
		assert_int_equal(count_files(), 0);
		argv[2] = (char *)"/nonexistent";
		assert_int_equal(end_of(spawn_without_streams(argv, has_dev)), 1);
		argv[2] = model;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(sigterm_while_loading_ends_at_once),
		CASE(a_signal_at_any_moment_leaves_nothing),
		CASE(a_start_that_is_held_up_ends_at_once),
		CASE(without_streams_it_serves_and_says_nothing_to_anybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
