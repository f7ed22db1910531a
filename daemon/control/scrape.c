#include "daemon/control/scrape.h"
#include "shm/atomic.h"
#include "shm/clock.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#define PEER_NS    3000000000ull /* from accept to its end */
#define FRESH_NS   10000000ull   /* a text younger than this is given again */
#define PATIENCE   2000          /* ms that the control thread may take */
#define LOOK_MS    250           /* how often old connections are looked for, while there are any */
#define MEMORY_MAX 8192u         /* of a connection: its request's line and headers */

/* Whose turn it is with text[n]. */
enum turn { TURN_SCRAPE, TURN_CONTROL };

struct peer {
	int fd; /* -1: free */
	uid_t uid;
	uint64_t since_ns;
};

struct scrape {
	struct MHD_Daemon *http;
	pthread_t thread;
	bool is_running;
	int listen_fd, stop_fd, ask_fd, answer_fd; /* the last three: eventfds */
	struct peer peer[SCRAPE_PEER_MAX];

	uint32_t turn; /* atomic: enum turn */
	size_t n;
	uint64_t at_ns; /* when it was written; 0: never */
	char text[METRICS_BYTES_MAX];
};

/* ---- the text ---- */

int scrape_fd(const struct scrape *s)
{
	return s->ask_fd;
}

