#include "daemon/sched/rows.h"
#include "daemon/sched/blocks.h"
#include "daemon/sched/cache.h"
#include "daemon/sched/fair.h"
#include "daemon/util/minmax.h"

#include <math.h>

#define PROMPT_TURNS \
	4u /* steps with rows of a user's streams and none of its prompts, until these have the first row of one */

/* ---- of a request ---- */

static bool is_decode(const struct request *r)
{
	return request_rows_left(r) == 1;
}

/* Logit rows that these rows of r give. */
static uint32_t count_logits(const struct request *r, uint32_t n_row)
{
	return op_span_overlap(r->op->wants_logits(r), r->kept.n_past, r->kept.n_past + n_row);
}

/* Some want logits of many rows: no more in a step than there is room for, here or in its completion ring. */
static uint32_t fit_logits(const struct request *r, uint32_t n_row, uint32_t room)
{
	room = min_u32(room, r->n_room);
	while (n_row && count_logits(r, n_row) > room)
		n_row -= count_logits(r, n_row) - room;
	return n_row;
}

/* Rows of r that ride already. */
static uint32_t count_riding(const struct batch *b, const struct request *r)
{
	return r->seat < b->n_seq && b->seq[r->seat].request == r ? b->seq[r->seat].n_row : 0;
}

/* Is there a row for it? Then it goes on from what the cache has of it. */
static bool may_begin(struct sched *s, const struct queue *q, struct request *r, double keep_ns)
{
	if (s->n_row >= s->n_row_max || !fair_fit(s, r, 0, 1, keep_ns) || !blocks_may_start(s, q, r))
		return false;
	cache_advance(s, r);
	return true;
}

/* As many more rows of r, at most n, as the step, its user's part but for keep_ns, and the pool have room for. */
static uint32_t fit_rows(struct sched *s, const struct queue *q, struct batch *b, struct request *r, uint32_t n,
			 double keep_ns)
{
	const struct sched_user *u = &s->user[r->user->index];
	uint32_t n_have = count_riding(b, r), had_logits, end, room;

	if (!n_have && !may_begin(s, q, r, keep_ns))
		return 0;
	had_logits = count_logits(r, n_have);
	end = r->kept.n_past + n_have;
	n = min_u32(min_u32(n, request_rows_left(r) - n_have), s->n_row_max - s->n_row);
	n = cache_limit_rows(s, r, n_have + n) - n_have;
	n = fit_logits(r, n_have + n, had_logits + min_u32(u->n_logit, b->n_logit_max - s->n_logit));
	n = n > n_have ? fair_fit(s, r, n_have, n - n_have, keep_ns) : 0;
	if (!n)
		return 0;
	blocks_cover(s, q, b, r, end + n);
	room = r->kept.n_block * s->o.block_len;
	return room > end ? min_u32(n, room - end) : 0;
}

/* Its rows that follow those that ride, or its first. */
static void add_rows(struct sched *s, struct queue *q, struct batch *b, struct request *r, uint32_t n)
{
	struct sched_user *u = &s->user[r->user->index];
	uint32_t n_have = count_riding(b, r), n_logit = count_logits(r, n_have + n) - count_logits(r, n_have);

	fair_take(s, r, n_have, n);
	if (n_have) {
		b->seq[r->seat].n_row += n;
	} else {
		r->seat = b->n_seq;
		b->seq[b->n_seq++] = (struct batch_seq){ .request = r,
							 .block = r->block,
							 .n_past = r->kept.n_past,
							 .n_row = n,
							 .slot = r->kept.slot,
							 .n_replay = r->kept.n_replay };
		u->n_seat--;
	}
	s->n_row += n;
	u->n_taken += n;
	s->n_logit += n_logit;
	u->n_logit -= n_logit;
	u->n_waited = is_decode(r) ? u->n_waited : 0;
	r->n_turn += n;
	if (is_decode(r) || r->n_turn >= s->o.n_row) {
		r->n_turn = 0;
		r->ticket = ++q->n_ticket;
	}
}

/* ---- users ---- */

/* One row of r, if there is room for it. */
static bool add_first(struct sched *s, struct queue *q, struct batch *b, struct request *r)
{
	uint32_t n = fit_rows(s, q, b, r, 1, 0);

	if (n)
		add_rows(s, q, b, r, n);
	return n;
}

/* One row of the first in order that can have it: of its streams, or its prompts. */
static bool serve_one(struct sched *s, struct queue *q, struct batch *b, struct sched_user *u, bool want_decode)
{
	for (uint32_t i = u->first; i < u->first + u->n_rank; i++) {
		struct request *r = q->live[s->rank[i].item];

		if (is_decode(r) == want_decode && !count_riding(b, r) && add_first(s, q, b, r))
			return true;
	}
	return false;
}

