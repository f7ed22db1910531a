/*
 * Why: a service manager starts what depends on gyred when it says READY, and ends it when it says nothing. So READY must mean that a
 * request is served, and a sign of life that tokens move. The test plays the manager, by sd_notify(3)'s and sd_listen_fds(3)'s own rules.
 */
#include "tests/system/stop.h"
#include "tests/util/emulated.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PATIENCE_MS 60000
#define SILENCE_MS  3000

struct manager {
	int notify_fd, listen_fd; /* listen_fd -1: it hands over none */
	char notify[100];
	const char *watchdog_us; /* NULL: it does not watch */
	char said[65536];        /* all lines so far */
	size_t n_said;
};

static struct tinyd d;
static struct manager m;

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	return a;
}

static int make_socket(int type, const char *path)
{
	struct sockaddr_un a = address(path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (type != SOCK_DGRAM)
		assert_int_equal(listen(fd, 16), 0);
	return fd;
}

/* In the child: the environment that the manager gives. */
static void give(void *arg)
{
	const struct manager *of = arg;
	char pid[32];

	setenv("NOTIFY_SOCKET", of->notify, 1);
	if (of->watchdog_us)
		setenv("WATCHDOG_USEC", of->watchdog_us, 1);
	if (of->listen_fd < 0)
		return;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	dup2(of->listen_fd, 3);
}

static void start(void)
{
	char *argv[] = { (char *)"--threads", (char *)"2", (char *)"--core-dumps", (char *)"1", NULL };

	m.n_said = 0;
	m.said[0] = 0;
	tinyd_start(&d, argv, give, &m);
}

/* The next message, within so many milliseconds; false: none came. */
static bool hear(int ms)
{
	struct pollfd p = { .fd = m.notify_fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ms) != 1)
		return false;
	n = recv(m.notify_fd, m.said + m.n_said, sizeof(m.said) - m.n_said - 2, 0);
	assert_true(n > 0);
	m.n_said += (size_t)n;
	m.said[m.n_said++] = '\n';
	m.said[m.n_said] = 0;
	return true;
}

static void hear_until(const char *words)
{
	while (!strstr(m.said, words))
		if (!hear(PATIENCE_MS))
			fail_msg("'%s' is not said, but: %s; log: %s", words, m.said, tinyd_said(&d));
}

static void ready_means_that_a_request_is_served(void **state)
{
	struct gyre *g;

	(void)state;
	start();
	hear_until("READY=1");
	assert_non_null(strstr(m.said, "STATUS=loading: model "));
	assert_true(strstr(m.said, "STATUS=loading: weights") < strstr(m.said, "READY=1"));
	g = tinyd_connect(&d, NULL);
	assert_int_equal(tinyd_generate(g, "hello", 3), 0);
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
	hear_until("STOPPING=1");
	assert_null(strstr(m.said, "WATCHDOG"));
}

struct early {
	pthread_t thread;
	int result;
};

static void *ask_early(void *arg)
{
	const struct gyre_params p = { .connect_timeout_ms = PATIENCE_MS };
	struct early *e = arg;
	struct gyre *g;

	e->result = gyre_connect(&g, d.socket, &p);
	if (e->result)
		return NULL;
	e->result = tinyd_generate(g, "hello", 3);
	gyre_close(g);
	return NULL;
}

/* A client that comes before gyred is started waits for it, and the socket outlives it. */
static void the_managers_socket_is_served_and_left(void **state)
{
	struct early early = { .result = -1 };

	(void)state;
	m.listen_fd = make_socket(SOCK_SEQPACKET, d.socket);
	assert_int_equal(pthread_create(&early.thread, NULL, ask_early, &early), 0);
	start();
	pthread_join(early.thread, NULL);
	assert_int_equal(early.result, 0);
	assert_int_equal(tinyd_stop(&d), 0);
	assert_int_equal(access(d.socket, F_OK), 0);
	close(m.listen_fd);
	m.listen_fd = -1;
	unlink(d.socket);
}

