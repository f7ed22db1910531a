#include "daemon/control/control.h"
#include "daemon/control/budget.h"
#include "daemon/control/handshake.h"
#include "daemon/flow/grant.h"
#include "daemon/loop/loop.h"
#include "daemon/control/signals.h"
#include "daemon/control/stats.h"
#include "daemon/util/counter.h"
#include "daemon/util/log.h"
#include "daemon/util/log_limit.h"
#include "daemon/machine/placement.h"
#include "shm/atomic.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define CONNECTION_MAX \
	(INTAKE_SESSION_MAX + 64) /* the surplus: to tell those past the last session why they are refused */
#define TICK_NS          20000000 /* a draining daemon, a late hello, a failed accept: looked at this often */
#define HELLO_TIMEOUT_NS 5000000000ull

/* The loop's slots; a connection's is SLOT_CONNECTION + its index. */
enum slot { SLOT_ACCEPT, SLOT_SIGNAL, SLOT_LEADER, SLOT_TICK, SLOT_CONNECTION };

struct connection {
	int fd; /* -1: free; once a session exists, the session's */
	struct ucred peer;
	struct session *session;
	uint64_t since_ns;
	union {
		struct abi_hello hello;
		uint8_t bytes[256]; /* a longer message is cut, and then none of ours by its length */
	} in;
};

struct control {
	struct daemon *d; /* NULL until it runs */
	struct loop *loop;
	int listen_fd, signal_fd;
	uint64_t leader_count, drain_end_ns;
	uint64_t n_step;        /* of all engines, at the last look */
	uint64_t session_bytes; /* what all regions may take */
	bool is_draining, is_done, is_ticking, is_accepting;
	struct signalfd_siginfo signal;
	struct log_limit log_limit;
	struct connection connection[CONNECTION_MAX];
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
	loop_poll(c->loop, SLOT_LEADER, c->d->control_fd);
}

