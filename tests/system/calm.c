/*
 * Why: a watchdog that bites a healthy daemon is worse than none. The real gyred reads long prompts for so many seconds, and rests for as
 * many with a session open; no engine may be said to stand, and the manager must hear signs of life throughout. `make health`.
 */
#include "shm/clock.h"
#include "tests/system/tinyd.h"
#include "tests/util/testmodel.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define N_BYTES 12000 /* of a prompt: some thousands of tokens */

static struct tinyd d;
static char notify[100];
static int notify_fd;
static unsigned n_sign, n_alarm;
static uint64_t sign_ns, longest_ns;

static void give(void *arg)
{
	(void)arg;
	setenv("NOTIFY_SOCKET", notify, 1);
	setenv("WATCHDOG_USEC", "3000000", 1);
}

static void hear(int ms)
{
	struct pollfd p = { .fd = notify_fd, .events = POLLIN };
	char text[1024];
	ssize_t n;

	for (; poll(&p, 1, ms) == 1; ms = 0) {
		n = recv(notify_fd, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = 0;
		n_alarm += strstr(text, "not ready") != NULL;
		if (!strstr(text, "WATCHDOG=1"))
			continue;
		n_sign++;
		longest_ns = sign_ns && clock_ns() - sign_ns > longest_ns ? clock_ns() - sign_ns : longest_ns;
		sign_ns = clock_ns();
	}
}

/* One prompt after the other, each of other words, so that none is known already. */
static void read_prompts(struct gyre *g, double seconds)
{
	uint64_t end = clock_ns() + (uint64_t)(seconds * 1e9);
	static char text[N_BYTES];
	const struct gyre_cqe *cqe;
	unsigned n = 0;
	int r;

	for (; clock_ns() < end; n++) {
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = i % 6 == 5 ? ' ' : (char)('a' + (i * 7 + i / 6 * 13 + n * 5) % 26);
		assert_int_equal(gyre_prep_generate(g, gyre_get_sqe(g), text, sizeof(text), 1), 0);
		assert_int_equal(gyre_submit(g), 1);
		for (bool has_more = true; has_more;) {
			hear(0);
			r = gyre_wait_cqe(g, &cqe, 100000000);
			if (r == -ETIME || r == -ETIMEDOUT)
				continue;
			if (r < 0 || cqe->res < 0) {
				printf("prompt %u: %s; log: %s\n", n, strerror(r < 0 ? -r : -cqe->res), tinyd_said(&d));
				exit(1);
			}
			has_more = cqe->flags & GYRE_CQE_MORE;
			gyre_cqe_seen(g, cqe);
		}
	}
	printf("%u prompts\n", n);
}

static unsigned tell(const char *what)
{
	unsigned n = n_alarm;

	printf("%s: %u signs of life, at most %.1f s apart, %u alarms\n", what, n_sign, (double)longest_ns * 1e-9, n);
	fflush(stdout);
	n_sign = n_alarm = 0;
	longest_ns = sign_ns = 0;
	return n;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1800;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	unsigned n;
	struct gyre *g;
	uint64_t end;

	tinyd_setup(&d, &tiny_served);
	if (testmodel_path())
		snprintf(d.model, sizeof(d.model), "%s", testmodel_path());
	snprintf(notify, sizeof(notify), "%s/notify", d.dir);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", notify);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(notify_fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return 1;
	tinyd_start(&d, NULL, give, NULL);
	if (!tinyd_wait_for(&d, "ready in"))
		return 1;
	g = tinyd_connect(&d, NULL);
	hear(0);
	tell("start-up");
	read_prompts(g, seconds);
	n = tell("long prompts");
	for (end = clock_ns() + (uint64_t)(seconds * 1e9); clock_ns() < end;)
		hear(1000);
	n += tell("rest");
	gyre_close(g);
	kill(d.pid, SIGTERM);
	waitpid(d.pid, NULL, 0);
	unlink(d.socket);
	unlink(d.log);
	unlink(notify);
	close(notify_fd);
	return n ? 1 : 0;
}
