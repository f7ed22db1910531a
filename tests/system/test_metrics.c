/*
 * Why: anybody on the host may open the metrics' socket, so nobody on it may hurt a client of the model or another scraper; and what
 * watches a daemon must never tell what its users say, at any level. The real gyred, and the tools that read it.
 */
#include "tests/system/tinyd.h"
#include "tests/util/prometheus.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

#define TEXT_MAX 400000u
#define SECRET   "xyzzyPLUGHquux"
#define NOBODY   65534
#define PEERS    32u /* SCRAPE_PEER_MAX */

static struct tinyd d;
static char metrics_path[96], answer[TEXT_MAX];

static char *const watched[] = { (char *)"--metrics-socket", metrics_path, (char *)"--log-level", (char *)"debug",
				 NULL };

static int setup(void **state)
{
	(void)state;
	tinyd_setup(&d, &tiny_served);
	snprintf(metrics_path, sizeof(metrics_path), "%s/metrics", d.dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (d.pid > 0)
		tinyd_stop(&d);
	tinyd_teardown(&d);
	return 0;
}

static int dial(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", metrics_path);
	if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* All of the answer to it, in `answer`; its length. 0: hung up. */
static size_t ask(const char *request)
{
	int fd = dial();
	size_t n = 0;
	ssize_t got;

	assert_true(fd >= 0);
	(void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
	while ((got = read(fd, answer + n, sizeof(answer) - 1 - n)) > 0)
		n += (size_t)got;
	answer[n] = 0;
	close(fd);
	return n;
}

#define GET "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"

static const char *body(void)
{
	const char *at = strstr(answer, "\r\n\r\n");

	return at ? at + 4 : "";
}

static void any_get_is_answered(void **state)
{
	static const char *const requests[] = { GET, "GET / HTTP/1.0\r\n\r\n", "GET /x?y=1 HTTP/1.0\r\n\r\n" };
	const char *wrong;

	(void)state;
	tinyd_start(&d, watched, NULL, NULL);
	tinyd_wait_ready(&d);
	for (size_t i = 0; i < 3; i++) {
		assert_true(ask(requests[i]) > 0);
		assert_int_equal(strncmp(answer, "HTTP/1.0 200 OK\r\n", 17), 0);
		assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4"));
		wrong = prometheus_check(body());
		if (wrong)
			fail_msg("%s", wrong);
	}
	assert_true(ask("HEAD / HTTP/1.0\r\n\r\n") > 0);
	assert_int_equal(strncmp(answer, "HTTP/1.0 200 OK\r\n", 17), 0);
	assert_string_equal(body(), "");
	assert_true(ask("POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n") > 0);
	assert_int_equal(strncmp(answer, "HTTP/1.0 405 ", 13), 0);
	assert_int_equal(tinyd_stop(&d), 0);
	assert_int_equal(access(metrics_path, F_OK), -1);
}

/* In a child, as another user: is it answered? */
static bool is_another_user_answered(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(setuid(NOBODY) == 0 && ask(GET) > 0 && !prometheus_check(body()) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Half a request each; some never read what they get. A user has half of the places at most, and each for three seconds. */
static void who_holds_connections_holds_up_nobody(void **state)
{
	int fd[3 * PEERS];
	struct gyre *g;

	(void)state;
	tinyd_start(&d, watched, NULL, NULL);
	tinyd_wait_ready(&d);
	g = tinyd_connect(&d, NULL);
	for (uint32_t i = 0; i < 3 * PEERS; i++) {
		const char *part = i % 3 == 0 ? GET : i % 3 == 1 ? "GET /met" : "";

		fd[i] = dial();
		if (fd[i] >= 0)
			(void)!send(fd[i], part, strlen(part), MSG_NOSIGNAL);
	}
	assert_int_equal(tinyd_generate(g, "hello", 20), 0);
	if (geteuid() == 0)
		assert_true(is_another_user_answered());
	else
		puts("skip: another user's scrape needs root");
	/* They are cut off, and then this user is served as well. */
	for (int i = 0; i < 600 && ask(GET) == 0; i++)
		usleep(100000);
	assert_true(strlen(body()) > 0);
	assert_int_equal(tinyd_generate(g, "hello", 20), 0);
	for (uint32_t i = 0; i < 3 * PEERS; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
}

static void garbage_is_refused(void **state)
{
	static char long_line[70000];
	unsigned seed = 1;

	(void)state;
	tinyd_start(&d, watched, NULL, NULL);
	tinyd_wait_ready(&d);
	memset(long_line, 'a', sizeof(long_line) - 1);
	memcpy(long_line, "GET /", 5);
	ask(long_line);
	assert_null(strstr(answer, " 200 "));
	for (int round = 0; round < 200; round++) {
		char bytes[256];
		int fd = dial();

		assert_true(fd >= 0);
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)rand_r(&seed);
		(void)!send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
		close(fd);
	}
	for (int i = 0; i < 600 && ask(GET) == 0; i++) /* those that wait to be seen off hold its places for a moment */
		usleep(20000);
	assert_null(prometheus_check(body()));
	assert_int_equal(tinyd_stop(&d), 0);
}

/* ---- what is said of requests ---- */

static void say_secrets(struct gyre *g)
{
	const char *stop = SECRET "stop";
	const struct gyre_options o = { .n_stop = 1 };
	const struct gyre_cqe *cqe;
	struct gyre_sqe *sqe;

	assert_int_equal(tinyd_generate(g, SECRET, 5), 0);
	sqe = gyre_get_sqe(g);
	assert_int_equal(gyre_prep_generate(g, sqe, SECRET, strlen(SECRET), 3), 0);
	assert_int_equal(gyre_sqe_set_options(g, sqe, &o, NULL, &stop), 0);
	sqe->deadline_ns = 1;
	assert_int_equal(gyre_submit(g), 1);
	assert_int_equal(gyre_wait_cqe(g, &cqe, TINYD_WAIT_NS), 0);
	assert_int_equal(cqe->res, -ETIME);
	gyre_cqe_seen(g, cqe);
	sqe = gyre_get_sqe(g);
	assert_int_equal(gyre_prep_generate(g, sqe, SECRET, strlen(SECRET), 3), 0);
	sqe->keep_ms = 1;
	assert_int_equal(gyre_submit(g), 1);
	assert_int_equal(gyre_wait_cqe(g, &cqe, TINYD_WAIT_NS), 0);
	assert_int_equal(cqe->res, -EINVAL);
	gyre_cqe_seen(g, cqe);
}

static void the_log_has_numbers_and_no_texts(void **state)
{
	struct gyre *g;

	(void)state;
	tinyd_start(&d, watched, NULL, NULL);
	tinyd_wait_ready(&d);
	g = tinyd_connect(&d, NULL);
	say_secrets(g);
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
	tinyd_said(&d);
	assert_non_null(strstr(d.said, "request 1 accepted: generate of uid "));
	assert_non_null(strstr(d.said, "request 1 ended: length (0); generate of uid "));
	assert_non_null(strstr(d.said, "request 2 ended: deadline (-62); "));
	assert_non_null(strstr(d.said, "entry refused: malformed (-22); "));
	assert_null(strstr(d.said, "xyzzy"));
	assert_null(strstr(d.said, "PLUGH"));
}

static void off_is_off(void **state)
{
	static char *const silent[] = { (char *)"--log-level", (char *)"off", NULL };
	struct gyre *g;

	(void)state;
	tinyd_start(&d, silent, NULL, NULL);
	tinyd_wait_ready(&d);
	g = tinyd_connect(&d, NULL);
	say_secrets(g);
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
	assert_null(strstr(tinyd_said(&d), "request 1"));
	assert_null(strstr(d.said, "refused"));
}

/* Below it, /run/systemd/journal is this test's, and stderr is the journal's stream. */
static void become_service(void *arg)
{
	struct stat st;
	char stream[64];

	(void)arg;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0 || mkdir("/run/systemd", 0755) < 0 ||
	    mkdir("/run/systemd/journal", 0755) < 0 || mount(d.dir, "/run/systemd/journal", NULL, MS_BIND, NULL) < 0 ||
	    fstat(STDERR_FILENO, &st) < 0)
		_exit(77);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
}

/* The next entry's text, NUL-terminated; false: none for a minute. */
static bool receive_entry(int fd, char *entry, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = poll(&p, 1, 60000) > 0 ? recv(fd, entry, size - 1, 0) : -1;

	if (n <= 0)
		return false;
	entry[n] = 0;
	return true;
}

static void the_journal_gets_fields(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has_ended = false, has_refused = false;
	char entry[8192];
	struct gyre *g;

	(void)state;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/socket", d.dir);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	tinyd_start(&d, watched, become_service, NULL);
	if (!tinyd_wait_for(&d, "ready in")) {
		assert_int_equal(tinyd_wait(&d), 77);
		puts("skip: a mount namespace of its own needs root");
		close(fd);
		unlink(at.sun_path);
		skip();
	}
	g = tinyd_connect(&d, NULL);
	say_secrets(g);
	while ((!has_ended || !has_refused) && receive_entry(fd, entry, sizeof(entry))) {
		assert_null(strstr(entry, "xyzzy"));
		if (strstr(entry, "MESSAGE_ID=bcaac3287f4848e8971f7ec1b78a4308") && strstr(entry, "GYRE_REQUEST=1\n")) {
			has_ended = true;
			assert_non_null(strstr(entry, "GYRE_REASON=length\n"));
			assert_non_null(strstr(entry, "GYRE_RESULT=0\n"));
			assert_non_null(strstr(entry, "GYRE_TOKENS=5\n"));
			assert_non_null(strstr(entry, "GYRE_MODEL=m\n"));
			assert_non_null(strstr(entry, "GYRE_TTFT_US="));
			assert_non_null(strstr(entry, "GYRE_UID="));
		}
		has_refused |= strstr(entry, "MESSAGE_ID=6a08455a936b4d23b97e2bc173cae6fa") != NULL;
	}
	assert_true(has_ended && has_refused);
	gyre_close(g);
	close(fd);
	assert_int_equal(tinyd_stop(&d), 0);
	unlink(at.sun_path);
}

/* ---- tools ---- */

static const char *tool(void)
{
	static char path[PATH_MAX];
	const char *build = getenv("BUILD");

	snprintf(path, sizeof(path), "%s/gyre", build ? build : "build");
	return path;
}

/* What it prints, in `answer`; its exit status. */
static int run_tool(const char *words)
{
	char command[PATH_MAX + 256];
	FILE *f;
	size_t n;

	snprintf(command, sizeof(command), "GYRE_SOCKET=%s %s %s 2>&1", d.socket, tool(), words);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(answer, 1, sizeof(answer) - 1, f);
	answer[n] = 0;
	return WEXITSTATUS(pclose(f));
}

static void tools_show_it(void **state)
{
	char words[256], file[128];
	struct gyre *g;

	(void)state;
	tinyd_start(&d, watched, NULL, NULL);
	tinyd_wait_ready(&d);
	g = tinyd_connect(&d, NULL);
	assert_int_equal(tinyd_generate(g, SECRET, 7), 0);
	assert_int_equal(run_tool("metrics"), 0);
	assert_null(prometheus_check(answer));
	assert_true(prometheus_sum(answer, "gyre_generation_tokens_total", "") == 7);
	snprintf(words, sizeof(words), "metrics --textfile %s", d.dir);
	assert_int_equal(run_tool(words), 0);
	snprintf(file, sizeof(file), "%s/gyre.prom", d.dir);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(run_tool("metrics --textfile /nowhere/at/all"), 1);
	assert_int_equal(run_tool("top --once --watch=0.1"), 0);
	assert_non_null(strstr(answer, "     UID USER"));
	assert_non_null(strstr(answer, "         7\n")); /* tokens so far */
	for (const char *line = answer; *line; line = strchr(line, '\n') + 1)
		assert_true(strcspn(line, "\n") <= 80);
	assert_int_equal(run_tool("top --once --sort colour"), 2);
	assert_int_equal(run_tool("stat --watch=0"), 2);
	snprintf(words, sizeof(words), "stat --watch=0.1 --json | head -n 2");
	assert_int_equal(run_tool(words), 0);
	assert_non_null(strstr(answer, "\"tokens_generated\":"));
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
}

/* Reads what it draws until `words` are there. */
static bool is_drawn(int fd, const char *words)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	while (n < sizeof(answer) - 4096 && poll(&p, 1, 60000) > 0) {
		ssize_t got = read(fd, answer + n, 4096);

		if (got <= 0)
			return false;
		n += (size_t)got;
		answer[n] = 0;
		if (strstr(answer, words))
			return true;
	}
	return false;
}

/* A key, or a signal, ends it; the terminal is then as it was. */
static void end_top(int sig, int status_wanted)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	struct termios before, after;
	int fd, status;
	pid_t pid = forkpty(&fd, NULL, NULL, &size);

	if (pid == 0) {
		setenv("TERM", "xterm", 1);
		setenv("GYRE_SOCKET", d.socket, 1);
		execl(tool(), "gyre", "top", NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	assert_int_equal(tcgetattr(fd, &before), 0);
	assert_true(is_drawn(fd, "q leave"));
	size.ws_row = 40;
	size.ws_col = 120;
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
	assert_true(is_drawn(fd, "q leave")); /* again, for the new size */
	if (sig)
		kill(pid, sig);
	else
		assert_int_equal(write(fd, "q", 1), 1);
	assert_true(is_drawn(fd, "\033[?1049l")); /* the screen before it */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), status_wanted);
	if (tcgetattr(fd, &after) == 0)
		assert_int_equal(after.c_lflag & (ECHO | ICANON), before.c_lflag & (ECHO | ICANON));
	close(fd);
}

static void top_gives_the_terminal_back(void **state)
{
	(void)state;
	tinyd_start(&d, watched, NULL, NULL);
	tinyd_wait_ready(&d);
	end_top(0, 0);
	end_top(SIGTERM, 0);
	end_top(SIGINT, 130);
	assert_int_equal(tinyd_stop(&d), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(any_get_is_answered), CASE(who_holds_connections_holds_up_nobody),
		CASE(garbage_is_refused),  CASE(the_log_has_numbers_and_no_texts),
		CASE(off_is_off),          CASE(the_journal_gets_fields),
		CASE(tools_show_it),       CASE(top_gives_the_terminal_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
