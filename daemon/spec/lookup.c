/*
 * Prompt look-up: if the last tokens of a stream stood earlier in the same stream, what followed them there is guessed to follow
 * again. The latest such place is taken: what a stream repeats, it tends to repeat as it did last.
 */
#include "daemon/spec/drafter.h"
#include "daemon/util/minmax.h"

#include <string.h>

#define NGRAM  3u    /* tokens that must match: shorter ones guess wrong too often */
#define WINDOW 4096u /* how far back to look */

/* Where what follows token[0, n) may be found: an index < n, or n if there is none. */
static uint32_t find(const int32_t *token, uint32_t n)
{
	const int32_t *suffix;
	uint32_t end;

	if (n <= NGRAM)
		return n;
	suffix = token + n - NGRAM;
	end = n > WINDOW ? n - WINDOW : 0;
	for (uint32_t i = n - NGRAM; i-- > end;)
		if (!memcmp(token + i, suffix, NGRAM * sizeof(*token)))
			return i + NGRAM;
	return n;
}

static uint32_t propose(const int32_t *token, uint32_t n, int32_t *guess, uint32_t most)
{
	uint32_t from;

	if (!most)
		return 0;
	from = find(token, n);
	most = min_u32(most, n - from);
	memcpy(guess, token + from, most * sizeof(*guess));
	return most;
}

const struct drafter drafter_lookup = { "lookup", propose };