static void want_message(struct control *c, uint32_t i)
{
	struct connection *n = &c->connection[i];

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

/* ---- handshake ---- */

static void fill_welcome(const struct daemon *d, struct abi_welcome *w)
{
	*w = (struct abi_welcome){ .magic = GYRE_ABI_MAGIC,
				   .version = GYRE_ABI_VERSION,
				   .layout_hash = abi_layout_hash() };
	w->n_vocab = vocab_size(d->served.vocab);
	w->n_ctx = d->served.geometry.n_ctx;
	w->bos = vocab_bos(d->served.vocab);
	w->eos = vocab_eos(d->served.vocab);
	w->has_chat = d->served.chat != NULL;
	memcpy(w->model, d->served.name, sizeof(w->model));
}

static int send_welcome(int fd, const struct abi_welcome *w, const struct session *s)
{
	char space[CMSG_SPACE(3 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)w, sizeof(*w) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[3];

	if (s) {
		struct cmsghdr *cm;

		m.msg_control = space;
		m.msg_controllen = sizeof(space);
		cm = CMSG_FIRSTHDR(&m);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(fds));
		fds[0] = s->region.client_fd;
		fds[1] = s->region.daemon_fd;
		fds[2] = s->doorbell_fd;
		memcpy(CMSG_DATA(cm), fds, sizeof(fds));
	}
	return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void explain_session(int res, char *text, size_t n)
{
	if (res == -EINVAL)
		snprintf(text, n, "rings are powers of two up to %u and %u entries, arenas %u to %u bytes",
			 GYRE_SQ_ENTRIES_MAX, GYRE_CQ_ENTRIES_MAX, GYRE_ARENA_BYTES_MIN, GYRE_ARENA_BYTES_MAX);
	else if (res == -EMFILE || res == -ENFILE)
		snprintf(text, n, "gyred has no file descriptor left; raise its LimitNOFILE (ulimit -n)");
	else if (res == -EFBIG)
		snprintf(text, n,
			 "gyred may not make a file of that size; ask for smaller rings and a smaller arena, or "
			 "raise its LimitFSIZE (ulimit -f)");
	else
		snprintf(text, n, "gyred cannot make a session: %s; %s", strerror(-res), error_remedy(res));
}

/* The longest token of the vocabulary has to fit what a step may write: who asks for no size gets one that holds it. */
static int fit_ring(const struct control *c, struct abi_hello *h, char *text, size_t n)
{
	uint32_t least = grant_for(c->d->served.geometry.n_piece, 1), entries = GYRE_CQ_ENTRIES_DEFAULT;

	while (entries < least)
		entries *= 2;
	if (!h->cq_entries)
		h->cq_entries = entries;
	if (h->cq_entries >= least)
		return 0;
	snprintf(text, n, "the longest token of this model takes a completion ring of %u entries", least);
	return -EINVAL;
}

struct census {
	uint32_t n, n_own; /* of anybody, of the uid */
};

static struct census count(const struct control *c, uid_t uid, bool is_session)
{
	struct census all = { 0 };

	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		const struct connection *n = &c->connection[i];

		if (n->fd < 0 || (is_session && !n->session))
			continue;
		all.n++;
		all.n_own += n->peer.uid == uid;
	}
	return all;
}

/* A uid's first place is taken from nobody; it has more as long as it leaves more to others than it has. */
static bool has_place(struct census now, uint32_t n_max)
{
	return now.n < n_max && (!now.n_own || n_max - now.n > now.n_own);
}

static int admit(const struct control *c, const struct connection *n, char *text, size_t n_text)
{
	struct census now = count(c, n->peer.uid, true);

	if (c->is_draining) {
		snprintf(text, n_text, "gyred is shutting down");
		return -ESHUTDOWN;
	}
	if (has_place(now, INTAKE_SESSION_MAX))
		return 0;
	if (now.n == INTAKE_SESSION_MAX)
		snprintf(text, n_text, "gyred serves %u sessions already, and no more; close one", now.n);
	else
		snprintf(text, n_text, "uid %u has %u of gyred's %u sessions, the %u left are for others; close one",
			 (unsigned)n->peer.uid, now.n_own, INTAKE_SESSION_MAX, INTAKE_SESSION_MAX - now.n);
	return -EUSERS;
}

/* What everybody's regions take, and the uid's. */
static struct budget_use region_use(const struct control *c, uid_t uid)
{
	struct budget_use use = { 0 };

	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		const struct connection *n = &c->connection[i];
		uint64_t bytes = n->fd >= 0 && n->session ? region_bytes(&n->session->region.layout) : 0;

		use.all += bytes;
		use.own += n->peer.uid == uid ? bytes : 0;
	}
	return use;
}

/* Room for the regions that the hello asks for. Sizes that there are none of are session_new's to refuse. */
static int admit_bytes(const struct control *c, const struct connection *n, char *text, size_t n_text)
{
	const struct abi_hello *h = &n->in.hello;
	struct budget_use use = region_use(c, n->peer.uid);
	struct abi_hello usual = { 0 };
	struct region_layout l, ordinary;
	uint64_t want;

	(void)fit_ring(c, &usual, text, n_text);
	if (region_layout_init(&l, h->sq_entries, h->cq_entries, h->arena_bytes) < 0 ||
	    region_layout_init(&ordinary, 0, usual.cq_entries, c->d->served.geometry.arena_bytes) < 0)
		return 0;
	want = region_bytes(&l);
	if (budget_has_room(c->session_bytes, use, want, region_bytes(&ordinary)))
		return 0;
	snprintf(text, n_text,
		 "%.1f MiB of rings and arena wanted, uid %u has %.1f, all %.1f of gyred's %.1f MiB, and what is left "
		 "is "
		 "for others; ask for a smaller arena, close a session, or raise session-bytes",
		 (double)want / (1 << 20), (unsigned)n->peer.uid, (double)use.own / (1 << 20),
		 (double)use.all / (1 << 20), (double)c->session_bytes / (1 << 20));
	return -EDQUOT;
}

