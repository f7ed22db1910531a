/*
 * The clients: processes of their own, as a server's clients are, each with a connection of its own and, with --uids, a user's. They
 * connect, say so, and start together. In a closed loop a client that has room takes the next request of all; with arrivals each has
 * its share of them, so that none wakes for another's.
 */
#include "tools/serve.h"

#include "shm/atomic.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define RETRY_S     1e-3 /* where the server had no room */
#define PROGRESS_US 200000

/* What a client says before the start. */
struct ready {
	uint32_t client;
	int res;
	char why[SERVE_WHY_BYTES];
};

void serve_token(struct serve_client *c, uint32_t i)
{
	struct serve_request *r = &c->s->request[i];

	if (r->n_stamp < r->n_output)
		c->s->stamp[r->stamp0 + r->n_stamp++] = now_s();
}

void serve_end(struct serve_client *c, uint32_t i, int res, const char *why)
{
	struct serve_request *r = &c->s->request[i];

	r->end_s = now_s();
	r->res = res;
	snprintf(r->why, sizeof(r->why), "%s", why);
	c->n_flight--;
	fetch_add(&c->s->shared->n_flight, UINT32_MAX); /* one less */
	fetch_add(&c->s->shared->n_done, 1);
}

/* Counted before it is sent, for its end may come inside. */
static void count_begin(struct serve_client *c, uint32_t i)
{
	struct serve_shared *shared = c->s->shared;
	uint32_t n = fetch_add(&shared->n_flight, 1) + 1, most = load_relaxed(&shared->n_flight_most);

	c->n_flight++;
	c->s->request[i].client = c->index;
	c->s->request[i].sent_s = now_s();
	while (n > most && !compare_swap(&shared->n_flight_most, &most, n))
		;
}

static void uncount_begin(struct serve_client *c, uint32_t i)
{
	c->n_flight--;
	c->s->request[i].sent_s = 0;
	fetch_add(&c->s->shared->n_flight, UINT32_MAX);
}

/* The request that this client sends after c->next: its own next arrival, or in a closed loop whichever none has taken. */
static uint32_t claim(const struct serve_client *c)
{
	if (c->s->args->serve.request_rate > 0)
		return c->next + c->s->n_client;
	return fetch_add(&c->s->shared->next, 1);
}

/* Is there one? Then it is c->next until has_next is cleared. */
static bool has_next(struct serve_client *c)
{
	if (!c->has_next)
		c->next = claim(c);
	c->has_next = true;
	return c->next < c->s->n_request;
}

/* Sends what is due and has room. Returns when to come back, if nothing arrives before. */
static double send_due(struct serve_client *c)
{
	const struct serve *s = c->s;

	while (c->n_flight < c->n_flight_max && has_next(c)) {
		double due = s->shared->begin_s + s->request[c->next].due_s;

		if (due > now_s())
			return due;
		count_begin(c, c->next);
		if (s->carrier->send(c, c->next) == -EAGAIN) {
			uncount_begin(c, c->next);
			return now_s() + RETRY_S;
		}
		c->has_next = false;
	}
	return INFINITY;
}

/* Nothing comes any more: what is under way has failed, and so has what this client would send. */
static void fail_rest(struct serve_client *c, int res)
{
	const struct serve *s = c->s;

	for (uint32_t i = 0; i < s->n_request; i++)
		if (s->request[i].client == c->index && s->request[i].sent_s > 0 && s->request[i].end_s == 0)
			serve_end(c, i, res, link_explain(NULL, res));
	for (; has_next(c); c->has_next = false) {
		count_begin(c, c->next);
		serve_end(c, c->next, res, link_explain(NULL, res));
	}
}

static void run_client(struct serve_client *c)
{
	int r = 0;

	while (r == 0) {
		double back = send_due(c);

		if (!c->n_flight && back == INFINITY)
			return;
		r = c->s->carrier->wait(c, back);
	}
	fail_rest(c, r);
}

