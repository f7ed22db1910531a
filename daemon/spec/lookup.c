/* Prompt look-up: where the last tokens of a stream stood earlier in the same stream, what followed them is guessed to follow again. */
#include "daemon/spec/drafter.h"
#include "daemon/spec/suffix.h"
#include "daemon/util/memory.h"

#include <errno.h>
#include <stdlib.h>

#define ADD_MAX 2048u /* tokens of a prompt in a step: 20 us */

struct lookup {
	uint32_t n_stream;
	size_t bytes; /* of a stream's index */
	uint8_t *memory;
	struct suffix index[];
};

static void lookup_close(void *state)
{
	struct lookup *l = state;

	if (!l)
		return;
	memory_undumped_free(l->memory, l->n_stream, l->bytes);
	free(l);
}

static int lookup_open(void **state, uint32_t n_stream, uint32_t n_ctx)
{
	struct lookup *l = calloc(1, sizeof(*l) + n_stream * sizeof(l->index[0]));

	*state = l;
	if (!l)
		return -ENOMEM;
	l->n_stream = n_stream;
	l->bytes = suffix_bytes(n_ctx);
	l->memory = memory_undumped(n_stream, l->bytes);
	if (!l->memory)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_stream; i++)
		suffix_init(&l->index[i], l->memory + i * l->bytes, n_ctx);
	return 0;
}

static void lookup_begin(void *state, uint32_t i)
{
	struct lookup *l = state;

	suffix_clear(&l->index[i]);
}

/* A match that reaches the stream's end goes on with its own guesses: that is how a loop goes on. */
static void lookup_propose(void *state, uint32_t i, const struct request *r, uint32_t most, struct guess *g)
{
	struct lookup *l = state;
	const int32_t *token = r->token;
	uint32_t n = r->kept.n_token;
	struct suffix_match m;

	g->n = 0;
	if (!suffix_add(&l->index[i], token, n, ADD_MAX) || !suffix_find(&l->index[i], token, token, n, &m))
		return;
	for (uint32_t at = m.from; g->n < most; at++, g->n++) {
		g->token[g->n] = at < n ? token[at] : g->token[at - n];
		g->kind[g->n] = (uint8_t)chance_kind(m.length + g->n, m.is_alone);
	}
}

const struct drafter drafter_lookup = { "lookup", lookup_open, lookup_close, lookup_begin, lookup_propose };
