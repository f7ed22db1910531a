#include "daemon/team/share.h"
#include "shm/atomic.h"

#include <assert.h>

#define TAKEN_BITS 16
#define SHARE_BITS 16

_Static_assert(SHARE_PIECE_MAX < 1u << TAKEN_BITS, "pieces fit their bits");

void share_run(struct share_slot *slot, int worker, uint32_t run)
{
	slot[worker].run = run;
	slot[worker].n_share = 0;
}

void share_begin(struct share *s, struct share_slot *slot, const struct team *t, int worker, size_t n_items,
		 size_t n_piece)
{
	const struct team_node *node = team_node(t, worker);
	struct share_slot *own = &slot[worker];

	assert(n_piece >= 1 && n_piece <= SHARE_PIECE_MAX && own->n_share < 1u << SHARE_BITS);
	*s = (struct share){ .slot = slot + node->first,
			     .n_worker = node->n,
			     .worker = worker - node->first,
			     .tag = (uint64_t)own->run << SHARE_BITS | own->n_share++,
			     .n_items = n_items,
			     .n_piece = n_piece };
}

/*
 * The number of a piece that is now ours, or n when none is left. A word of an earlier share-out counts as none taken: a
 * barrier lies between, so nobody works on that one any more. Relaxed: barriers order what pieces read and write.
 */
static size_t take(uint64_t *taken, uint64_t tag, size_t n)
{
	uint64_t old = load_relaxed64(taken), next;

	do {
		next = old >> TAKEN_BITS == tag ? old : tag << TAKEN_BITS;
		if ((next & ((1u << TAKEN_BITS) - 1)) >= n)
			return n;
	} while (!compare_swap64(taken, &old, next + 1));
	return next & ((1u << TAKEN_BITS) - 1);
}

bool share_next(struct share *s, size_t *begin, size_t *end)
{
	for (; s->n_seen < s->n_worker; s->n_seen++) {
		int owner = (s->worker + s->n_seen) % s->n_worker;
		size_t first, last, n, i;

		team_range(s->n_items, s->n_worker, owner, 1, &first, &last);
		n = last - first < s->n_piece ? last - first : s->n_piece;
		if (s->n_piece == 1) { /* own range, and only that */
			s->n_seen = s->n_worker;
			*begin = first;
			*end = last;
			return first < last;
		}
		i = take(&s->slot[owner].taken, s->tag, n);
		if (i == n)
			continue;
		team_range(last - first, (int)n, (int)i, 1, begin, end);
		*begin += first;
		*end += first;
		return true;
	}
	return false;
}
