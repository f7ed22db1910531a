#include "daemon/intake/session.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* One request's outcome in a step takes up to four entries (a token in two pieces, held-back bytes, the last). */
#define CQ_ENTRIES_MIN 8u

int session_new(struct session **sp, int socket_fd, const struct ucred *peer, const struct abi_hello *hello)
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
	s->socket_fd = -1;
	s->doorbell_fd = -1;
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
	s->uid = peer->uid;
	s->gid = peer->gid;
	s->pid = peer->pid;
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

bool session_load_space(struct session *s)
{
	int n;

	if (s->is_broken)
		return false;
	n = cq_producer_space(&s->cq);
	if (n < 0) {
		s->is_broken = true;
		s->n_space = 0;
		return false;
	}
	s->n_space = (uint32_t)n;
	return true;
}

struct gyre_cqe *session_complete(struct session *s, uint64_t user_data, uint8_t **result)
{
	struct gyre_cqe *cqe;

	if (!s->n_space)
		return NULL;
	cqe = cq_producer_reserve(&s->cq, result);
	if (!cqe)
		return NULL;
	s->n_space--;
	s->is_touched = true;
	cqe->user_data = user_data;
	cqe->token = -1;
	cqe->time_ns = doorbell_now_ns();
	return cqe;
}

void session_flush(struct session *s)
{
	if (!s->is_touched)
		return;
	s->is_touched = false;
	cq_producer_commit(&s->cq);
	/* Never blocking: if the buffer is full, the client has unread wake-ups already. */
	if (doorbell_wake_client(s->region.client, s->region.daemon) == 1)
		(void)!send(s->socket_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}