static void *ask_and_be_refused(void *arg)
{
	char why[300] = "";
	const struct gyre_params p = { .connect_timeout_ms = PATIENCE_MS, .error = why, .error_bytes = sizeof(why) };
	struct early *e = arg;
	struct gyre *g;

	e->result = gyre_connect(&g, d.socket, &p);
	if (!strstr(why, "gyred cannot start"))
		e->result = 1;
	return NULL;
}

/* Who waits is told why nothing comes, or the manager would start gyred for him over and over, and give up the socket. */
static void who_waits_for_one_that_cannot_start_is_told(void **state)
{
	static const struct {
		const char *key, *value;
		int status;
	} wrong[] = { { "--ctx", "many", 2 }, { "--chat-template", "/none", 1 } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *argv[] = { (char *)wrong[i].key, (char *)wrong[i].value, NULL };
		struct early early = { .result = -1 };
		struct pollfd listening = { .events = POLLIN };

		m.listen_fd = listening.fd = make_socket(SOCK_SEQPACKET, d.socket);
		assert_int_equal(pthread_create(&early.thread, NULL, ask_and_be_refused, &early), 0);
		assert_int_equal(poll(&listening, 1, PATIENCE_MS), 1);
		tinyd_start(&d, argv, give, &m);
		assert_int_equal(tinyd_wait(&d), wrong[i].status);
		pthread_join(early.thread, NULL);
		assert_int_equal(early.result, -ENODEV);
		assert_int_equal(poll(&listening, 1, 0), 0);
		close(m.listen_fd);
		m.listen_fd = -1;
		unlink(d.socket);
	}
}

static void another_kind_of_socket_is_refused(void **state)
{
	(void)state;
	m.listen_fd = make_socket(SOCK_STREAM, d.socket);
	start();
	assert_int_equal(tinyd_wait(&d), 1);
	assert_non_null(strstr(tinyd_said(&d), "ListenSequentialPacket=PATH"));
	close(m.listen_fd);
	m.listen_fd = -1;
	unlink(d.socket);
}

/* What had been sent before it stood does not count: how long it takes until nothing has come for a while; false: it never falls silent. */
static bool falls_silent(void)
{
	for (int i = 0; i < 200; i++)
		if (!hear(SILENCE_MS))
			return true;
	return false;
}

static void signs_of_life_are_of_tokens_that_move(void **state)
{
	struct gyre *g;
	pid_t tid;

	(void)state;
	if (is_emulated("which thread stands is") || !stop_is_possible())
		skip();
	m.watchdog_us = "1000000";
	start();
	m.watchdog_us = NULL;
	hear_until("READY=1");
	hear_until("WATCHDOG=1"); /* though nobody wants anything */
	g = tinyd_connect(&d, NULL);
	tid = stop_find(&d, "gyred");
	if (!stop_begin(tid)) {
		printf("skip: ptrace: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(gyre_prep_generate(g, gyre_get_sqe(g), "hello", 5, 5), 0);
	assert_int_equal(gyre_submit(g), 1);
	assert_true(falls_silent());
	m.n_said = 0;
	m.said[0] = 0;
	assert_int_equal(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
	hear_until("WATCHDOG=1"); /* it goes on */
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
}

static int setup(void **state)
{
	(void)state;
	tinyd_setup(&d, &tiny_served);
	snprintf(m.notify, sizeof(m.notify), "%s/notify", d.dir);
	m.notify_fd = make_socket(SOCK_DGRAM, m.notify);
	m.listen_fd = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(m.notify_fd);
	unlink(m.notify);
	tinyd_teardown(&d);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ready_means_that_a_request_is_served),
		cmocka_unit_test(the_managers_socket_is_served_and_left),
		cmocka_unit_test(who_waits_for_one_that_cannot_start_is_told),
		cmocka_unit_test(another_kind_of_socket_is_refused),
		cmocka_unit_test(signs_of_life_are_of_tokens_that_move),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