/* Prompts that have waited for the streams of their own user have a row before these. */
static bool serve_waiting(struct sched *s, struct queue *q, struct batch *b, struct sched_user *u)
{
	return u->n_prompt && u->n_waited > PROMPT_TURNS && serve_one(s, q, b, u, false);
}

/* A user's first row: a stream's, if it has one that may run. */
static void serve_first(struct sched *s, struct queue *q, struct batch *b, struct sched_user *u)
{
	if (!serve_waiting(s, q, b, u) && !serve_one(s, q, b, u, true))
		(void)serve_one(s, q, b, u, false);
}

/* Of a user's part, a quarter is for prompts, if it has any, and a row if it has two: so its streams do not keep its own newcomers out. */
static double held_back(const struct sched *s, const struct sched_user *u, bool want_decode)
{
	if (!want_decode || !u->n_prompt || !isfinite(u->part_ns))
		return 0;
	return fmax(u->part_ns / 4, fmin(u->part_ns / 2, fair_row_ns(s)));
}

/* One user's streams, or its prompts, in its order. */
static void serve(struct sched *s, struct queue *q, struct batch *b, struct sched_user *u, bool want_decode)
{
	double keep_ns = held_back(s, u, want_decode);
	uint32_t keep_seat = want_decode && u->n_prompt ? u->n_seat / 4 : 0;

	if (want_decode)
		(void)serve_waiting(s, q, b, u);
	for (uint32_t i = u->first; i < u->first + u->n_rank && s->n_row < s->n_row_max; i++) {
		struct request *r = q->live[s->rank[i].item];
		uint32_t n_have = count_riding(b, r), n;

		if (is_decode(r) != want_decode || (want_decode && n_have))
			continue;
		if (!n_have && (b->n_seq == BATCH_SEQ_MAX || u->n_seat <= keep_seat))
			continue;
		n = fit_rows(s, q, b, r, want_decode ? 1 : s->o.n_row, keep_ns);
		if (n)
			add_rows(s, q, b, r, n);
		else if (!fair_fit(s, r, n_have, 1, keep_ns))
			break;
	}
}

static void serve_all(struct sched *s, struct queue *q, struct batch *b, bool is_above, bool want_decode)
{
	for (uint32_t i = 0; i < s->n_user; i++) {
		struct sched_user *u = &s->user[s->who[i].item];

		if (u->is_above == is_above)
			serve(s, q, b, u, want_decode);
	}
}

/*
 * Guesses behind the rows of streams, as far as their users' parts go; one at least for each of a lone user's streams, and one in a step
 * that is shared, as there is a row of each user.
 */
static void add_guesses(struct sched *s, struct batch *b, bool is_above)
{
	uint32_t least = 1;

	for (uint32_t i = 0; i < b->n_seq && s->o.n_draft; i++) {
		struct batch_seq *k = &b->seq[i];

		if (k->n_row != 1 || !is_decode(k->request) || k->n_spare ||
		    s->user[k->request->user->index].is_above != is_above)
			continue;
		k->n_spare = max_u32(fair_take_guesses(s, k->request, s->o.n_draft), least);
		least = !s->is_shared;
	}
}

static uint32_t count_streams(const struct batch *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n_seq; i++)
		n += b->seq[i].n_row && is_decode(b->seq[i].request);
	return n;
}

/* has_turn: of users whose turn it is, or of all others. */
static void serve_firsts(struct sched *s, struct queue *q, struct batch *b, bool is_above, bool has_turn)
{
	for (uint32_t i = 0; i < s->n_user && s->n_row < s->n_row_max && b->n_seq < BATCH_SEQ_MAX; i++) {
		struct sched_user *u = &s->user[s->who[i].item];

		if (u->is_above == is_above && fair_has_first(s, u) == has_turn)
			serve_first(s, q, b, u);
	}
}

void rows_serve(struct sched *s, struct queue *q, struct batch *b, bool is_above)
{
	uint32_t n_row = s->n_row;

	fair_begin_first(s);
	serve_firsts(s, q, b, is_above, true);
	if (s->n_row == n_row) /* who is behind cannot run */
		serve_firsts(s, q, b, is_above, false);
	fair_divide(s, is_above);
	serve_all(s, q, b, is_above, true);
	add_guesses(s, b, is_above);
	fair_limit_prompts(s, count_streams(b));
	serve_all(s, q, b, is_above, false);
	fair_open(s);
	serve_all(s, q, b, is_above, true);
	serve_all(s, q, b, is_above, false);
}
