#include "daemon/control/control.h"
#include "daemon/control/budget.h"
#include "daemon/control/handshake.h"
#include "daemon/control/health.h"
#include "daemon/control/journal.h"
#include "daemon/control/reload.h"
#include "daemon/control/scrape.h"
#include "daemon/loop/loop.h"
#include "daemon/control/service.h"
#include "daemon/control/signals.h"
#include "daemon/control/stats.h"
#include "daemon/control/welcome.h"
#include "daemon/util/counter.h"
#include "daemon/util/log.h"
#include "daemon/util/log_limit.h"
#include "daemon/machine/placement.h"
#include "shm/atomic.h"
#include "shm/clock.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TICK_NS          20000000 /* a draining daemon, a late hello, a failed accept: looked at this often */
#define HELLO_TIMEOUT_NS 5000000000ull
#define SIGNS_A_WATCH    8u            /* of life, before the service manager's patience ends */
#define MODELS_LOOK_NS   1000000000ull /* whether one has been idle for long enough */
#define NOBODY           ((uid_t)-1)

/* The loop's slots; a connection's is SLOT_CONNECTION + its index. */
enum slot { SLOT_ACCEPT, SLOT_SIGNAL, SLOT_LEADER, SLOT_TICK, SLOT_METRICS, SLOT_CONNECTION };

struct control {
	struct control_parts parts; /* once it runs */
	struct loop *loop;
	int listen_fd, signal_fd;
	uint64_t leader_count, drain_end_ns;
	uint64_t sign_ns, next_sign_ns; /* between two signs of life (0: nobody watches), and when the next is due */
	bool is_done, is_ticking, is_accepting, is_unhealthy;
	struct signalfd_siginfo signal;
	struct log_limit log_limit;
	struct health_all health;
	struct journal journal;
	struct process process;
	struct scrape *scrape; /* NULL: there is no socket for it */
	uint32_t n_session;    /* since the start */
	struct connections connections;
	struct admit admit; /* is_draining: a signal has come */
	uint32_t asker;     /* the connection that waits for a model; CONNECTION_MAX: none */
};

/* ---- operations ---- */

static void want_accept(struct control *c)
{
	c->is_accepting = true;
	loop_accept(c->loop, SLOT_ACCEPT, c->listen_fd);
}

static void want_signal(struct control *c)
{
	loop_read(c->loop, SLOT_SIGNAL, c->signal_fd, &c->signal, sizeof(c->signal));
}

static void want_leader(struct control *c)
{
	loop_poll(c->loop, SLOT_LEADER, c->parts.leader_fd);
}

static void want_message(struct control *c, uint32_t i)
{
	struct connection *n = &c->connections.at[i];

	loop_read(c->loop, SLOT_CONNECTION + i, n->fd, n->in.bytes, sizeof(n->in.bytes));
}

/* The next look around, unless one is to come. */
static void want_tick(struct control *c, uint64_t ns)
{
	if (c->is_ticking)
		return;
	c->is_ticking = true;
	loop_timeout(c->loop, SLOT_TICK, ns);
}

/* ---- questions ---- */

static bool is_admin(const struct control *c, uid_t uid)
{
	if (uid == 0 || uid == getauxval(AT_EUID))
		return true;
	for (uint32_t i = 0; i < c->parts.admin->n; i++)
		if (c->parts.admin->uid[i] == uid)
			return true;
	return false;
}

