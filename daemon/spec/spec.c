#include "daemon/spec/spec.h"
#include "daemon/spec/drafter.h"
#include "daemon/util/counter.h"
#include "daemon/util/minmax.h"
#include "daemon/util/profile.h"

void spec_init(struct spec *s, const struct spec_options *o)
{
	*s = (struct spec){ .o = *o };
}

/* How many guesses this sequence has room for: in its blocks, its CQ, its context and its limit. */
static uint32_t room_for(const struct spec *s, const struct request *r)
{
	uint32_t covered = r->kept.n_block * s->o.block_len, n_generated = r->kept.n_token - r->kept.n_prompt;
	uint32_t n = min_u32(r->n_draft, r->n_room - 1);

	if (covered <= r->kept.n_token || s->o.n_ctx <= r->kept.n_token + 1)
		return 0;
	n = min_u32(n, min_u32(covered - r->kept.n_token, s->o.n_ctx - r->kept.n_token - 1));
	if (r->kept.max_tokens)
		n = min_u32(n, r->kept.max_tokens - n_generated - 1);
	return n;
}

static uint32_t propose(struct request *r, uint32_t most)
{
	uint32_t n = 0;

	for (uint32_t i = 0; n == 0 && i < n_drafter; i++)
		n = drafters[i]->propose(r->token, r->kept.n_token, r->token + r->kept.n_token, most);
	return n;
}

static bool is_decoding(const struct batch_seq *q)
{
	return q->request->op->is_drawn && q->n_row == 1 && q->n_past + 1 == q->request->kept.n_token;
}

void spec_draft(struct spec *s, struct batch *b)
{
	uint32_t n_left, n_guessed = 0;

	if (!s->o.n_draft)
		return;
	n_left = min_u32(s->o.n_row > b->n_row ? s->o.n_row - b->n_row : 0, b->n_logit_max - b->n_logit);
	for (uint32_t i = 0; i < b->n_seq; i++) {
		struct batch_seq *q = &b->seq[i];
		struct request *r = q->request;

		if (!is_decoding(q))
			continue;
		if (!r->n_draft)
			r->n_draft = 1;
		q->n_draft = propose(r, min_u32(room_for(s, r), min_u32(n_left - n_guessed, q->n_spare)));
		q->n_row += q->n_draft;
		n_guessed += q->n_draft;
	}
	counter_add(&s->n_guessed, n_guessed);
	if (n_guessed)
		batch_layout(b);
	profile_lap(PROFILE_DRAFT);
}

void spec_feedback(struct spec *s, struct request *r, uint32_t n_guess, uint32_t n_hit)
{
	counter_add(&s->n_hit, n_hit);
	if (!n_guess)
		return;
	if (n_hit == n_guess && r->n_draft < s->o.n_draft)
		r->n_draft++;
	else if (!n_hit)
		r->n_draft = (r->n_draft + 1) / 2;
}
