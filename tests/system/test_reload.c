/*
 * Why: a configuration is changed on a node that serves. A reload must drop nothing, must not half-take a file with a mistake in it, and must
 * not be silent about what it cannot change; and a service manager must hear when it begins and ends.
 */
#include "tests/system/tinyd.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define BASE "threads = 1\nsocket-mode = 0666\n"

static struct tinyd d;
static char config[96], notify_path[96];
static int notify_fd;
static int stderr_fd = -1; /* of the next gyred, in place of its log */

static void write_text(const char *text)
{
	FILE *f = fopen(config, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void write_config(const char *text)
{
	char all[1024];

	snprintf(all, sizeof(all), BASE "%s", text);
	write_text(all);
}

/* A manager that does not listen would hold gyred up. */
static void drain_notify(void)
{
	char text[1024];

	while (recv(notify_fd, text, sizeof(text), MSG_DONTWAIT) > 0)
		;
}

static void before(void *arg)
{
	(void)arg;
	setenv("NOTIFY_SOCKET", notify_path, 1);
	if (stderr_fd >= 0)
		dup2(stderr_fd, 2);
}

/* Without --model on the command line the file's models count. */
static void become_one_of_files(void *arg)
{
	const char *build = getenv("BUILD");
	char gyred[PATH_MAX];

	before(arg);
	snprintf(gyred, sizeof(gyred), "%s/gyred", build ? build : "build");
	execl(gyred, "gyred", "--config", config, (char *)NULL);
	_exit(127);
}

static void start(const char *text)
{
	char *argv[] = { (char *)"--config", config, NULL };

	write_config(text);
	drain_notify();
	tinyd_start(&d, argv, before, NULL);
	tinyd_wait_ready(&d);
	drain_notify();
}

/* What the service manager hears, up to a message that has `words`. */
static void hear(const char *words)
{
	struct pollfd p = { .fd = notify_fd, .events = POLLIN };
	char text[1024];
	ssize_t n;

	do {
		assert_int_equal(poll(&p, 1, 60000), 1);
		n = recv(notify_fd, text, sizeof(text) - 1, 0);
		assert_true(n > 0);
		text[n] = 0;
	} while (!strstr(text, words));
}

/* Writes a configuration and has it read; returns once the log says `words`, which it has not said before. */
static void reload(const char *text, const char *words)
{
	assert_null(strstr(tinyd_said(&d), words));
	write_config(text);
	drain_notify();
	kill(d.pid, SIGHUP);
	hear("RELOADING=1\nMONOTONIC_USEC=");
	hear("READY=1");
	if (!strstr(tinyd_said(&d), words))
		fail_msg("'%s' is not said: %s", words, d.said);
}

static int submit(struct gyre *g, uint32_t n, int priority)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	assert_int_equal(gyre_prep_generate(g, sqe, "hello", 5, n), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	sqe->priority = (uint16_t)priority;
	return gyre_submit(g);
}

static int end_of(struct gyre *g)
{
	const struct gyre_cqe *cqe;
	bool has_more;
	int res;

	do {
		assert_int_equal(gyre_wait_cqe(g, &cqe, TINYD_WAIT_NS), 0);
		has_more = cqe->flags & GYRE_CQE_MORE;
		res = cqe->res;
		gyre_cqe_seen(g, cqe);
	} while (has_more);
	return res < 0 ? res : 0;
}

static void quotas_of_open_sessions_change_and_streams_go_on(void **state)
{
	const struct gyre_params few = { .cq_entries = 8 };
	struct gyre *stream, *g;
	char text[96];

	(void)state;
	start("");
	stream = tinyd_connect(&d, &few);
	g = tinyd_connect(&d, NULL);
	submit(stream, 300, 10); /* it waits for its reader, so it is there throughout */
	submit(g, 1, 128);
	assert_int_equal(end_of(g), 0);
	reload("max-priority = 200\n", "reload: quotas have changed");
	submit(g, 1, 128);
	assert_int_equal(end_of(g), -EPERM);
	submit(g, 1, 200);
	assert_int_equal(end_of(g), 0);
	snprintf(text, sizeof(text), "max-priority = 200\nuser = %u\nmax-priority = 100\nmax-sessions = 2\n",
		 (unsigned)geteuid());
	reload(text, "reload: done, 1 taken, 0 for a restart\nreload: quotas have changed\n");
	submit(g, 1, 128);
	assert_int_equal(end_of(g), 0);
	assert_int_equal(gyre_connect(&(struct gyre *){ NULL }, d.socket, NULL), -EUSERS);
	assert_int_equal(end_of(stream), 0);
	gyre_close(stream);
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
}

static void a_mistake_changes_nothing(void **state)
{
	struct gyre *g;

	(void)state;
	start("max-priority = 200\n");
	g = tinyd_connect(&d, NULL);
	reload("max-priority = 0\ndrain-secnods = 3\n", ":4: unknown key 'drain-secnods'; did you mean drain-seconds? "
							"gyred --help lists them: nothing has changed");
	submit(g, 1, 128);
	assert_int_equal(end_of(g), -EPERM);
	reload("models = other\n", ":3: models: there is no model 'other'; there are: m: nothing has changed");
	submit(g, 1, 128);
	assert_int_equal(end_of(g), -EPERM);
	reload("drain-seconds = 0\n", "reload: quotas have changed");
	assert_non_null(strstr(d.said, "reload: drain-seconds has changed\n"));
	submit(g, 1, 128);
	assert_int_equal(end_of(g), 0);
	unlink(config);
	kill(d.pid, SIGHUP);
	assert_true(tinyd_wait_for(&d, "conf: No such file or directory: nothing has changed"));
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
}

static void what_needs_a_restart_is_named(void **state)
{
	struct stat st;

	(void)state;
	start("draft = none\n");
	assert_int_equal(stat(d.socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	reload("draft = auto\nbatch-rows = 64\nidle-seconds = 50\n", "reload: done, 1 taken, 2 for a restart");
	assert_non_null(strstr(d.said, "reload: batch-rows has changed: that needs a restart\n"));
	assert_non_null(strstr(d.said, "reload: model m: draft has changed: that needs a restart\n"));
	assert_non_null(strstr(d.said, "reload: model m: idle-seconds has changed\n"));
	/* The command line stands over the file, now as then: its model is the one there is. */
	reload("model = /etc/passwd\nidle-seconds = 7\nlog-level = debug\nslow-ms = 5\n",
	       "reload: log-level has changed\n");
	assert_non_null(strstr(d.said, "reload: slow-ms has changed\n"));
	assert_null(strstr(d.said, "unloaded"));
	reload("idle-seconds = 1\ndrain-seconds = 3\n", "reload: drain-seconds has changed\n");
	assert_true(tinyd_wait_for(&d, "model m: unloaded, until a request wants it"));
	assert_int_equal(tinyd_stop(&d), 0);
}

static void the_sockets_mode_changes(void **state)
{
	struct stat st;

	(void)state;
	start("");
	write_text("threads = 1\nsocket-mode = 0640\n");
	kill(d.pid, SIGHUP);
	assert_true(tinyd_wait_for(&d, "reload: done"));
	assert_int_equal(stat(d.socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(tinyd_stop(&d), 0);
	assert_int_equal(access(d.socket, F_OK), -1);
}

static void models_of_the_file_are_told_of(void **state)
{
	char text[400];

	(void)state;
	snprintf(text, sizeof(text), BASE "model = %s\nsocket = %s\n", d.model, d.socket);
	write_text(text);
	drain_notify();
	tinyd_start(&d, NULL, become_one_of_files, NULL);
	tinyd_wait_ready(&d);
	snprintf(text, sizeof(text), "socket = %s\nmodel = /etc/passwd\nname = new\n", d.socket);
	reload(text, "reload: model new is new: a restart has it, or gyre load /etc/passwd\n");
	assert_non_null(strstr(
		d.said, "reload: model m is in the configuration no more: a restart drops it, or gyre unload m"));
	assert_int_equal(tinyd_stop(&d), 0);
}

/* Loading stands still, for nobody reads what it says. */
static void one_while_loading_is_done_when_ready(void **state)
{
	char *argv[] = { (char *)"--config", config, NULL }, text[65536];
	size_t n = 0;
	int fd[2];

	(void)state;
	write_config("");
	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(fd[1], "x", 1) == 1)
		;
	fcntl(fd[1], F_SETFL, 0);
	stderr_fd = fd[1];
	drain_notify();
	tinyd_start(&d, argv, before, NULL);
	stderr_fd = -1;
	close(fd[1]);
	hear("STATUS=loading");
	kill(d.pid, SIGHUP);
	usleep(100000);
	assert_true(tinyd_is_running(&d));
	fcntl(fd[0], F_SETFL, 0);
	do {
		ssize_t got = read(fd[0], text + n, sizeof(text) - 1 - n);

		assert_true(got > 0);
		n += (size_t)got;
		text[n] = 0;
		n -= strspn(text, "x"); /* what filled it */
		memmove(text, text + strspn(text, "x"), n + 1);
	} while (!strstr(text, "reload: done"));
	assert_true(strstr(text, "ready in") < strstr(text, "reload: done"));
	close(fd[0]);
	assert_int_equal(tinyd_stop(&d), 0);
}

static int open_notify(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	(void)state;
	tinyd_setup(&d, &tiny_served);
	snprintf(config, sizeof(config), "%s/conf", d.dir);
	snprintf(notify_path, sizeof(notify_path), "%s/notify", d.dir);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", notify_path);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(notify_fd >= 0);
	return bind(notify_fd, (struct sockaddr *)&at, sizeof(at));
}

static int close_notify(void **state)
{
	(void)state;
	close(notify_fd);
	unlink(notify_path);
	unlink(config);
	tinyd_teardown(&d);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(quotas_of_open_sessions_change_and_streams_go_on),
					    cmocka_unit_test(a_mistake_changes_nothing),
					    cmocka_unit_test(what_needs_a_restart_is_named),
					    cmocka_unit_test(the_sockets_mode_changes),
					    cmocka_unit_test(models_of_the_file_are_told_of),
					    cmocka_unit_test(one_while_loading_is_done_when_ready) };

	return cmocka_run_group_tests(tests, open_notify, close_notify);
}
