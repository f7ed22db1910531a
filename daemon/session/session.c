#include "daemon/session/session.h"
#include "daemon/util/counter.h"
#include "shm/atomic.h"
#include "shm/clock.h"
#include "shm/doorbell.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* One request's outcome in a step takes up to four entries (a token in two pieces, held-back bytes, the last). */
#define CQ_ENTRIES_MIN 8u

int session_new(struct session **sp, struct served *served, int socket_fd, uid_t uid, const struct abi_hello *hello)
{
	struct region_layout layout;
	struct session *s;
	int r;

	r = region_layout_init(&layout, hello->sq_entries, hello->cq_entries, hello->arena_bytes);
	if (r < 0)
		return r;
	if (layout.cq_entries < CQ_ENTRIES_MIN)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->served = served;
	s->n_piece = served ? served->geometry.n_piece : 0;
	s->generation = served ? served->generation : 0;
	s->geometry = served ? served->geometry : (struct geometry){ 0 };
	s->geometry.arena_bytes = layout.arena_bytes;
	s->socket_fd = -1;
	s->doorbell_fd = -1;
	s->n_ref = 1;
	r = region_create(&s->region, &layout);
	if (r < 0) {
		free(s);
		return r;
	}
	s->doorbell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->doorbell_fd < 0) {
		r = -errno;
		session_free(s);
		return r;
	}
	sq_consumer_init(&s->sq, &s->region);
	cq_producer_init(&s->cq, &s->region);
	s->socket_fd = socket_fd;
	s->kept.uid = uid;
	*sp = s;
	return 0;
}

struct session *session_free(struct session *s)
{
	if (!s)
		return NULL;
	if (s->socket_fd >= 0)
		close(s->socket_fd);
	if (s->doorbell_fd >= 0)
		close(s->doorbell_fd);
	region_deinit(&s->region);
	free(s);
	return NULL;
}

void session_set_limits(struct session *s, const struct gyre_limits *l, uint32_t weight)
{
	store_relaxed(&s->weight, weight);
	store_relaxed64(&s->limits.arena_bytes, l->arena_bytes);
	store_relaxed(&s->limits.n_session, l->n_session);
	store_relaxed(&s->limits.n_request, l->n_request);
	store_relaxed(&s->limits.n_position, l->n_position);
	store_relaxed(&s->limits.tokens_a_second, l->tokens_a_second);
	store_relaxed(&s->limits.priority, l->priority);
	store_relaxed(&s->limits.n_pinned, l->n_pinned);
}

void session_break(struct session *s)
{
	s->kept.is_broken = true;
	shutdown(s->socket_fd, SHUT_RDWR);
}

bool session_load_space(struct session *s)
{
	return cq_producer_space(&s->cq) >= 0;
}

/* CQ entries free and promised to nobody, as of the last load. */
static uint32_t space(const struct session *s)
{
	return s->cq.entries - (s->cq.tail - s->cq.head) - s->n_promised;
}

uint32_t session_promise(struct session *s, uint32_t most, uint32_t least)
{
	uint32_t n;

	if (space(s) < most)
		(void)session_load_space(s); /* a lie is seen by the next drain */
	n = space(s);
	n = n >= most ? most : n >= least ? n : 0;
	s->n_promised += n;
	return n;
}

void session_unpromise(struct session *s, uint32_t n)
{
	assert(n <= s->n_promised);
	s->n_promised -= n;
}

struct gyre_cqe *session_complete(struct session *s, uint64_t user_data, uint8_t **result)
{
	struct gyre_cqe *cqe;

	if (!space(s))
		return NULL;
	cqe = cq_producer_reserve(&s->cq, result);
	if (!cqe)
		return NULL;
	s->is_touched = true;
	cqe->user_data = user_data;
	cqe->token = -1;
	cqe->time_ns = clock_ns();
	return cqe;
}

void session_put_bytes(struct gyre_cqe *cqe, uint8_t *result, const void *p, uint32_t n)
{
	cqe->n_bytes = (uint16_t)n;
	if (n > GYRE_CQE_INLINE_BYTES) {
		cqe->flags |= GYRE_CQE_EXT;
		memcpy(result, p, n);
	} else {
		memcpy(cqe->bytes, p, n);
	}
}

void session_answer(struct session *s, uint64_t user_data, int res, const struct words *w)
{
	uint8_t *result;
	struct gyre_cqe *cqe = session_complete(s, user_data, &result);

	cqe->res = res;
	if (res < 0)
		session_put_bytes(cqe, result, w->text, w->n);
}

void session_link(struct session *s, struct request *r)
{
	r->older = s->youngest;
	r->younger = NULL;
	if (r->older)
		r->older->younger = r;
	s->youngest = r;
}

void session_unlink(struct session *s, struct request *r)
{
	counter_add(&s->n_done, 1);
	if (r->younger)
		r->younger->older = r->older;
	else
		s->youngest = r->older;
	if (r->older)
		r->older->younger = r->younger;
}

void session_leave_place(struct session *s, struct request *r)
{
	if (r->place != REQUEST_NOWHERE)
		fetch_add(&r->user->n_request, -1u);
	if (r->place == REQUEST_OWN_PLACE)
		store_relaxed(&s->has_own, 0);
	else if (r->place == REQUEST_SHARED_PLACE)
		fetch_add(&r->user->n_extra[s->served->index], -1u);
	r->place = REQUEST_NOWHERE;
}

bool session_flush(struct session *s)
{
	bool is_touched;
	int is_parked;

	lock_take(&s->lock);
	is_touched = s->is_touched;
	s->is_touched = false;
	if (is_touched)
		cq_producer_commit(&s->cq);
	lock_drop(&s->lock);
	/* Never blocking: if the buffer is full, the client has unread wake-ups already. */
	is_parked = is_touched ? doorbell_wake_client(s->region.client, s->region.daemon) : 0;
	if (is_parked == GYRE_PARKED_SOCKET)
		(void)!send(s->socket_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	return is_parked;
}
