#include "daemon/control/connections.h"
#include "shm/atomic.h"

#include <unistd.h>

void connections_init(struct connections *t)
{
	for (uint32_t i = 0; i < CONNECTION_MAX; i++)
		t->at[i] = (struct connection){ .fd = -1 };
}

void connections_close(struct connections *t)
{
	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		struct connection *n = &t->at[i];

		if (n->session)
			session_free(n->session); /* closes the socket, too */
		else if (n->fd >= 0)
			close(n->fd);
		n->session = NULL;
		n->fd = -1;
	}
}

struct connection *connections_find_free(struct connections *t)
{
	for (uint32_t i = 0; i < CONNECTION_MAX; i++)
		if (t->at[i].fd < 0)
			return &t->at[i];
	return NULL;
}

void connections_forget(struct connections *t, const struct session *s)
{
	for (uint32_t i = 0; i < CONNECTION_MAX; i++)
		if (t->at[i].fd >= 0 && t->at[i].session == s)
			t->at[i] = (struct connection){ .fd = -1 };
}

struct connection_count connections_count(const struct connections *t, uid_t uid, bool is_session)
{
	struct connection_count all = { 0 };

	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		const struct connection *n = &t->at[i];

		if (n->fd < 0 || (is_session && !n->session))
			continue;
		all.n++;
		all.n_own += n->uid == uid;
	}
	return all;
}

struct budget_use connections_bytes(const struct connections *t, uid_t uid)
{
	struct budget_use use = { 0 };

	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		const struct connection *n = &t->at[i];
		uint64_t bytes = n->fd >= 0 && n->session ? region_bytes(&n->session->region.layout) : 0;

		use.all += bytes;
		use.own += n->uid == uid ? bytes : 0;
	}
	return use;
}

uint32_t connections_unread_of(const struct session *s)
{
	uint32_t n = load_relaxed(&s->region.client->sq_tail) - load_relaxed(&s->region.daemon->sq_head);

	return n < s->region.layout.sq_entries ? n : s->region.layout.sq_entries;
}

uint64_t connections_unread(const struct connections *t)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < CONNECTION_MAX; i++)
		if (t->at[i].fd >= 0 && t->at[i].session)
			n += connections_unread_of(t->at[i].session);
	return n;
}

bool connections_have_unread(const struct connections *t)
{
	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		const struct session *s = t->at[i].fd >= 0 ? t->at[i].session : NULL;

		if (s && load_relaxed(&s->region.client->sq_tail) != load_relaxed(&s->region.daemon->sq_head))
			return true;
	}
	return false;
}
