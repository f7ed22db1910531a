#include "daemon/intake/intake.h"
#include "daemon/util/counter.h"
#include "daemon/util/profile.h"
#include "shm/atomic.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEXT_BYTES_PER_TOKEN 16u /* a prompt of more bytes than this per position cannot fit the context */
#define TEXT_BYTES_MIN       65536u
#define GRANT_MIN            4u /* a token in two pieces, held-back bytes, the last completion */
#define LOOKS_PER_CLOCK      32 /* at the rings while spinning: a look is a few ns, a clock read about 25 */
#define PAUSED_POLL_MS       1  /* a client that reads its CQ does not ring: look again */

int intake_init(struct intake *i, const struct vocab *v, const struct intake_options *o, int control_fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
	int r;

	memset(i, 0, sizeof(*i));
	i->epoll_fd = i->wake_fd = -1;
	i->control_fd = control_fd;
	i->spin_ns = o->spin_ns;
	i->n_draft = o->n_draft;
	i->geometry = (struct geometry){ .n_vocab = o->n_vocab, .n_ctx = o->n_ctx };
	i->geometry.text_max =
		o->n_ctx > TEXT_BYTES_MIN / TEXT_BYTES_PER_TOKEN ? o->n_ctx * TEXT_BYTES_PER_TOKEN : TEXT_BYTES_MIN;
	pthread_mutex_init(&i->lock, NULL);
	i->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	i->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (i->epoll_fd < 0 || i->wake_fd < 0 || epoll_ctl(i->epoll_fd, EPOLL_CTL_ADD, i->wake_fd, &ev) < 0) {
		r = -errno;
		intake_deinit(i);
		return r;
	}
	r = prompt_reader_init(&i->reader, v, i->geometry.text_max);
	if (r == 0)
		r = prompt_helper_init(&i->helper, v, i->geometry.text_max, i->wake_fd);
	if (r < 0)
		intake_deinit(i);
	return r;
}

void intake_deinit(struct intake *i)
{
	prompt_helper_deinit(&i->helper);
	prompt_reader_deinit(&i->reader);
	if (i->epoll_fd >= 0)
		close(i->epoll_fd);
	if (i->wake_fd >= 0)
		close(i->wake_fd);
	i->epoll_fd = i->wake_fd = -1;
}

/* ---- hand-off ---- */

static void intake_mail(struct intake *i, struct session **list, struct session *s)
{
	pthread_mutex_lock(&i->lock);
	s->next = *list;
	*list = s;
	store_release(&i->has_mail, 1);
	pthread_mutex_unlock(&i->lock);
	intake_wake(i);
}

void intake_attach(struct intake *i, struct session *s)
{
	intake_mail(i, &i->attaching, s);
}