/* A message has a size that the kernel sets (net.core.wmem_default): what is larger is told to be so, in a comment of Prometheus. */
static void answer(int fd, const char *text, size_t n)
{
	static const char large[] = "# this is larger than a message may be: see metrics-socket in gyred.conf(5)\n";

	if (send(fd, n ? text : "\n", n ? n : 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EMSGSIZE)
		(void)!send(fd, large, sizeof(large) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* false: the answer comes when the model is there, or has gone. */
static bool change_models(struct control *c, const struct connection *n, const struct abi_query *q)
{
	bool is_load = q->what == ABI_QUERY_LOAD;
	struct error e = { "" };
	int r;

	if (!is_admin(c, n->uid))
		r = error_set(&e, -EPERM,
			      "uid %u may not load or unload models: root, gyred's own user and admin-uids may",
			      (unsigned)n->uid);
	else if (!*q->name)
		r = error_set(&e, -EINVAL, "which model? gyre ls shows those there are");
	else
		r = (is_load ? registry_load : registry_unload)(c->parts.models, q->name, &e);
	if (r == 0)
		return false;
	answer(n->fd, e.text, strlen(e.text));
	return true;
}

static struct metrics_source metrics_source(const struct control *c)
{
	return (struct metrics_source){ &c->parts, &c->health, &c->connections, &c->process };
}

static void on_metrics(struct control *c)
{
	const struct metrics_source from = metrics_source(c);

	scrape_answer(c->scrape, &from);
	loop_poll(c->loop, SLOT_METRICS, scrape_fd(c->scrape));
}

/* false: later. */
static bool answer_query(struct control *c, const struct connection *n, const struct abi_query *q)
{
	static char text[METRICS_BYTES_MAX]; /* the control thread's */
	const struct metrics_source from = metrics_source(c);
	size_t size = 0;

	if (q->what == ABI_QUERY_LOAD || q->what == ABI_QUERY_UNLOAD)
		return change_models(c, n, q);
	if (q->what == ABI_QUERY_STATS)
		size = stats_write(&c->parts, &c->health, strcmp(q->name, "sessions") ? NULL : &c->connections, text,
				   STATS_BYTES_MAX);
	else if (q->what == ABI_QUERY_MODELS)
		size = stats_write_models(&c->parts, clock_ns(), text, STATS_BYTES_MAX);
	else if (q->what == ABI_QUERY_METRICS)
		size = metrics_write(&from, text, sizeof(text));
	else if (q->what == ABI_QUERY_HEALTH)
		size = health_explain(&c->health, text, STATS_BYTES_MAX);
	answer(n->fd, text, size);
	return true;
}

static void on_query(struct control *c, uint32_t i, size_t n_byte)
{
	struct connection *n = &c->connections.at[i];
	struct abi_query *q = &n->in.query;

	n->in.bytes[n_byte < sizeof(*q) ? n_byte : sizeof(*q) - 1] = 0;
	if (n_byte <= offsetof(struct abi_query, name))
		*q->name = 0;
	n->since_ns = clock_ns();
	if (answer_query(c, n, q))
		want_message(c, i);
	else
		c->asker = i;
}

/* ---- events ---- */

static void close_connection(struct control *c, uint32_t i)
{
	struct connection *n = &c->connections.at[i];

	if (n->session) {
		handover_detach(&c->parts.intake->handover, n->session);
		return;
	}
	close(n->fd);
	n->fd = -1;
}

static const char accept_failed[] = "connections that could not be accepted", nameless[] = "connections without a peer",
		  refused[] = "connections refused";

/* Whoever connects can cause these lines as often as he likes. */
static bool may_log(struct control *c, const char *what, uid_t uid)
{
	want_tick(c, HEALTH_LOOK_NS); /* to tell how many more there were */
	return log_limit_pass(&c->log_limit, what, uid, clock_ns());
}

static void on_accept_failed(struct control *c, int res)
{
	if (may_log(c, accept_failed, NOBODY))
		log_warn("%s: %s; %s", accept_failed, strerror(-res), error_remedy(res));
	want_tick(c, TICK_NS); /* no descriptors or memory left: asking again at once would spin, so the tick does */
}

/* false: refused. */
static bool take_connection(struct control *c, int fd, const struct ucred *peer)
{
	uid_t uid = peer->uid;
	struct connection_count now;
	struct connection *n;

	if (!admit_connection(&c->connections, uid, &now)) {
		if (may_log(c, refused, uid))
			log_warn("%s: uid %u has %u of %u, the %u left are for others", refused, (unsigned)uid,
				 now.n_own, CONNECTION_MAX, CONNECTION_MAX - now.n);
		return false;
	}
	n = connections_find_free(&c->connections);
	*n = (struct connection){ .fd = fd, .uid = uid, .gid = peer->gid, .since_ns = clock_ns() };
	n->quota = quota_find(c->parts.config, fd, peer);
	want_message(c, (uint32_t)(n - c->connections.at));
	want_tick(c, TICK_NS);
	return true;
}

static void on_accept(struct control *c, int fd)
{
	struct ucred peer = { .uid = NOBODY };
	socklen_t len = sizeof(peer);

	c->is_accepting = false;
	if (fd < 0) {
		on_accept_failed(c, fd);
		return;
	}
	want_accept(c);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		if (may_log(c, nameless, NOBODY))
			log_warn("%s: the kernel does not tell whose: %s", nameless, strerror(errno));
		close(fd);
	} else if (!take_connection(c, fd, &peer)) {
		close(fd);
	}
}

/* A hello that was refused leaves no attached session: everything of it is freed here. */
static void on_hello(struct control *c, uint32_t i)
{
	struct connection *n = &c->connections.at[i];
	int r = welcome(&c->admit, n);

	n->is_waiting = r > 0;
	if (n->is_waiting)
		return;
	if (r == 0) {
		n->session->number = ++c->n_session;
		handover_attach(&c->parts.intake->handover, n->session);
		want_message(c, i);
		return;
	}
	if (n->session) {
		n->session = session_free(n->session); /* closes the socket, too */
		n->fd = -1;
		return;
	}
	close_connection(c, i);
}

static void on_message(struct control *c, uint32_t i, int res)
{
	struct connection *n = &c->connections.at[i];

	if (res == -EINTR || res == -EAGAIN) {
		want_message(c, i);
		return;
	}
	switch (handshake_classify(n->in.bytes, res > 0 ? (size_t)res : 0, n->session != NULL)) {
	case MESSAGE_HELLO:
		on_hello(c, i);
		break;
	case MESSAGE_QUERY:
		on_query(c, i, (size_t)res);
		break;
	case MESSAGE_ALIEN: /* also the end: a hang-up reads as no bytes */
		close_connection(c, i);
		break;
	}
}

/* Those that waited for the model that has been loaded, or not. */
static void answer_hellos(struct control *c)
{
	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		struct connection *n = &c->connections.at[i];

		if (n->fd < 0 || !n->is_waiting)
			continue;
		n->is_waiting = false;
		n->since_ns = clock_ns();
		on_hello(c, i);
	}
}

/* Models come and go. */
static void look_at_models(struct control *c)
{
	const struct registry_job *job = registry_end_job(c->parts.models);

	if (job && c->asker < CONNECTION_MAX) {
		const char *text = job->res < 0 ? job->e.text : "";

		answer(c->connections.at[c->asker].fd, text, strlen(text));
		c->connections.at[c->asker].since_ns = clock_ns();
		want_message(c, c->asker);
		c->asker = CONNECTION_MAX;
	}
	if (job)
		answer_hellos(c);
	if (registry_look(c->parts.models, clock_ns()))
		want_tick(c, MODELS_LOOK_NS);
}

static void on_leader(struct control *c)
{
	struct session *s, *next;

	(void)!read(c->parts.leader_fd, &c->leader_count, sizeof(c->leader_count));
	for (s = handover_take_detached(&c->parts.intake->handover); s; s = next) {
		next = s->next;
		connections_forget(&c->connections, s);
		session_free(s);
	}
	if (!c->admit.is_draining)
		look_at_models(c);
	(void)journal_drain(&c->journal, c->parts.intake, clock_ns()); /* maybe the last session's */
	want_leader(c);
}

static void set_journal(struct control *c)
{
	const struct config *o = c->parts.config;

	journal_set(&c->journal, c->parts.intake, (enum event_level)o->log_level, o->slow_ms * 1000000ull);
}

static void on_reload(struct control *c)
{
	reload_config(&c->parts, &c->connections, &c->admit);
	set_journal(c);
	look_at_models(c); /* idle-seconds may be another */
}

static void on_signal(struct control *c, int res)
{
	if (res == -EINTR || res == -EAGAIN) {
		want_signal(c);
		return;
	}
	if (res != (int)sizeof(c->signal)) {
		log_error("signals cannot be read (%s): the next one ends this daemon at once",
			  res < 0 ? strerror(-res) : "end of file");
		signals_surrender();
		return;
	}
	if (c->signal.ssi_signo == SIGHUP && c->parts.reload) {
		on_reload(c);
		want_signal(c);
		return;
	}
	if (c->admit.is_draining) {
		c->is_done = true; /* asked twice: at once */
		return;
	}
	service_say_stopping();
	log_info("signal %u: finishing what runs, at most %u s", c->signal.ssi_signo, c->parts.drain_seconds);
	c->admit.is_draining = true;
	c->drain_end_ns = clock_ns() + c->parts.drain_seconds * 1000000000ull;
	intake_close(c->parts.intake);
	c->is_done = registry_count_live(c->parts.models) == 0; /* else the next tick looks */
	want_tick(c, TICK_NS);
	want_signal(c);
}

/* Those that have not said hello in time are hung up on. true: some may still. */
static bool look_for_hellos(struct control *c, uint64_t now)
{
	bool is_waiting = false;

	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		struct connection *n = &c->connections.at[i];

		if (n->fd < 0 || n->session)
			continue;
		is_waiting = true;
		if (i != c->asker && !n->is_waiting && now - n->since_ns > HELLO_TIMEOUT_NS)
			shutdown(n->fd, SHUT_RDWR);
	}
	return is_waiting;
}