void scrape_answer(struct scrape *s, const struct metrics_source *from)
{
	uint64_t ignored;

	(void)!read(s->ask_fd, &ignored, sizeof(ignored));
	if (load_acquire(&s->turn) != TURN_CONTROL) /* pairs with refresh */
		return;
	s->n = metrics_write(from, s->text, sizeof(s->text));
	s->at_ns = clock_ns();
	store_release(&s->turn, TURN_SCRAPE); /* pairs with refresh */
	(void)!write(s->answer_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

/* false: the control thread does not come, so the text is still its own. */
static bool refresh(struct scrape *s)
{
	struct pollfd p = { .fd = s->answer_fd, .events = POLLIN };
	uint64_t ignored;

	if (load_acquire(&s->turn) == TURN_SCRAPE) { /* pairs with scrape_answer */
		if (s->at_ns && clock_ns() - s->at_ns < FRESH_NS)
			return true;
		(void)!read(s->answer_fd, &ignored, sizeof(ignored));
		store_release(&s->turn, TURN_CONTROL); /* pairs with scrape_answer */
		(void)!write(s->ask_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	}
	(void)poll(&p, 1, PATIENCE);
	return load_acquire(&s->turn) == TURN_SCRAPE; /* pairs with scrape_answer */
}

/* ---- HTTP ---- */

static enum MHD_Result respond(struct MHD_Connection *c, unsigned status, const char *text, size_t n)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(n, (void *)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result ok;

	if (!r)
		return MHD_NO;
	MHD_set_response_options(r, MHD_RF_HTTP_1_0_SERVER, MHD_RO_END);
	MHD_add_response_header(r, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
	MHD_add_response_header(r, "Connection", "close");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD");
	ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url, const char *method,
				  const char *version, const char *upload, size_t *n_upload, void **own)
{
	static const char slow[] = "gyred's control thread does not answer\n", wrong[] = "only GET and HEAD\n";
	struct scrape *s = arg;

	(void)url;
	(void)version;
	(void)upload;
	(void)n_upload;
	(void)own;
	if (strcmp(method, "GET") && strcmp(method, "HEAD"))
		return respond(c, MHD_HTTP_METHOD_NOT_ALLOWED, wrong, sizeof(wrong) - 1);
	if (!refresh(s))
		return respond(c, MHD_HTTP_SERVICE_UNAVAILABLE, slow, sizeof(slow) - 1);
	return respond(c, MHD_HTTP_OK, s->text, s->n);
}

/* ---- who is connected ---- */

static void forget_peer(struct scrape *s, int fd)
{
	for (uint32_t i = 0; i < SCRAPE_PEER_MAX; i++)
		if (s->peer[i].fd == fd)
			s->peer[i].fd = -1;
}

static void on_connection(void *arg, struct MHD_Connection *c, void **own, enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

	(void)own;
	if (what == MHD_CONNECTION_NOTIFY_CLOSED && info)
		forget_peer(arg, info->connect_fd);
}

/* A uid's first is taken from nobody; it has more while it leaves at least as many. NULL: refused. */
static struct peer *find_place(struct scrape *s, uid_t uid)
{
	struct peer *place = NULL;
	uint32_t n_free = 0, n_own = 0;

	for (uint32_t i = 0; i < SCRAPE_PEER_MAX; i++) {
		struct peer *p = &s->peer[i];

		if (p->fd < 0) {
			place = p;
			n_free++;
		} else {
			n_own += p->uid == uid;
		}
	}
	return !n_own || n_free > n_own ? place : NULL;
}

/* MHD closes what it does not take. */
static void accept_peer(struct scrape *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct ucred peer;
	struct peer *p;

	if (fd < 0) {
		(void)poll(NULL, 0,
			   errno == EMFILE || errno == ENFILE ? 20 : 0); /* it would be readable again at once */
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &(socklen_t){ sizeof(peer) }) < 0 ||
	    !(p = find_place(s, peer.uid))) {
		close(fd);
		return;
	}
	*p = (struct peer){ fd, peer.uid, clock_ns() };
	if (MHD_add_connection(s->http, fd, (const struct sockaddr *)&at, sizeof(at)) != MHD_YES)
		p->fd = -1;
}

/* Those that have had their time are cut off, which MHD sees next. true: there are others. */
static bool end_peers(struct scrape *s)
{
	uint64_t now = clock_ns();
	bool is_any = false;

	for (uint32_t i = 0; i < SCRAPE_PEER_MAX; i++) {
		if (s->peer[i].fd < 0)
			continue;
		is_any = true;
		if (now - s->peer[i].since_ns > PEER_NS)
			shutdown(s->peer[i].fd, SHUT_RDWR);
	}
	return is_any;
}

/* ---- the thread ---- */

static int timeout_ms(struct scrape *s)
{
	MHD_UNSIGNED_LONG_LONG ms = LOOK_MS;

	if (!end_peers(s))
		return -1;
	if (MHD_get_timeout(s->http, &ms) != MHD_YES || ms > LOOK_MS)
		ms = LOOK_MS;
	return (int)ms;
}

static void *scrape_main(void *arg)
{
	struct scrape *s = arg;
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->http, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd p[3] = { { .fd = s->stop_fd, .events = POLLIN },
			       { .fd = s->listen_fd, .events = POLLIN },
			       { .fd = info ? info->epoll_fd : -1, .events = POLLIN } };

	pthread_setname_np(pthread_self(), "gyred-metrics");
	setpriority(PRIO_PROCESS, (id_t)gettid(), SCRAPE_NICE);
	while (!p[0].revents) {
		if (poll(p, 3, timeout_ms(s)) < 0)
			continue;
		if (p[1].revents)
			accept_peer(s);
		MHD_run(s->http);
	}
	return NULL;
}

static int open_http(struct scrape *s, struct error *e)
{
	s->http = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, s,
				   MHD_OPTION_CONNECTION_LIMIT, SCRAPE_PEER_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				   (size_t)MEMORY_MAX, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
	return s->http ? 0 : error_set(e, -ENOMEM, "metrics-socket: libmicrohttpd cannot be started (epoll_create1)");
}

static int open_fds(struct scrape *s, struct error *e)
{
	int *const fd[] = { &s->stop_fd, &s->ask_fd, &s->answer_fd };

	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++) {
		*fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (*fd[i] < 0)
			return error_call(e, -errno, "eventfd2");
	}
	return 0;
}

int scrape_open(struct scrape **sp, int listen_fd, struct error *e)
{
	struct scrape *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_set(e, -ENOMEM, "no memory");
	s->listen_fd = listen_fd;
	s->stop_fd = s->ask_fd = s->answer_fd = -1;
	for (uint32_t i = 0; i < SCRAPE_PEER_MAX; i++)
		s->peer[i].fd = -1;
	r = open_fds(s, e);
	if (r == 0)
		r = open_http(s, e);
	if (r == 0) {
		r = -pthread_create(&s->thread, NULL, scrape_main, s);
		if (r < 0)
			error_call(e, r, "pthread_create");
	}
	s->is_running = r == 0;
	if (r < 0)
		s = scrape_close(s);
	*sp = s;
	return r;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

struct scrape *scrape_close(struct scrape *s)
{
	if (!s)
		return NULL;
	if (s->is_running) {
		(void)!write(s->stop_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
		pthread_join(s->thread, NULL);
	}
	if (s->http)
		MHD_stop_daemon(s->http);
	close_fd(s->stop_fd);
	close_fd(s->ask_fd);
	close_fd(s->answer_fd);
	free(s);
	return NULL;
}
