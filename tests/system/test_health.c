/*
 * Why: what restarts a daemon, and what sends clients elsewhere, must know within a second that no token moves, wherever a thread stands:
 * in a product, in a barrier, where tokens are handed out, or on the thread that answers for all of them. One thread of the real gyred is
 * stopped at a named point, and the test, as the service manager, must hear "not ready" and no sign of life until it goes on.
 * GYRE_HEALTH_POINTS=all (`make health`) takes all points instead of a few.
 */
#include "shm/clock.h"
#include "tests/system/freeze.h"
#include "tests/util/emulated.h"

#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PATIENCE_MS 60000
#define ANSWER_MS   900   /* gyre health's */
#define SILENT_MS   700   /* two and more signs of life would come in that */
#define LONG_BYTES  12000 /* of a prompt that a helper reads */

struct point {
	const char *thread, *function; /* function NULL: where it sleeps */
	const char *is;
	bool is_usual; /* one of the few */
};

static const struct point points[] = {
	{ "gyred-leader", NULL, "the leader asleep", false },
	{ "gyred-leader", "intake_drain", "the leader takes entries", false },
	{ "gyred-leader", "sched_plan", "the leader plans a step", false },
	{ "gyred-leader", "kv_alloc", "the leader takes a block", false },
	{ "gyred-leader", "spec_draft", "the leader drafts", false },
	{ "gyred-leader", "model_forward", "the leader begins a pass", false },
	{ "gyred-leader", "block_embed", "the leader embeds", false },
	{ "gyred-leader", "block_attention", "the leader in attention", false },
	{ "gyred-leader", "linear_mul", "the leader in a product", false },
	{ "gyred-leader", "team_barrier", "the leader at a barrier", false },
	{ "gyred-leader", "sample_batch", "the leader samples", false },
	{ "gyred-leader", "emit_batch", "the leader hands tokens out", true },
	{ "gyred-leader", "watch_wait", "the leader at the watch", false },
	{ "gyred", NULL, "a worker asleep", false },
	{ "gyred", "linear_mul", "a worker in a product", true },
	{ "gyred", "block_attention", "a worker in attention", false },
	{ "gyred", "block_ffn", "a worker in a feed-forward block", false },
	{ "gyred", "team_barrier", "a worker at a barrier", false },
	{ "gyred-text", "prompt_read", "a helper begins a text", true },
	{ "gyred-text", "vocab_tokenize", "a helper in a text", false },
	{ FREEZE_CONTROL, NULL, "the control thread asleep", true },
	{ FREEZE_CONTROL, "health_look_at_all", "the control thread looks", false },
	{ FREEZE_CONTROL, "handshake_classify", "the control thread reads a message", false },
};

#define N_POINT (sizeof(points) / sizeof(points[0]))

static struct tinyd d;
static struct freeze f;
static char notify[100], said[65536];
static int notify_fd;
static size_t n_said;
static const char *thread = "";

/* ---- the manager ---- */

static bool hear(int ms)
{
	uint64_t end = clock_ns() + (uint64_t)ms * 1000000u;
	struct pollfd p = { .fd = notify_fd, .events = POLLIN };
	ssize_t n;

	do {
		freeze_pump(&f, thread);
		if (poll(&p, 1, 5) != 1)
			continue;
		n = recv(notify_fd, said + n_said, sizeof(said) - n_said - 2, 0);
		assert_true(n > 0);
		n_said += (size_t)n;
		said[n_said++] = '\n';
		said[n_said] = 0;
		return true;
	} while (clock_ns() < end);
	return false;
}

static void forget(void)
{
	n_said = 0;
	said[0] = 0;
}

static bool hears(const char *words)
{
	while (!strstr(said, words))
		if (!hear(PATIENCE_MS))
			return false;
	return true;
}

static void give(void *arg)
{
	(void)arg;
	setenv("NOTIFY_SOCKET", notify, 1);
	setenv("WATCHDOG_USEC", "2000000", 1);
}

/* ---- who asks ---- */

/* The answer to a question without a session: 0 and text, or -errno. */
static int ask(char *text, size_t size)
{
	const struct abi_query query = { .magic = ABI_QUERY_MAGIC, .what = ABI_QUERY_HEALTH };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	uint64_t end = clock_ns() + ANSWER_MS * 1000000ull;
	ssize_t n = -1;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", d.socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_true(send(fd, &query, offsetof(struct abi_query, name), MSG_NOSIGNAL) > 0);
	while (n < 0 && clock_ns() < end) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		freeze_pump(&f, thread);
		if (poll(&p, 1, 5) == 1)
			n = recv(fd, text, size - 1, 0);
	}
	close(fd);
	if (n < 0)
		return -ETIMEDOUT;
	text[n] = 0;
	return 0;
}

/* Its connections, but the test's own session, which is kept. */
static void poke_control(void)
{
	char text[256];

	(void)ask(text, sizeof(text));
}

