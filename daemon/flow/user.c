#include "daemon/flow/user.h"
#include "shm/atomic.h"

#include <assert.h>
#include <stddef.h>

static bool may_outrank(const struct user_table *t, uint32_t uid)
{
	for (uint32_t i = 0; i < t->n_outrank; i++)
		if (t->outrank[i] == uid)
			return true;
	return false;
}

static struct user *find_slot(struct user_table *t, uint32_t uid)
{
	struct user *empty = NULL;

	for (uint32_t i = t->n; i-- > 0;) {
		if (t->user[i].n_ref && t->user[i].uid == uid)
			return &t->user[i];
		if (!t->user[i].n_ref)
			empty = &t->user[i];
	}
	if (empty)
		return empty;
	assert(t->n < USER_MAX);
	t->user[t->n].index = t->n;
	return &t->user[t->n++];
}

struct user *user_get(struct user_table *t, uint32_t uid)
{
	struct user *u = find_slot(t, uid);

	if (!u->n_ref++) {
		assert(!u->n_session);
		u->uid = uid;
		u->may_outrank = may_outrank(t, uid);
	}
	return u;
}

void user_put(struct user *u)
{
	assert(u->n_ref);
	u->n_ref--;
}

uint32_t user_count_extra(const struct user_table *t, uint32_t model)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		n += load_relaxed(&t->user[i].n_extra[model]);
	return n;
}
