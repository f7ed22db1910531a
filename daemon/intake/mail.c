#include "daemon/intake/mail.h"
#include "shm/atomic.h"

#include <sys/epoll.h>
#include <unistd.h>

/* Under mail_lock: nobody knows s any more but the control thread. */
static void give_back(struct intake *i, struct session *s)
{
	if (s->user)
		user_put(s->user);
	s->next = i->detached;
	i->detached = s;
	(void)!write(i->control_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static void post(struct intake *i, struct session **list, struct session *s)
{
	pthread_mutex_lock(&i->mail_lock);
	s->next = *list;
	*list = s;
	store_release(&i->has_mail, 1);
	pthread_mutex_unlock(&i->mail_lock);
	intake_wake(i);
}

void intake_attach(struct intake *i, struct session *s)
{
	lock_init(&s->lock, i->n_queue > 1);
	post(i, &i->attaching, s);
}

void intake_detach(struct intake *i, struct session *s)
{
	/* A session that was never picked up: it is on the other list, and both are read attach first. */
	pthread_mutex_lock(&i->mail_lock);
	for (struct session **p = &i->attaching; *p; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			give_back(i, s);
			pthread_mutex_unlock(&i->mail_lock);
			return;
		}
	pthread_mutex_unlock(&i->mail_lock);
	post(i, &i->detaching, s);
}

struct session *intake_take_detached(struct intake *i)
{
	struct session *s;

	pthread_mutex_lock(&i->mail_lock);
	s = i->detached;
	i->detached = NULL;
	pthread_mutex_unlock(&i->mail_lock);
	return s;
}

/* Into, and out of, the circle of its user's sessions. */
static void link_session(struct intake *i, struct session *s)
{
	struct user *u = s->user = user_get(&i->users, s->uid);

	s->before = s->after = s;
	if (u->turn) {
		s->after = u->turn;
		s->before = u->turn->before;
		s->before->after = s->after->before = s;
	}
	u->turn = s; /* a newcomer is looked at next */
	i->n_user += !u->n_session++;
}

static void unlink_session(struct intake *i, struct session *s)
{
	struct user *u = s->user;

	s->before->after = s->after;
	s->after->before = s->before;
	if (u->turn == s)
		u->turn = s->after == s ? NULL : s->after;
	i->n_user -= !--u->n_session;
}

static void admit_session(struct intake *i, struct session *s)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = s };

	s->slot = i->n_session;
	i->session[i->n_session++] = s;
	link_session(i, s);
	if (epoll_ctl(i->epoll_fd, EPOLL_CTL_ADD, s->doorbell_fd, &ev) < 0)
		session_break(s);
}

/* false: others still hold it. */
static bool is_last_ref(struct session *s)
{
	return __atomic_sub_fetch(&s->n_ref, 1, __ATOMIC_ACQ_REL) == 0;
}

/* Under mail_lock. Its requests are the engines': each ends them when it sees that the session is gone. */
static void drop_session(struct intake *i, struct session *s)
{
	store_release(&s->is_gone, 1); /* pairs with the load in grant_space */
	epoll_ctl(i->epoll_fd, EPOLL_CTL_DEL, s->doorbell_fd, NULL);
	i->session[s->slot] = i->session[--i->n_session];
	i->session[s->slot]->slot = s->slot;
	unlink_session(i, s);
	if (s->job)
		helper_put(&i->helper, s->job);
	s->job = NULL;
	if (is_last_ref(s))
		give_back(i, s);
}

void mail_read(struct intake *i)
{
	struct session *s;

	if (!load_acquire(&i->has_mail))
		return;
	/* To the end under the lock: a session just admitted may be put on the other list as soon as it is free. */
	pthread_mutex_lock(&i->mail_lock);
	for (; (s = i->attaching); admit_session(i, s))
		i->attaching = s->next;
	while ((s = i->detaching)) {
		i->detaching = s->next;
		drop_session(i, s);
	}
	store_release(&i->has_mail, 0);
	pthread_mutex_unlock(&i->mail_lock);
}

void mail_let_go(struct intake *i, struct request *r)
{
	struct session *s = r->session;

	lock_take(&s->lock);
	session_leave_place(s, r);
	session_unlink(s, r);
	lock_drop(&s->lock);
	request_pool_put(&i->pool, r);
	if (!is_last_ref(s))
		return;
	pthread_mutex_lock(&i->mail_lock);
	give_back(i, s);
	pthread_mutex_unlock(&i->mail_lock);
}
