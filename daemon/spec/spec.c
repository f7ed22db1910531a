#include "daemon/spec/spec.h"
#include "daemon/util/counter.h"
#include "daemon/util/minmax.h"
#include "daemon/util/profile.h"

#include <errno.h>
#include <string.h>

#define WITH_MAX 32u /* steps with guesses in a row: the next one is without, which costs 3 % at most */

int spec_init(struct spec *s, const struct spec_options *o)
{
	int r = 0;

	memset(s, 0, sizeof(*s));
	s->o = *o;
	for (uint32_t i = 0; o->n_draft && i < n_drafter && r == 0; i++)
		r = drafters[i]->open(&s->state[i], SPEC_STREAM_MAX, o->n_ctx);
	if (r < 0)
		spec_deinit(s);
	return r;
}

void spec_deinit(struct spec *s)
{
	for (uint32_t i = 0; i < n_drafter; i++)
		drafters[i]->close(s->state[i]);
	memset(s, 0, sizeof(*s));
}

/* ---- streams ---- */

static bool is_of(const struct spec_stream *t, const struct request *r)
{
	return t->request == r && t->number == r->number;
}

/* The place of whoever was in no step for longest. */
static uint32_t take_place(struct spec *s, struct request *r)
{
	uint32_t oldest = 0;

	for (uint32_t i = 1; i < SPEC_STREAM_MAX; i++)
		if (s->stream[i].used < s->stream[oldest].used)
			oldest = i;
	s->stream[oldest] = (struct spec_stream){ .request = r, .number = r->number };
	for (uint32_t i = 0; i < n_drafter; i++)
		drafters[i]->begin(s->state[i], oldest);
	return oldest;
}

static struct spec_stream *stream_of(struct spec *s, struct request *r)
{
	if (!is_of(&s->stream[r->stream], r))
		r->stream = take_place(s, r);
	s->stream[r->stream].used = s->n_step;
	return &s->stream[r->stream];
}

/* What was noted, against what has been drawn since: each guess up to the first that was wrong. */
static void learn(struct spec *s, struct spec_stream *t, const struct request *r)
{
	uint32_t n = min_u32(t->noted.n, r->kept.n_token - t->at);
	bool is_hit = true;

	for (uint32_t i = 0; i < n && is_hit; i++) {
		is_hit = t->noted.token[i] == r->token[t->at + i];
		chance_learn(&t->chance[t->drafter], t->noted.kind[i], is_hit);
		chance_learn(&s->chance[t->drafter], t->noted.kind[i], is_hit);
	}
}

static float chance_at(const struct spec *s, const struct spec_stream *t, uint32_t drafter, uint32_t kind)
{
	return chance_of(&t->chance[drafter], &s->chance[drafter], kind);
}

/* May this drafter guess for r? */
static bool may_guess(const struct request *r, uint32_t drafter)
{
	return r->kept.sampling.draft != GYRE_DRAFT_LOOKUP || drafters[drafter] == &drafter_lookup;
}

/* Of all drafters, the guess whose first token is likeliest to be right. */
static void note(struct spec *s, struct spec_stream *t, const struct request *r)
{
	uint32_t stream = (uint32_t)(t - s->stream), room = s->o.n_ctx - min_u32(s->o.n_ctx, r->kept.n_token + 1);
	struct guess g;
	float best = 0;

	t->at = r->kept.n_token;
	t->noted.n = 0;
	for (uint32_t i = 0; i < n_drafter; i++) {
		if (!may_guess(r, i))
			continue;
		drafters[i]->propose(s->state[i], stream, r, min_u32(s->o.n_draft, room), &g);
		if (!g.n || chance_at(s, t, i, g.kind[0]) <= best)
			continue;
		best = chance_at(s, t, i, g.kind[0]);
		t->noted = g;
		t->drafter = i;
	}
}

/* ---- how many ---- */

/* How many guesses this sequence has room for: in its blocks, its CQ, its share and its limit. */
static uint32_t room_for(const struct spec *s, const struct batch_seq *q)
{
	const struct request *r = q->request;
	uint32_t covered = r->kept.n_block * s->o.block_len, n_generated = r->kept.n_token - r->kept.n_prompt;
	uint32_t n = min_u32(q->n_spare, r->n_room - 1);

	if (covered <= r->kept.n_token)
		return 0;
	n = min_u32(n, covered - r->kept.n_token);
	if (r->kept.max_tokens)
		n = min_u32(n, r->kept.max_tokens - n_generated - 1);
	return n;
}

