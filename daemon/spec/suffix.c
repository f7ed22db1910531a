#include "daemon/spec/suffix.h"
#include "daemon/util/minmax.h"

#include <string.h>

#define WEIGHT_MAX 20u /* of a match that is so many tokens longer than the shortest, or more */

static uint32_t head_count(uint32_t n_max)
{
	uint32_t n = 64;

	while (n < n_max && n < 1u << 30)
		n *= 2;
	return n;
}

size_t suffix_bytes(uint32_t n_max)
{
	return (2 * (size_t)head_count(n_max) + n_max) * sizeof(uint32_t);
}

void suffix_init(struct suffix *s, void *memory, uint32_t n_max)
{
	uint32_t n = head_count(n_max), *p = memory;

	*s = (struct suffix){ .n_head = n, .head = p, .far = p + n, .earlier = p + 2 * (size_t)n };
}

void suffix_clear(struct suffix *s)
{
	memset(s->head, 0, 2 * (size_t)s->n_head * sizeof(s->head[0]));
	s->n = 0;
}

/* Of the n tokens before `end`. */
static uint32_t hash(const struct suffix *s, const int32_t *end, uint32_t n)
{
	uint64_t h = n;

	for (uint32_t i = 1; i <= n; i++)
		h = (h ^ (uint32_t)end[-(ptrdiff_t)i]) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 32) & (s->n_head - 1);
}

/* The place behind its i-th token, i > 0. */
static void add_place(struct suffix *s, const int32_t *token, uint32_t i)
{
	if (i >= SUFFIX_MIN) {
		uint32_t *head = &s->head[hash(s, token + i, SUFFIX_MIN)];

		s->earlier[i - 1] = *head;
		*head = i;
	}
	if (i >= SUFFIX_LONG)
		s->far[hash(s, token + i, SUFFIX_LONG)] = i;
}

/* The place behind the last token is added with the one that follows it: whoever looks for it would find itself. */
bool suffix_add(struct suffix *s, const int32_t *token, uint32_t n, uint32_t most)
{
	uint32_t end = n > s->n && n - s->n > most ? s->n + most : n;

	for (; s->n < end; s->n++)
		if (s->n)
			add_place(s, token, s->n);
	return s->n == n;
}

/* Tokens before both ends that are the same. */
static uint32_t match_length(const int32_t *token, uint32_t place, const int32_t *tail, uint32_t n_tail)
{
	uint32_t most = min_u32(min_u32(place, n_tail), SUFFIX_MAX), k = 0;

	while (k < most && token[place - 1 - k] == tail[n_tail - 1 - k])
		k++;
	return k;
}

struct vote {
	int32_t token;
	uint64_t weight;
	struct suffix_match best;
};

/* A match that is longer by one weighs as much as four. */
static void count(struct vote *vote, uint32_t *n_vote, int32_t next, uint32_t place, uint32_t length)
{
	uint32_t i = 0;

	while (i < *n_vote && vote[i].token != next)
		i++;
	if (i == *n_vote)
		vote[(*n_vote)++] = (struct vote){ .token = next };
	vote[i].weight += 1ull << 2 * min_u32(length - SUFFIX_MIN, WEIGHT_MAX);
	if (length > vote[i].best.length)
		vote[i].best = (struct suffix_match){ .from = place, .length = length };
}

bool suffix_find(const struct suffix *s, const int32_t *token, const int32_t *tail, uint32_t n_tail,
		 struct suffix_match *m)
{
	struct vote vote[SUFFIX_PLACE + 1], *best = vote;
	uint32_t n_vote = 0, place, length;

	if (n_tail < SUFFIX_MIN)
		return false;
	place = s->head[hash(s, tail + n_tail, SUFFIX_MIN)];
	for (uint32_t i = 0; place && i < SUFFIX_PLACE; i++, place = s->earlier[place - 1]) {
		length = match_length(token, place, tail, n_tail);
		if (length >= SUFFIX_MIN)
			count(vote, &n_vote, token[place], place, length);
	}
	place = n_tail >= SUFFIX_LONG ? s->far[hash(s, tail + n_tail, SUFFIX_LONG)] : 0;
	length = place ? match_length(token, place, tail, n_tail) : 0;
	if (length >= SUFFIX_LONG)
		count(vote, &n_vote, token[place], place, length);
	for (uint32_t i = 1; i < n_vote; i++)
		if (vote[i].weight > best->weight)
			best = &vote[i];
	if (!n_vote)
		return false;
	*m = best->best;
	m->is_alone = n_vote == 1;
	return true;
}
