/*
 * What a user's streams drew lately, as one text per user: programs ask for the same again and again, with little changed. A store is
 * never looked at for another uid. It has the last STORE_TOKENS at most, in pieces as streams draw them; the users that drew last have
 * one each.
 */
#include "daemon/spec/drafter.h"
#include "daemon/spec/suffix.h"
#include "daemon/util/memory.h"
#include "daemon/util/minmax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STORE_MAX    32u
#define STORE_TOKENS 32768u
#define PIECE        32u /* tokens of a stream that are added at once: fewer would cut what can be found into shreds */
#define ADD_MAX      2048u /* tokens that are indexed in a step: 20 us */

struct store {
	uint32_t uid, n;
	uint64_t used; /* 0: nobody's */
	int32_t *token;
	struct suffix index;
};

struct stores {
	uint32_t n_stream;
	size_t bytes; /* of a store's tokens and index */
	uint64_t n_use;
	uint8_t *memory;
	struct store store[STORE_MAX];
	uint32_t n_taken[]; /* [n_stream] tokens of each stream that its user's store has, or that came in */
};

static void stores_close(void *state)
{
	struct stores *s = state;

	if (!s)
		return;
	memory_undumped_free(s->memory, STORE_MAX, s->bytes);
	free(s);
}

static int stores_open(void **state, uint32_t n_stream, uint32_t n_ctx)
{
	struct stores *s = calloc(1, sizeof(*s) + n_stream * sizeof(s->n_taken[0]));
	const size_t n_byte = STORE_TOKENS * sizeof(int32_t);

	(void)n_ctx;
	*state = s;
	if (!s)
		return -ENOMEM;
	s->n_stream = n_stream;
	s->bytes = n_byte + suffix_bytes(STORE_TOKENS);
	s->memory = memory_undumped(STORE_MAX, s->bytes);
	if (!s->memory)
		return -ENOMEM;
	for (uint32_t i = 0; i < STORE_MAX; i++) {
		s->store[i].token = (int32_t *)(void *)(s->memory + i * s->bytes);
		suffix_init(&s->store[i].index, s->memory + i * s->bytes + n_byte, STORE_TOKENS);
	}
	return 0;
}

static void stores_begin(void *state, uint32_t i)
{
	struct stores *s = state;

	s->n_taken[i] = 0;
}

/* The uid's; or that of whoever has not used one for longest, emptied. */
static struct store *store_of(struct stores *s, uint32_t uid)
{
	struct store *oldest = &s->store[0], *found = NULL;

	for (uint32_t i = 0; i < STORE_MAX && !found; i++) {
		struct store *t = &s->store[i];

		if (t->used && t->uid == uid)
			found = t;
		else if (t->used < oldest->used)
			oldest = t;
	}
	if (!found) {
		found = oldest;
		explicit_bzero(found->token, found->n * sizeof(found->token[0]));
		suffix_clear(&found->index);
		found->uid = uid;
		found->n = 0;
	}
	found->used = ++s->n_use;
	return found;
}

/* When it is full the older half goes, and the rest is indexed again. */
static void put(struct store *t, const int32_t *token, uint32_t n)
{
	if (t->n + n > STORE_TOKENS) {
		memmove(t->token, t->token + t->n - STORE_TOKENS / 2, STORE_TOKENS / 2 * sizeof(t->token[0]));
		t->n = STORE_TOKENS / 2;
		suffix_clear(&t->index);
	}
	memcpy(t->token + t->n, token, n * sizeof(token[0]));
	t->n += n;
}

/* What r has drawn since, once it is a piece; its prompt is not taken. */
static void take(struct stores *s, struct store *t, uint32_t i, const struct request *r)
{
	uint32_t n = r->kept.n_token, from = max_u32(s->n_taken[i], r->kept.n_prompt);

	if (n < from + PIECE)
		return;
	from = max_u32(from, n - min_u32(n, STORE_TOKENS / 2));
	put(t, r->token + from, n - from);
	s->n_taken[i] = n;
}

static void stores_propose(void *state, uint32_t i, const struct request *r, uint32_t most, struct guess *g)
{
	struct stores *s = state;
	struct store *t = store_of(s, r->user->uid);
	struct suffix_match m;
	bool is_whole;

	take(s, t, i, r);
	g->n = 0;
	is_whole = suffix_add(&t->index, t->token, t->n, ADD_MAX);
	if (!is_whole || !suffix_find(&t->index, t->token, r->token, r->kept.n_token, &m))
		return;
	for (uint32_t at = m.from; g->n < most && at < t->n; at++, g->n++) {
		g->token[g->n] = t->token[at];
		g->kind[g->n] = (uint8_t)chance_kind(m.length + g->n, m.is_alone);
	}
}

const struct drafter drafter_store = { "store", stores_open, stores_close, stores_begin, stores_propose };