static void show_life(struct control *c, uint64_t now)
{
	if (!c->sign_ns || now < c->next_sign_ns)
		return;
	c->next_sign_ns = now + c->sign_ns / 2; /* a tick may come a little early */
	service_say_alive();
}

/* The service manager hears of a change at once; what it does not hear while something stands is a sign of life. */
static void tell_health(struct control *c, bool all_move, uint64_t now)
{
	char text[160];

	if (all_move)
		show_life(c, now);
	if (all_move == !c->is_unhealthy)
		return;
	c->is_unhealthy = !all_move;
	health_explain(&c->health, text, sizeof(text));
	service_say("%s%s", all_move ? "serving" : "not ready: ", text);
}

static void on_tick(struct control *c)
{
	uint64_t now = clock_ns();
	bool is_soon, is_later, is_models = false;

	c->is_ticking = false;
	if (!c->is_accepting)
		want_accept(c);
	is_soon = look_for_hellos(c, now) || c->admit.is_draining;
	if (c->admit.is_draining && (now >= c->drain_end_ns || registry_count_live(c->parts.models) == 0))
		c->is_done = true;
	tell_health(c,
		    health_look_at_all(&c->health, c->parts.models, c->parts.intake,
				       connections_have_unread(&c->connections), now),
		    now);
	if (!c->admit.is_draining)
		is_models = registry_look(c->parts.models, now);
	is_later = journal_drain(&c->journal, c->parts.intake, now);
	is_later |= log_limit_flush(&c->log_limit, now) || connections_count(&c->connections, 0, true).n > 0;
	if (is_soon || is_later || c->sign_ns || is_models)
		want_tick(c, is_soon ? TICK_NS : is_later ? HEALTH_LOOK_NS : c->sign_ns ? c->sign_ns : MODELS_LOOK_NS);
}