static void expect(const struct spec *s, const struct spec_stream *t, uint32_t room, struct length_stream *l)
{
	float gain = 1;

	l->n = min_u32(t->noted.n, room);
	for (uint32_t i = 0; i < l->n; i++)
		l->gain[i] = gain *= chance_at(s, t, t->drafter, t->noted.kind[i]);
}

static bool is_guessed_for(const struct batch_seq *q)
{
	const struct request *r = q->request;

	return r->op->is_drawn && r->kept.sampling.draft != GYRE_DRAFT_NONE && q->n_row == 1 &&
	       q->n_past + 1 == r->kept.n_token;
}

/* Streams that draw a token, with what their guesses promise. */
static uint32_t look(struct spec *s, const struct batch *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n_seq; i++) {
		const struct batch_seq *q = &b->seq[i];
		struct spec_stream *t;

		if (!is_guessed_for(q))
			continue;
		t = stream_of(s, q->request);
		learn(s, t, q->request);
		note(s, t, q->request);
		expect(s, t, room_for(s, q), &s->length[n]);
		s->seat[n++] = i;
	}
	return n;
}

static uint32_t choose(struct spec *s, uint32_t n_stream, const struct batch *b, uint32_t most)
{
	uint32_t n = length_choose(s->length, n_stream, b->n_row, b->n_logit, most, &s->o.cost);

	for (uint32_t i = 0; i < n_stream && s->o.n_least; i++) {
		struct length_stream *l = &s->length[i];
		uint32_t want = min_u32(s->o.n_least, l->n), more = want > l->n_chosen ? want - l->n_chosen : 0;

		more = min_u32(more, most - n);
		l->n_chosen += more;
		n += more;
	}
	return n;
}

static void ride(struct spec *s, struct batch_seq *q, const struct length_stream *l)
{
	struct request *r = q->request;
	const struct spec_stream *t = &s->stream[r->stream];

	memcpy(r->token + r->kept.n_token, t->noted.token, l->n_chosen * sizeof(r->token[0]));
	q->n_draft = l->n_chosen;
	q->n_row += l->n_chosen;
	counter_add(&s->count[t->drafter].n_guessed, l->n_chosen);
}

/* The chosen guesses, and what is expected of the step with them: before it is laid out anew. */
static void board(struct spec *s, struct batch *b, uint32_t n_stream, uint32_t n)
{
	const struct length_cost *cost = &s->o.cost;
	struct tally_step t = { .n_plain = b->n_logit,
				.plain_ns = cost->step_ns(cost->of, b->n_row),
				.ns = cost->step_ns(cost->of, b->n_row + n) };

	for (uint32_t i = 0; i < n_stream; i++) {
		for (uint32_t k = 0; k < s->length[i].n_chosen; k++)
			t.n_gain += s->length[i].gain[k];
		ride(s, &b->seq[s->seat[i]], &s->length[i]);
	}
	batch_layout(b);
	t.layout_ns = b->layout_ns;
	tally_begin(&s->tally, &t);
}

/* What a step of single rows takes is learned from such steps, and a stream that always has guesses makes none. */
static bool is_plain_due(struct spec *s, const struct batch *b, uint32_t n)
{
	bool is_single = b->n_row == b->n_seq, is_due = is_single && s->n_with >= WITH_MAX && !s->o.n_least;

	if (n)
		s->n_with++;
	if (is_single && (!n || is_due))
		s->n_with = 0;
	return is_due;
}

void spec_draft(struct spec *s, struct batch *b)
{
	uint32_t n_stream, most, n = 0;

	if (!s->o.n_draft)
		return;
	s->n_step++;
	tally_end(&s->tally, b->time_ns);
	n_stream = look(s, b);
	most = min_u32(s->o.n_row > b->n_row ? s->o.n_row - b->n_row : 0, b->n_logit_max - b->n_logit);
	if (n_stream)
		n = choose(s, n_stream, b, most);
	if (!is_plain_due(s, b, n) && n)
		board(s, b, n_stream, n);
	profile_lap(PROFILE_DRAFT);
}

void spec_feedback(struct spec *s, const struct request *r, uint32_t n_guess, uint32_t n_hit)
{
	if (!n_guess)
		return;
	counter_add(&s->count[s->stream[r->stream].drafter].n_hit, n_hit);
	tally_hit(&s->tally, n_hit);
}
