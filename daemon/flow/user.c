#include "daemon/flow/user.h"
#include "shm/atomic.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define SECOND_NS 1000000000ull

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
		struct user *u = &t->user[i];

		if (u->uid == uid)
			return u;
		if (!u->n_ref && (!empty || load_relaxed64(&u->paid_ns) <= load_relaxed64(&empty->paid_ns)))
			empty = u;
	}
	if (empty && (!load_relaxed64(&empty->paid_ns) || t->n == USER_MAX))
		return empty;
	assert(t->n < USER_MAX);
	t->user[t->n].index = t->n;
	return &t->user[t->n++];
}

struct user *user_get(struct user_table *t, uint32_t uid)
{
	struct user *u = find_slot(t, uid);

	if (!u->n_ref++) {
		assert(!u->n_session && !u->n_request && !u->n_position);
		if (u->uid != uid) {
			store_relaxed64(&u->paid_ns, 0);
			store_relaxed64(&u->used_ns, 0);
		}
		u->uid = uid;
		store_relaxed(&u->may_outrank, may_outrank(t, uid));
	}
	return u;
}

void user_set_outrank(struct user_table *t, uint32_t n, const uint32_t *uid)
{
	assert(n <= USER_OUTRANK_MAX);
	t->n_outrank = n;
	memcpy(t->outrank, uid, n * sizeof(*uid));
	for (uint32_t i = 0; i < t->n; i++)
		store_relaxed(&t->user[i].may_outrank, may_outrank(t, t->user[i].uid));
}

void user_put(struct user *u)
{
	assert(u->n_ref);
	u->n_ref--;
}

void user_charge(struct user *u, uint32_t rate, uint32_t n, uint64_t now_ns)
{
	uint64_t old, paid;

	if (!rate || !n)
		return;
	old = load_relaxed64(&u->paid_ns);
	do
		paid = (old > now_ns ? old : now_ns) + n * SECOND_NS / rate;
	while (!compare_swap64(&u->paid_ns, &old, paid));
}

uint64_t user_wait_ns(const struct user *u, uint64_t now_ns)
{
	uint64_t paid = load_relaxed64(&u->paid_ns), saved = now_ns + USER_RATE_SECONDS * SECOND_NS;

	return paid > saved ? paid - saved : 0;
}

uint32_t user_count_extra(const struct user_table *t, uint32_t model)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		n += load_relaxed(&t->user[i].n_extra[model]);
	return n;
}
