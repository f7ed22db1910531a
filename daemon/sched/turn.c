#include "daemon/sched/turn.h"
#include "daemon/sched/blocks.h"
#include "daemon/util/minmax.h"

#include <string.h>

#define KEY_USER     53 /* of a request's key: user, is not the one that grows, priority, ticket */
#define KEY_GROWS    52
#define KEY_PRIORITY 44
#define KEY_BELOW \
	63 /* of a user's: does not outrank others, virtual time: a double that is not negative sorts as its bits do */

_Static_assert(USER_MAX <= 1u << (64 - KEY_USER), "a user in a key");

/* ---- the census ---- */

static void count_in(struct sched *s, const struct queue *q, uint32_t i)
{
	const struct request *r = q->live[i];
	struct sched_user *u = &s->user[r->user->index];

	if (request_is_pinned(r)) {
		u->n_pinned += blocks_held(r);
		s->n_pinned += blocks_held(r);
		s->n_slot_pinned += r->kept.has_slot;
		return;
	}
	u->slot.n += r->kept.has_slot;
	if (r->kept.state == REQUEST_KEPT) {
		u->n_kept += blocks_held(r) + r->kept.has_slot;
		s->n_kept += blocks_held(r) + r->kept.has_slot;
	}
	if (!is_eligible(r) || !r->has_claim || !r->grant)
		return;
	if (!u->n_rank++ || r->kept.priority < q->live[u->oldest]->kept.priority)
		u->oldest = i;
	u->n_prompt += request_rows_left(r) > 1;
	u->n_wanted += request_rows_left(r);
	u->is_above |= r->is_above;
	u->weight = max_u32(u->weight, max_u32(r->weight, 1));
	s->rank[s->n_rank++].item = i;
}

/* Those that may run come first. */
static void list_users(struct sched *s)
{
	for (uint32_t i = 0; i < s->n_who; i++) {
		struct sched_rank v = s->who[i];

		if (!s->user[v.item].n_rank)
			continue;
		s->n_above += s->user[v.item].is_above;
		s->who[i] = s->who[s->n_user];
		s->who[s->n_user++] = v;
	}
}

void turn_take_census(struct sched *s, const struct queue *q)
{
	for (uint32_t i = 0; i < s->n_who; i++) {
		struct sched_user *u = &s->user[s->who[i].item];

		*u = (struct sched_user){ .virtual_ns = u->virtual_ns,
					  .n_waited = u->n_prompt ? u->n_waited + 1 : 0,
					  .is_hungry = u->n_rank ? u->n_wanted > u->n_taken : u->is_hungry };
	}
	s->n_rank = s->n_user = s->n_above = s->n_who = s->n_kept = 0;
	s->n_pinned = s->n_slot_pinned = 0;
	for (uint32_t i = 0; i < q->n_live; i++) {
		uint32_t user = q->live[i]->user->index;

		if (!s->user[user].n_live++)
			s->who[s->n_who++].item = user;
		count_in(s, q, i);
	}
	for (uint32_t i = 0; i < s->n_who; i++)
		blocks_count(s, s->who[i].item);
	list_users(s);
}

/* ---- order ---- */

/* Where the ascending run that begins at i ends. */
static uint32_t run_end(const struct sched_rank *a, uint32_t i, uint32_t n)
{
	for (i++; i < n && a[i - 1].key <= a[i].key; i++)
		;
	return i;
}

static void merge(struct sched_rank *to, const struct sched_rank *a, uint32_t n_a, const struct sched_rank *b,
		  uint32_t n_b)
{
	while (n_a && n_b)
		if (b->key < a->key) {
			*to++ = *b++;
			n_b--;
		} else {
			*to++ = *a++;
			n_a--;
		}
	memcpy(to, a, n_a * sizeof(*a));
	memcpy(to + n_a, b, n_b * sizeof(*b));
}

/* Merges the ascending runs there are, pair by pair, until there is one: often it is one at once. qsort may allocate. */
static void sort_by_key(struct sched_rank *a, struct sched_rank *spare, uint32_t n)
{
	while (run_end(a, 0, n) < n) {
		for (uint32_t i = 0; i < n;) {
			uint32_t mid = run_end(a, i, n), end = mid < n ? run_end(a, mid, n) : n;

			merge(spare + i, a + i, mid - i, a + mid, end - mid);
			i = end;
		}
		memcpy(a, spare, n * sizeof(*a));
	}
}

static uint64_t request_key(const struct sched *s, const struct request *r)
{
	return (uint64_t)r->user->index << KEY_USER | (uint64_t)(r->arrival != s->grower) << KEY_GROWS |
	       (uint64_t)r->kept.priority << KEY_PRIORITY | (r->ticket & ((1ull << KEY_PRIORITY) - 1));
}

static uint64_t user_key(const struct sched_user *u)
{
	uint64_t bits;

	memcpy(&bits, &u->virtual_ns, sizeof(bits));
	return (uint64_t)!u->is_above << KEY_BELOW | bits;
}

void turn_sort(struct sched *s, const struct queue *q)
{
	for (uint32_t i = 0; i < s->n_rank; i++)
		s->rank[i].key = request_key(s, q->live[s->rank[i].item]);
	sort_by_key(s->rank, s->spare, s->n_rank);
	for (uint32_t i = 0; i < s->n_rank; i += s->user[q->live[s->rank[i].item]->user->index].n_rank)
		s->user[q->live[s->rank[i].item]->user->index].first = i;
	for (uint32_t i = 0; i < s->n_user; i++)
		s->who[i].key = user_key(&s->user[s->who[i].item]);
	sort_by_key(s->who, s->spare, s->n_user);
}

static void note_last(struct sched *s, uint32_t user)
{
	if (s->last[0].user != user)
		s->last[1] = s->last[0];
	s->last[0] = (struct sched_served){ s->now_ns, user };
}

void turn_note_served(struct sched *s, const struct batch *b)
{
	for (uint32_t i = 0; i < b->n_seq; i++)
		note_last(s, b->seq[i].request->user->index);
}
