#include "daemon/intake/handover.h"
#include "shm/atomic.h"

#include <unistd.h>

void handover_init(struct handover *h, int control_fd, int wake_fd, bool is_shared)
{
	*h = (struct handover){ .control_fd = control_fd, .wake_fd = wake_fd, .is_shared = is_shared };
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->seen, NULL);
}

static void ring(int fd)
{
	(void)!write(fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

/* Under the lock: nobody knows s any more but the control thread. */
static void give_back(struct handover *h, struct session *s)
{
	if (s->user)
		user_put(s->user);
	s->next = h->detached;
	h->detached = s;
	ring(h->control_fd);
}

static void post(struct handover *h, struct session **list, struct session *s)
{
	pthread_mutex_lock(&h->lock);
	s->next = *list;
	*list = s;
	store_relaxed(&h->has_mail, 1);
	pthread_mutex_unlock(&h->lock);
	ring(h->wake_fd);
}

void handover_attach(struct handover *h, struct session *s)
{
	lock_init(&s->lock, false); /* until it is in the roster nobody else takes it */
	post(h, &h->attaching, s);
}

/* A session that was never picked up is on the other list. true: it has been taken off it. */
static bool take_back(struct handover *h, struct session *s)
{
	for (struct session **p = &h->attaching; *p; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			return true;
		}
	return false;
}

void handover_detach(struct handover *h, struct session *s)
{
	bool is_back;

	pthread_mutex_lock(&h->lock);
	is_back = take_back(h, s);
	if (is_back)
		give_back(h, s);
	pthread_mutex_unlock(&h->lock);
	if (!is_back)
		post(h, &h->detaching, s);
}

struct session *handover_take_detached(struct handover *h)
{
	struct session *s;

	pthread_mutex_lock(&h->lock);
	s = h->detached;
	h->detached = NULL;
	pthread_mutex_unlock(&h->lock);
	return s;
}

bool handover_begin(struct handover *h)
{
	if (!handover_has_mail(h))
		return false;
	pthread_mutex_lock(&h->lock);
	return true;
}

static struct session *pop(struct session **list)
{
	struct session *s = *list;

	if (s)
		*list = s->next;
	return s;
}

struct session *handover_next_attached(struct handover *h)
{
	return pop(&h->attaching);
}

struct session *handover_next_detached(struct handover *h)
{
	return pop(&h->detaching);
}

void handover_let_go(struct handover *h, struct session *s)
{
	if (is_last_release(&s->n_ref))
		give_back(h, s);
}

void handover_end(struct handover *h)
{
	store_relaxed(&h->has_mail, 0);
	if (h->n_seen != h->n_call) {
		h->n_seen = h->n_call;
		pthread_cond_broadcast(&h->seen);
	}
	pthread_mutex_unlock(&h->lock);
}

void handover_await(struct handover *h, bool want_shared)
{
	uint32_t n;

	pthread_mutex_lock(&h->lock);
	h->wants_shared |= want_shared;
	n = ++h->n_call;
	store_relaxed(&h->has_mail, 1);
	ring(h->wake_fd);
	while ((int32_t)(h->n_seen - n) < 0)
		pthread_cond_wait(&h->seen, &h->lock);
	pthread_mutex_unlock(&h->lock);
}

void handover_call_control(struct handover *h)
{
	ring(h->control_fd);
}

void handover_put(struct handover *h, struct session *s)
{
	if (!is_last_release(&s->n_ref))
		return;
	pthread_mutex_lock(&h->lock);
	give_back(h, s);
	pthread_mutex_unlock(&h->lock);
}