static void submit(struct gyre *g, size_t n_byte, uint32_t n_token)
{
	static char text[LONG_BYTES];
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	memset(text, 'z', sizeof(text));
	assert_int_equal(gyre_prep_generate(g, sqe, text, n_byte, n_token), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	assert_int_equal(gyre_submit(g), 1);
}

static void read_all(struct gyre *g, int n)
{
	const struct gyre_cqe *cqe;

	while (n > 0) {
		int r = gyre_wait_cqe(g, &cqe, TINYD_WAIT_NS);

		if (r < 0)
			fail_msg("an answer does not come: %s; log: %s", strerror(-r), tinyd_said(&d));
		n -= !(cqe->flags & GYRE_CQE_MORE);
		gyre_cqe_seen(g, cqe);
	}
}

/* ---- a point ---- */

static bool is_frozen(const struct point *p)
{
	uint64_t end = clock_ns() + PATIENCE_MS * 1000000ull;

	while (!f.frozen && clock_ns() < end) {
		freeze_pump(&f, p->thread);
		usleep(200);
		if (!*p->thread && !f.frozen && p->function && !strcmp(p->function, "handshake_classify"))
			poke_control();
	}
	return f.frozen != 0;
}

/* What gyre health would say: something stands. */
static bool is_asked(void)
{
	char text[256] = "";

	return ask(text, sizeof(text)) == 0 && strstr(text, " for ");
}

/* Milliseconds until it was told; -1: it was not. On a busy host it may have been told of another thread just before. */
static double wait_told(const struct point *p)
{
	uint64_t begin = clock_ns(), end = begin + PATIENCE_MS * 1000000ull;
	bool is_told = false;
	char text[256];

	while (*p->thread && !is_told && clock_ns() < end)
		is_told = hear(50)                             ? strstr(said, "STATUS=not ready: ") != NULL
			  : clock_ns() - begin > 2000000000ull ? is_asked()
							       : false;
	if (!*p->thread)
		is_told = ask(text, sizeof(text)) == -ETIMEDOUT;
	return is_told ? (double)(clock_ns() - begin) * 1e-6 : -1;
}

static double freeze_at(const struct point *p, struct gyre *g)
{
	bool is_silent = true, is_said;
	double ms;

	thread = p->thread;
	if (!freeze_begin(&f, &d)) {
		printf("skip: ptrace: %s\n", strerror(errno));
		skip();
	}
	if (p->function)
		freeze_set(&f, p->function);
	else
		freeze_here(&f, p->thread);
	submit(g, strcmp(p->thread, "gyred-text") ? 8 : LONG_BYTES, 20);
	if (!is_frozen(p))
		fail_msg("%s: %s is not reached", p->is, p->function);
	submit(g, 8, 5); /* there is something to do in any case */
	while (hear(0))
		;
	forget();
	ms = wait_told(p);
	is_said = !*p->thread || is_asked();
	while (hear(0))
		;
	forget();
	while (hear(SILENT_MS) && is_silent)
		is_silent = !strstr(said, "WATCHDOG=1");
	freeze_end(&f);
	f = (struct freeze){ 0 };
	if (ms < 0 || !is_said || !is_silent)
		fail_msg("%s: %s, gyre health %s, signs of life %s; log: %s", p->is,
			 ms < 0 ? "nobody is told" : "the manager is told", is_said ? "says so" : "does not",
			 is_silent ? "end" : "go on", tinyd_said(&d));
	assert_true(hears("WATCHDOG=1"));
	read_all(g, 2);
	return ms;
}

static void wherever_a_thread_stands_it_is_told(void **state)
{
	char *argv[] = { (char *)"--threads", (char *)"2", (char *)"--core-dumps", (char *)"1", (char *)"--batch-rows",
			 (char *)"16",        NULL };
	const struct gyre_params params = { .cq_entries = 8192 };
	bool is_all = getenv("GYRE_HEALTH_POINTS") != NULL;
	double longest = 0;
	unsigned n = 0;
	struct gyre *g;

	(void)state;
	if (is_emulated("which thread stands is") || !stop_is_possible())
		skip();
	tinyd_start(&d, argv, give, NULL);
	assert_true(hears("READY=1"));
	g = tinyd_connect(&d, &params);
	assert_int_equal(tinyd_generate(g, "hello", 3), 0);
	for (size_t i = 0; i < N_POINT; i++) {
		double ms;

		if (!is_all && !points[i].is_usual)
			continue;
		ms = freeze_at(&points[i], g);
		printf("%-40s %-20s told after %4.0f ms\n", points[i].is,
		       points[i].function ? points[i].function : "asleep", ms);
		longest = ms > longest ? ms : longest;
		n++;
	}
	printf("%u points, told after %.0f ms at the most\n", n, longest);
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
}

/* ---- gyre health ---- */

static int run_health(const char *options)
{
	const char *build = getenv("BUILD");
	char command[512];
	int status;

	snprintf(command, sizeof(command), "%s/gyre health --socket %s %s >%s/said 2>&1", build ? build : "build",
		 d.socket, options, d.dir);
	status = system(command);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void its_verb_tells_by_its_exit_status(void **state)
{
	char *argv[] = { (char *)"--threads", (char *)"1", NULL };
	char path[128];

	(void)state;
	assert_int_equal(run_health(""), 3);
	tinyd_start(&d, argv, NULL, NULL);
	assert_int_equal(run_health("--wait 60"), 0);
	assert_int_equal(run_health(""), 0);
	kill(d.pid, SIGSTOP);
	assert_int_equal(run_health(""), 1);
	kill(d.pid, SIGCONT);
	assert_int_equal(run_health("--wait 60 --json"), 0);
	assert_int_equal(tinyd_stop(&d), 0);
	assert_int_equal(run_health(""), 3);
	snprintf(path, sizeof(path), "%s/said", d.dir);
	unlink(path);
}

static int setup(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	(void)state;
	tinyd_setup(&d, &tiny_served);
	snprintf(notify, sizeof(notify), "%s/notify", d.dir);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", notify);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return bind(notify_fd, (struct sockaddr *)&sa, sizeof(sa));
}

static int teardown(void **state)
{
	(void)state;
	close(notify_fd);
	unlink(notify);
	tinyd_teardown(&d);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wherever_a_thread_stands_it_is_told),
		cmocka_unit_test(its_verb_tells_by_its_exit_status),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