static int welcome(struct control *c, struct connection *n)
{
	struct abi_welcome w;

	fill_welcome(c->d, &w);
	w.res = handshake_check(&n->in.hello, w.text, sizeof(w.text));
	if (w.res == 0)
		w.res = admit(c, n, w.text, sizeof(w.text));
	if (!n->in.hello.arena_bytes)
		n->in.hello.arena_bytes = c->d->served.geometry.arena_bytes;
	if (w.res == 0)
		w.res = fit_ring(c, &n->in.hello, w.text, sizeof(w.text));
	if (w.res == 0)
		w.res = admit_bytes(c, n, w.text, sizeof(w.text));
	if (w.res == 0) {
		w.res = session_new(&n->session, &c->d->served, n->fd, n->peer.uid, &n->in.hello);
		if (w.res < 0)
			explain_session(w.res, w.text, sizeof(w.text));
	}
	if (n->session) {
		w.client_bytes = n->session->region.layout.client_bytes;
		w.daemon_bytes = n->session->region.layout.daemon_bytes;
	}
	if (send_welcome(n->fd, &w, n->session) < 0 || w.res < 0)
		return -EPROTO;
	intake_attach(&c->d->intake, n->session);
	return 0;
}

/* ---- statistics ---- */

static void answer_query(struct control *c, int fd)
{
	static char text[STATS_BYTES_MAX]; /* the control thread's */
	size_t n = stats_write(c->d, text, sizeof(text));

	(void)!send(fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- events ---- */

static void close_connection(struct control *c, uint32_t i)
{
	struct connection *n = &c->connection[i];

	if (n->session) {
		intake_detach(&c->d->intake, n->session);
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
	return log_limit_pass(&c->log_limit, what, uid, doorbell_now_ns());
}

static void on_accept(struct control *c, int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	struct census now;

	c->is_accepting = false;
	if (fd < 0) { /* no descriptors or memory left: asking again at once would spin, so the tick does */
		if (may_log(c, accept_failed, peer.uid))
			log_warn("%s: %s; %s", accept_failed, strerror(-fd), error_remedy(fd));
		want_tick(c, TICK_NS);
		return;
	}
	want_accept(c);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		if (may_log(c, nameless, peer.uid))
			log_warn("%s: the kernel does not tell whose: %s", nameless, strerror(errno));
		close(fd);
		return;
	}
	now = count(c, peer.uid, false);
	for (uint32_t i = 0; has_place(now, CONNECTION_MAX) && i < CONNECTION_MAX; i++) {
		struct connection *n = &c->connection[i];

		if (n->fd >= 0)
			continue;
		*n = (struct connection){ .fd = fd, .peer = peer, .since_ns = doorbell_now_ns() };
		want_message(c, i);
		want_tick(c, TICK_NS);
		return;
	}
	if (may_log(c, refused, peer.uid))
		log_warn("%s: uid %u has %u of %u, the %u left are for others", refused, (unsigned)peer.uid, now.n_own,
			 CONNECTION_MAX, CONNECTION_MAX - now.n);
	close(fd);
}

/* A hello that was refused leaves no attached session: everything of it is freed here. */
static void on_hello(struct control *c, uint32_t i)
{
	struct connection *n = &c->connection[i];

	if (welcome(c, n) == 0) {
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
	struct connection *n = &c->connection[i];

	if (res == -EINTR || res == -EAGAIN) {
		want_message(c, i);
		return;
	}
	switch (handshake_classify(n->in.bytes, res > 0 ? (size_t)res : 0, n->session != NULL)) {
	case MESSAGE_HELLO:
		on_hello(c, i);
		break;
	case MESSAGE_QUERY:
		answer_query(c, n->fd);
		want_message(c, i);
		break;
	case MESSAGE_ALIEN: /* also the end: a hang-up reads as no bytes */
		close_connection(c, i);
		break;
	}
}

static void on_leader(struct control *c)
{
	struct session *s, *next;

	(void)!read(c->d->control_fd, &c->leader_count, sizeof(c->leader_count));
	for (s = intake_take_detached(&c->d->intake); s; s = next) {
		next = s->next;
		for (uint32_t i = 0; i < CONNECTION_MAX; i++)
			if (c->connection[i].fd >= 0 && c->connection[i].session == s)
				c->connection[i] = (struct connection){ .fd = -1 };
		session_free(s);
	}
	want_leader(c);
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
	if (c->is_draining) {
		c->is_done = true; /* asked twice: at once */
		return;
	}
	log_info("signal %u: finishing what runs, at most %u s", c->signal.ssi_signo, c->d->config.drain_seconds);
	c->is_draining = true;
	c->drain_end_ns = doorbell_now_ns() + c->d->config.drain_seconds * 1000000000ull;
	intake_close(&c->d->intake);
	c->is_done = counter_read32(&c->d->intake.pool.n_live) == 0; /* else the next tick looks */
	want_tick(c, TICK_NS);
	want_signal(c);
}

/* Those that have not said hello in time are hung up on. true: some may still. */
static bool look_for_hellos(struct control *c, uint64_t now)
{
	bool is_waiting = false;

	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		struct connection *n = &c->connection[i];

		if (n->fd < 0 || n->session)
			continue;
		is_waiting = true;
		if (now - n->since_ns > HELLO_TIMEOUT_NS)
			shutdown(n->fd, SHUT_RDWR);
	}
	return is_waiting;
}

/* A client has submitted what nobody has taken yet. What it claims is compared, and no more. */
static bool has_unread(const struct control *c)
{
	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		const struct session *s = c->connection[i].fd >= 0 ? c->connection[i].session : NULL;

		if (s && load_relaxed(&s->region.client->sq_tail) != load_relaxed(&s->region.daemon->sq_head))
			return true;
	}
	return false;
}

/*
 * Whether engines move. Entries that nobody reads may be those of a client that has not rung, so all leaders that wait are rung for
 * it: if none of them comes, one that should is stuck.
 */
static void look_at_engines(struct control *c, uint64_t now)
{
	bool is_unread = has_unread(c);
	uint64_t n_step = 0;

	for (uint32_t i = 0; i < c->d->served.n_engine; i++)
		n_step += counter_read(&c->d->served.engine[i].queue.n_step);
	if (is_unread)
		intake_wake(&c->d->intake);
	for (uint32_t i = 0; i < c->d->served.n_engine; i++)
		health_look(&c->d->health[i], &c->d->served.engine[i], i, is_unread && n_step == c->n_step, now);
	c->n_step = n_step;
}

static void on_tick(struct control *c)
{
	uint64_t now = doorbell_now_ns();
	bool is_soon, is_later;

	c->is_ticking = false;
	if (!c->is_accepting)
		want_accept(c);
	is_soon = look_for_hellos(c, now) || c->is_draining;
	if (c->is_draining && (now >= c->drain_end_ns || counter_read32(&c->d->intake.pool.n_live) == 0))
		c->is_done = true;
	look_at_engines(c, now);
	is_later = log_limit_flush(&c->log_limit, now) || count(c, 0, true).n > 0;
	if (is_soon || is_later)
		want_tick(c, is_soon ? TICK_NS : HEALTH_LOOK_NS);
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
	default:
		on_message(c, ev->slot - SLOT_CONNECTION, ev->res);
		break;
	}
}

/* A client's sessions outlive its connection until the engines, which have stopped, let go of them. */
static void close_connections(struct control *c)
{
	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		struct connection *n = &c->connection[i];

		if (n->session)
			session_free(n->session);
		else if (n->fd >= 0)
			close(n->fd);
		n->session = NULL;
		n->fd = -1;
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
	for (uint32_t i = 0; i < CONNECTION_MAX; i++)
		c->connection[i].fd = -1;
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
	close_connections(c);
	free(c);
	return NULL;
}

int control_run(struct control *c, struct daemon *d, struct error *e)
{
	struct loop_event ev;
	int r = 0;

	c->d = d;
	c->session_bytes = budget_limit(d->config.session_bytes, placement_available("", -1));
	want_accept(c);
	want_signal(c);
	want_leader(c);
	while (!c->is_done && r >= 0) {
		r = loop_wait(c->loop, &ev);
		if (r > 0)
			on_event(c, &ev);
	}
	c->loop = loop_close(c->loop); /* nothing may come into what is freed next */
	daemon_stop(d);
	log_limit_end(&c->log_limit, doorbell_now_ns());
	close_connections(c);
	return r < 0 ? error_set(e, r, "%s: %s", "control loop", strerror(-r)) : 0;
}