/* The groups stay: a socket may be a group's. Before the connection, whose other end asks the kernel who we are. */
static int take_uid(const struct serve_client *c, char *why)
{
	uid_t uid = SERVE_UID_FIRST + (c->s->n_uid ? c->index % c->s->n_uid : 0);

	if (!c->s->n_uid || setresuid(uid, uid, uid) == 0)
		return 0;
	snprintf(why, SERVE_WHY_BYTES, "it cannot become uid %u: %s; is this a container without that user?", uid,
		 strerror(errno));
	return -errno;
}

static void run_process(struct serve_client *c, int ready_fd, int go_fd, pid_t parent)
{
	struct ready ready = { .client = c->index };
	char end;
	int r = take_uid(c, ready.why);

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* taking a uid has cleared it */
	if (getppid() != parent)
		_exit(1);
	if (r == 0)
		r = c->s->carrier->open(c, ready.why);
	ready.res = r;
	if (write(ready_fd, &ready, sizeof(ready)) != sizeof(ready) || r < 0)
		_exit(1);
	close(ready_fd);
	while (read(go_fd, &end, 1) < 0 && errno == EINTR) /* the start is its end */
		;
	run_client(c);
	c->s->carrier->close(c);
	_exit(0);
}

/* Some of the bound: client 0 to n_flight_max % n_client - 1 have one more than the others. */
static uint32_t share_of(const struct serve *s, uint32_t client)
{
	if (!s->n_flight_max)
		return s->n_request;
	return s->n_flight_max / s->n_client + (client < s->n_flight_max % s->n_client);
}

/* All are connected, or the words of one that is not. */
static int wait_ready(const struct serve *s, int fd)
{
	struct ready ready;

	for (uint32_t i = 0; i < s->n_client; i++) {
		if (read(fd, &ready, sizeof(ready)) != sizeof(ready))
			return fail(TOOL_FAILED, "a client process was killed before the start");
		if (ready.res < 0)
			return fail(TOOL_FAILED, "client %u: %s", ready.client, ready.why);
	}
	return TOOL_OK;
}

static void watch(const struct serve *s, const pid_t *pid)
{
	bool is_drawn = isatty(STDERR_FILENO);

	for (uint32_t i = 0; i < s->n_client; i++)
		while (waitpid(pid[i], NULL, is_drawn ? WNOHANG : 0) == 0) {
			fprintf(stderr, "\r%u of %u requests, %.0f s ", load_relaxed(&s->shared->n_done), s->n_request,
				now_s() - s->shared->begin_s);
			usleep(PROGRESS_US);
		}
	if (is_drawn)
		fputs("\r\033[K", stderr);
}

static void stop(const pid_t *pid, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
}

/* 0 to n_client of them, -errno if there is no process more. */
static int start(struct serve *s, pid_t *pid, uint32_t *n, int *ready, int *go)
{
	pid_t parent = getpid();

	for (*n = 0; *n < s->n_client; ++*n) {
		struct serve_client c = {
			.s = s, .index = *n, .next = *n - s->n_client, .n_flight_max = share_of(s, *n)
		};

		pid[*n] = fork();
		if (pid[*n] < 0)
			return -errno;
		if (pid[*n] == 0) {
			close(ready[0]);
			close(go[1]);
			run_process(&c, ready[1], go[0], parent);
		}
	}
	return 0;
}

int serve_clients_run(struct serve *s)
{
	pid_t *pid = calloc(s->n_client, sizeof(*pid));
	int ready[2] = { -1, -1 }, go[2] = { -1, -1 }, code, r;
	uint32_t n = 0;

	if (!pid || pipe(ready) < 0 || pipe(go) < 0)
		return fail(TOOL_FAILED, "no memory or descriptors for %u clients: raise ulimit -n", s->n_client);
	fflush(NULL); /* what is buffered would be written by each */
	r = start(s, pid, &n, ready, go);
	close(ready[1]);
	close(go[0]);
	code = r < 0 ? fail(TOOL_FAILED, "client %u: fork: %s; lower --clients or raise ulimit -u", n, strerror(-r))
		     : wait_ready(s, ready[0]);
	s->shared->begin_s = now_s();
	if (code != TOOL_OK)
		stop(pid, n);
	close(go[1]);
	if (code == TOOL_OK)
		watch(s, pid);
	close(ready[0]);
	free(pid);
	return code;
}