static void on_event(struct control *c, const struct loop_event *ev)
{
	switch (ev->slot) {
	case SLOT_ACCEPT:
		on_accept(c, ev->res);
		break;
	case SLOT_SIGNAL:
		on_signal(c, ev->res);
		break;
	case SLOT_LEADER:
		on_leader(c);
		break;
	case SLOT_TICK:
		on_tick(c);
		break;
	case SLOT_METRICS:
		on_metrics(c);
		break;
	default:
		on_message(c, ev->slot - SLOT_CONNECTION, ev->res);
		break;
	}
}

int control_open(struct control **cp, int listen_fd, int signal_fd, struct error *e)
{
	struct control *c = calloc(1, sizeof(*c));
	int r, denied;

	if (!c)
		return error_set(e, -ENOMEM, "no memory");
	c->listen_fd = listen_fd;
	c->signal_fd = signal_fd;
	connections_init(&c->connections);
	r = loop_open(&c->loop, SLOT_CONNECTION + CONNECTION_MAX, &denied);
	if (r < 0) {
		free(c);
		return error_call(e, r, "neither io_uring nor epoll_create1 can be had: epoll_create1");
	}
	if (denied)
		log_info("control loop: %s (io_uring: %s)", loop_name(c->loop), strerror(-denied));
	*cp = c;
	return 0;
}

struct control *control_close(struct control *c)
{
	if (!c)
		return NULL;
	c->loop = loop_close(c->loop);
	connections_close(&c->connections);
	free(c);
	return NULL;
}

int control_run(struct control *c, const struct control_parts *p, struct error *e)
{
	struct loop_event ev;
	int r = p->metrics_fd >= 0 ? scrape_open(&c->scrape, p->metrics_fd, e) : 0;

	if (r < 0)
		return r;
	c->parts = *p;
	c->asker = CONNECTION_MAX;
	c->admit = (struct admit){ .connections = &c->connections,
				   .models = p->models,
				   .n_request = place_most(p->config->n_replica),
				   .session_bytes = budget_limit(p->session_bytes, placement_available("", -1)) };
	want_accept(c);
	want_signal(c);
	want_leader(c);
	if (c->scrape)
		loop_poll(c->loop, SLOT_METRICS, scrape_fd(c->scrape));
	process_open(&c->process);
	set_journal(c);
	c->sign_ns = service_watchdog_ns() / SIGNS_A_WATCH;
	if (c->sign_ns)
		want_tick(c, c->sign_ns);
	look_at_models(c); /* which may be put to sleep */
	sandbox_try(p->is_confined, p->path);
	service_say_ready();
	if (p->reload && p->reload->is_asked)
		on_reload(c);
	while (!c->is_done && r >= 0) {
		r = loop_wait(c->loop, &ev);
		if (r > 0)
			on_event(c, &ev);
	}
	c->loop = loop_close(c->loop); /* nothing may come into what is freed next */
	c->scrape = scrape_close(c->scrape);
	registry_stop(p->models);
	journal_end(&c->journal, p->intake, clock_ns());
	process_close(&c->process);
	log_limit_end(&c->log_limit, clock_ns());
	connections_close(&c->connections);
	return r < 0 ? error_set(e, r, "%s: %s", "control loop", strerror(-r)) : 0;
}
