#include "daemon/spec/spec.h"
#include "daemon/util/counter.h"
#include "daemon/util/minmax.h"
#include "daemon/util/profile.h"

#include <string.h>

void spec_init(struct spec *s, uint32_t n_draft, uint32_t n_ctx, uint32_t n_row, uint32_t block_len, uint32_t n_piece)
{
	*s = (struct spec){
		.n_draft = n_draft, .n_ctx = n_ctx, .n_row = n_row, .block_len = block_len, .n_piece = n_piece
	};
}

uint32_t spec_lookup(const int32_t *token, uint32_t n)
{
	const int32_t *suffix;
	uint32_t end;

	if (n <= SPEC_NGRAM)
		return n;
	suffix = token + n - SPEC_NGRAM;
	end = n > SPEC_WINDOW ? n - SPEC_WINDOW : 0;
	for (uint32_t i = n - SPEC_NGRAM; i-- > end;)
		if (!memcmp(token + i, suffix, SPEC_NGRAM * sizeof(*token)))
			return i + SPEC_NGRAM;
	return n;
}

/* How many guesses this sequence has room for: in its blocks, its CQ, its context and its limit. */
static uint32_t room_for(const struct spec *s, const struct request *r)
{
	uint32_t covered = r->n_block * s->block_len, n_generated = r->n_token - r->n_prompt;
	uint32_t n = min_u32(r->n_draft, (r->grant - REQUEST_END_PIECES) / s->n_piece - 1);

	if (covered <= r->n_token || s->n_ctx <= r->n_token + 1)
		return 0;
	n = min_u32(n, min_u32(covered - r->n_token, s->n_ctx - r->n_token - 1));
	if (r->max_tokens)
		n = min_u32(n, r->max_tokens - n_generated - 1);
	return n;
}

void spec_draft(struct spec *s, struct batch *b)
{
	uint32_t left, n_logit = b->n_logit;

	if (!s->n_draft)
		return;
	left = min_u32(s->n_row > b->n_row ? s->n_row - b->n_row : 0, b->n_logit_max - n_logit);
	for (uint32_t i = 0; i < b->n_seq; i++) {
		struct batch_seq *q = &b->seq[i];
		struct request *r = q->request;
		uint32_t from, n;

		if (r->op != GYRE_OP_GENERATE || q->n_past + q->n_row != r->n_token || q->n_row != 1)
			continue;
		if (!r->n_draft)
			r->n_draft = 1;
		from = spec_lookup(r->token, r->n_token);
		n = min_u32(min_u32(room_for(s, r), r->n_token - from), min_u32(left, q->n_spare));
		memcpy(r->token + r->n_token, r->token + from, n * sizeof(*r->token));
		q->n_draft = n;
		q->n_row += n;
		left -= n;
		counter_add(&s->n_guessed, n);
	}
	batch_layout(b);
	profile_lap(PROFILE_DRAFT);
}