void intake_detach(struct intake *i, struct session *s)
{
	/* A session that was never picked up: it is on the other list, and both are read attach first. */
	pthread_mutex_lock(&i->lock);
	for (struct session **p = &i->attaching; *p; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			s->next = i->detached;
			i->detached = s;
			pthread_mutex_unlock(&i->lock);
			(void)!write(i->control_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
			return;
		}
	pthread_mutex_unlock(&i->lock);
	intake_mail(i, &i->detaching, s);
}

struct session *intake_take_detached(struct intake *i)
{
	struct session *s;

	pthread_mutex_lock(&i->lock);
	s = i->detached;
	i->detached = NULL;
	pthread_mutex_unlock(&i->lock);
	return s;
}

void intake_wake(struct intake *i)
{
	(void)!write(i->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

void intake_close(struct intake *i)
{
	store_release(&i->is_closed, 1);
	intake_wake(i);
}

/* Nothing more is read from it; the control thread sees the hang-up and detaches it. */
static void break_session(struct session *s)
{
	s->is_broken = true;
	s->n_space = 0;
	shutdown(s->socket_fd, SHUT_RDWR);
}

static void admit_session(struct intake *i, struct session *s)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = s };

	s->slot = i->n_session;
	i->session[i->n_session++] = s;
	if (epoll_ctl(i->epoll_fd, EPOLL_CTL_ADD, s->doorbell_fd, &ev) < 0)
		break_session(s);
}

static void drop_session(struct intake *i, struct queue *q, struct session *s)
{
	for (uint32_t k = 0; k < q->n_live; k++) {
		struct request *r = q->live[k];

		if (r->session != s)
			continue;
		r->session = NULL;
		r->cancelled = true;
		if (r->state != REQUEST_TEXT) /* else the helper still writes to it */
			r->state = REQUEST_DONE;
	}
	epoll_ctl(i->epoll_fd, EPOLL_CTL_DEL, s->doorbell_fd, NULL);
	i->session[s->slot] = i->session[--i->n_session];
	i->session[s->slot]->slot = s->slot;
}

static void read_mail(struct intake *i, struct queue *q)
{
	struct session *s;

	if (!load_acquire(&i->has_mail))
		return;
	/* To the end under the lock: a session just admitted may be put on the other list as soon as it is free. */
	pthread_mutex_lock(&i->lock);
	for (; (s = i->attaching); admit_session(i, s))
		i->attaching = s->next;
	while ((s = i->detaching)) {
		i->detaching = s->next;
		drop_session(i, q, s);
		s->next = i->detached;
		i->detached = s;
		(void)!write(i->control_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	}
	store_release(&i->has_mail, 0);
	pthread_mutex_unlock(&i->lock);
}

/* ---- entries ---- */

static void end_request(struct request *r, int res)
{
	r->res = res;
	r->state = REQUEST_ENDED;
}

static void prompt_done(struct request *r, int res)
{
	if (!r->session)
		r->state = REQUEST_DONE;
	else if (r->cancelled)
		end_request(r, -ECANCELED);
	else if (res < 0 || r->op == GYRE_OP_TOKENIZE)
		end_request(r, res < 0 ? res : 0);
	else
		r->state = REQUEST_WAITING;
}

static void refuse(struct intake *i, struct session *s, const struct gyre_sqe *sqe, int res)
{
	session_complete(s, sqe->user_data, NULL)->res = res;
	counter_add(&i->stats.n_refused, res < 0);
}

static int cancel(struct queue *q, const struct session *s, uint64_t target)
{
	int n = 0;

	for (uint32_t k = 0; k < q->n_live; k++) {
		struct request *r = q->live[k];

		if (r->session != s || r->user_data != target || r->cancelled || r->state >= REQUEST_ENDED)
			continue;
		r->cancelled = true;
		n++;
	}
	return n;
}

/* What there is of it: see struct sampling. */
static void copy_sampling(struct sampling *to, const struct sampling *from)
{
	memcpy(to, from, offsetof(struct sampling, bias));
	memcpy(to->bias, from->bias, from->n_bias * sizeof(to->bias[0]));
	memcpy(to->stop, from->stop, from->n_stop * sizeof(to->stop[0]));
}

static void fill_request(struct request *r, struct session *s, const struct gyre_sqe *sqe,
			 const struct sampling *sampling)
{
	r->session = s;
	r->uid = s->uid;
	r->op = sqe->opcode;
	r->flags = sqe->flags;
	r->priority = sqe->priority;
	r->user_data = sqe->user_data;
	r->deadline_ns = sqe->deadline_ns;
	r->arrival_ns = doorbell_now_ns();
	r->max_tokens = sqe->max_tokens;
	copy_sampling(&r->sampling, sampling);
}

/* May s take one more of the pool? What every other session may need for its first request is not free to anyone else. */
static bool has_share(const struct queue *q, const struct session *s)
{
	bool is_holding[INTAKE_SESSION_MAX] = { false };
	uint32_t n_held = 0, n_kept = INTAKE_SESSION_MAX, n_free = QUEUE_REQUEST_MAX - q->n_live;

	for (uint32_t k = 0; k < q->n_live; k++) {
		const struct request *r = q->live[k];

		if (!r->session || r->state == REQUEST_DONE)
			continue;
		n_held += r->session == s;
		n_kept -= !is_holding[r->session->slot];
		is_holding[r->session->slot] = true;
	}
	return n_held == 0 || n_free > n_kept + n_held;
}

/* A checked text operation -> a request. false: the helper or the pool has no room yet, the entry stays. */
static bool take_prompt(struct intake *i, struct queue *q, struct session *s, const struct gyre_sqe *sqe,
			const struct geometry *g, const struct sampling *sampling)
{
	const uint8_t *arena = region_arena(&s->region);
	bool is_long = sqe->data_len > PROMPT_INLINE_MAX;
	struct prompt_job *job = is_long ? prompt_helper_get(&i->helper) : NULL;
	struct request *r;

	if (is_long && !job)
		return false;
	if (!has_share(q, s)) {
		refuse(i, s, sqe, -EBUSY);
		return true;
	}
	r = queue_get(q);
	if (!r) /* one that is done has its place until the plan of this step */
		return false;
	fill_request(r, s, sqe, sampling);
	counter_add(&i->stats.n_request, 1);
	s->region.daemon->n_request++;
	/* The one read of the prompt; the client may be writing to it. */
	memcpy(is_long ? job->data : i->text, arena + sqe->data_off, sqe->data_len);
	if (!is_long) {
		prompt_done(r, prompt_read(&i->reader, r, g, i->text, sqe->data_len, sqe->split));
		return true;
	}
	r->state = REQUEST_TEXT;
	job->request = r;
	job->geometry = *g;
	job->n = sqe->data_len;
	job->split = sqe->split;
	prompt_helper_submit(&i->helper, job);
	return true;
}

/* false: no room for what it needs; the entry stays in the SQ. */
static bool take_entry(struct intake *i, struct queue *q, struct session *s, const struct gyre_sqe *sqe)
{
	struct geometry g = i->geometry;
	struct sampling sampling;
	int r;

	if (!s->n_space)
		return false;
	g.arena_bytes = s->region.layout.arena_bytes;
	r = validate_sqe(sqe, &g);
	if (r == 0 && sqe->opcode == GYRE_OP_CANCEL)
		r = cancel(q, s, sqe->target);
	if (r < 0 || sqe->opcode == GYRE_OP_CANCEL || sqe->opcode == GYRE_OP_NOP) {
		refuse(i, s, sqe, r);
		return true;
	}
	if (load_acquire(&i->is_closed)) {
		refuse(i, s, sqe, -ESHUTDOWN);
		return true;
	}
	/* The one read of the options. */
	memcpy(i->opts, region_arena(&s->region) + sqe->opts_off, sqe->opts_len);
	r = validate_options(i->opts, sqe->opts_len, &g, &sampling);
	if (r < 0) {
		refuse(i, s, sqe, r);
		return true;
	}
	return take_prompt(i, q, s, sqe, &g, &sampling);
}

static void drain_session(struct intake *i, struct queue *q, struct session *s)
{
	struct gyre_sqe sqe;

	s->is_paused = false;
	if (s->is_broken)
		return;
	if (!session_load_space(s) || sq_consumer_load(&s->sq) < 0) {
		break_session(s);
		return;
	}
	while (sq_consumer_peek(&s->sq, &sqe)) {
		if (!take_entry(i, q, s, &sqe)) {
			s->is_paused = true;
			break;
		}
		sq_consumer_advance(&s->sq);
	}
	sq_consumer_commit(&s->sq);
	session_flush(s);
}

/* Shares each session's CQ space among its requests, oldest first. */
static void grant_space(struct intake *i, struct queue *q)
{
	uint32_t promised[INTAKE_SESSION_MAX];
	uint32_t want = GRANT_MIN + 2 * i->n_draft;

	memset(promised, 0, i->n_session * sizeof(promised[0]));
	for (uint32_t k = 0; k < q->n_live; k++) {
		struct request *r = q->live[k];
		uint32_t left;

		r->grant = 0;
		if (!r->session)
			continue;
		left = r->session->n_space - promised[r->session->slot];
		r->grant = left >= want ? want : left >= GRANT_MIN ? GRANT_MIN : 0;
		promised[r->session->slot] += r->grant;
		r->session->is_paused |= !r->grant;
	}
}

void intake_drain(struct intake *i, struct queue *q)
{
	struct prompt_job *job;

	read_mail(i, q);
	while ((job = prompt_helper_finished(&i->helper))) {
		prompt_done(job->request, job->res);
		prompt_helper_put(job);
	}
	for (uint32_t k = 0; k < i->n_session; k++)
		drain_session(i, q, i->session[(i->first + k) % i->n_session]);
	i->first++;
	grant_space(i, q);
	counter_add(&i->stats.n_step, 1);
	counter_set(&i->stats.n_session, i->n_session);
	profile_lap(PROFILE_INTAKE);
}

/* ---- waiting ---- */

/* A session that can be served: it has entries, and they are not waiting for CQ space. */
static bool has_work(struct intake *i)
{
	if (load_acquire(&i->has_mail) || prompt_helper_finished(&i->helper))
		return true;
	for (uint32_t k = 0; k < i->n_session; k++) {
		struct session *s = i->session[k];

		/* Pairs with the client's store-release of sq_tail; the value is only compared. */
		if (!s->is_paused && !s->is_broken && load_acquire(s->sq.shared_tail) != s->sq.head)
			return true;
	}
	return false;
}

static bool is_any_paused(const struct intake *i)
{
	for (uint32_t k = 0; k < i->n_session; k++)
		if (i->session[k]->is_paused)
			return true;
	return false;
}

static bool spin(struct intake *i)
{
	uint64_t end = doorbell_now_ns() + i->spin_ns;

	do {
		for (int k = 0; k < LOOKS_PER_CLOCK; k++) {
			if (has_work(i))
				return true;
			cpu_relax();
		}
	} while (doorbell_now_ns() < end);
	return false;
}

/* Sleeps until something rings. Doorbells are edges and need no reading; our own eventfd does. */
static void sleep_once(struct intake *i, int timeout_ms)
{
	struct epoll_event ev[16];
	uint64_t ignored;
	int n;

	counter_add(&i->stats.n_park, 1);
	n = epoll_wait(i->epoll_fd, ev, 16, timeout_ms);
	for (int k = 0; k < n; k++)
		if (!ev[k].data.ptr)
			(void)!read(i->wake_fd, &ignored, sizeof(ignored));
}

int intake_park(struct intake *i)
{
	bool is_paused = is_any_paused(i);

	if (spin(i)) {
		profile_lap(PROFILE_IDLE);
		return 0;
	}
	for (uint32_t k = 0; k < i->n_session; k++)
		doorbell_arm(i->session[k]->region.daemon);
	if (!has_work(i))
		sleep_once(i, is_paused ? PAUSED_POLL_MS : -1);
	for (uint32_t k = 0; k < i->n_session; k++)
		doorbell_disarm(i->session[k]->region.daemon);
	profile_lap(PROFILE_IDLE);
	return 0;
}
