#include "daemon/sched/fair.h"
#include "daemon/sched/blocks.h"
#include "daemon/util/counter.h"
#include "daemon/util/minmax.h"
#include "shm/atomic.h"

#include <math.h>

#define SHARED      2.0  /* a step that users or streams share, in times of its first rows: */
#define LONE        12.0 /* and one of a user alone: what a newcomer waits for; more rows cost no less each */
#define BURST       8.0  /* what a user may be behind the one that had most, and so take at once */
#define HELD_UP_MAX 2.0  /* a step that took longer was held up, which is nobody's doing */
#define ROUNDS      8    /* to find the level: each but the last leaves users out that are above it */

/* ---- work ---- */

/* Positions that n rows see from `begin` on. */
static uint64_t count_seen(const struct sched *s, uint32_t begin, uint32_t n)
{
	uint64_t seen = (uint64_t)n * begin + (uint64_t)n * (n + 1) / 2, most = (uint64_t)n * s->o.window;

	return s->o.window && most < seen ? most : seen;
}

/* n rows of a sequence from position n_past on, of which n_logit give logits, in *w. */
static void add_work(const struct sched *s, struct cost_work *w, uint32_t n_past, uint32_t n, uint32_t n_logit)
{
	w->n_row += n;
	w->n_logit += n_logit;
	*(n == 1 ? &w->n_single : &w->n_chunk) += count_seen(s, n_past, n);
}

static uint32_t count_logits(const struct request *r, uint32_t n)
{
	return op_span_overlap(r->op->wants_logits(r), r->kept.n_past, r->kept.n_past + n);
}

/* n rows of r behind n_have that ride: what they add to the step, and what they are charged. */
struct rows {
	const struct request *r;
	uint32_t n_have, n, n_logit;
};

static struct rows rows_of(const struct request *r, uint32_t n_have, uint32_t n, bool is_guess)
{
	uint32_t n_logit = is_guess ? n : count_logits(r, n_have + n) - count_logits(r, n_have);

	return (struct rows){ r, n_have, n, n_logit };
}

static struct cost_work work_with(const struct sched *s, const struct rows *more)
{
	struct cost_work w = s->work, had = { 0 };

	if (more->n_have)
		add_work(s, &had, more->r->kept.n_past, more->n_have, 0);
	add_work(s, &w, more->r->kept.n_past, more->n_have + more->n, more->n_logit);
	w.n_row -= had.n_row;
	w.n_single -= had.n_single;
	w.n_chunk -= had.n_chunk;
	return w;
}

/* n rows of a sequence, the first of which is at `begin`. */
static double charge_of(const struct sched *s, uint32_t begin, uint32_t n, uint32_t n_logit)
{
	uint32_t n_row = max_u32(s->n_row_last, 1);
	double row = cost_of_row(&s->cost, n_row, n == 1, false, 0),
	       logit = cost_of_row(&s->cost, n_row, n == 1, true, 0) - row,
	       seen = cost_of_row(&s->cost, n_row, n == 1, false, count_seen(s, begin, n)) - row;

	return n * row + n_logit * logit + seen;
}

static double charge_of_rows(const struct sched *s, const struct rows *more)
{
	return charge_of(s, more->r->kept.n_past + more->n_have, more->n, more->n_logit);
}

/* ---- what has been used ---- */

/* Logit rows of sequence i; *at: the first that is none of an earlier one's. */
static uint32_t count_logits_of(const struct batch *b, uint32_t i, uint32_t *at)
{
	uint32_t n = 0;

	for (; *at < b->n_logit && b->logit_row[*at] < b->seq[i].row0 + b->seq[i].n_row; ++*at)
		n++;
	return n;
}

static struct cost_work work_of(const struct sched *s, const struct batch *b)
{
	struct cost_work w = { 0 };

	for (uint32_t i = 0; i < b->n_seq; i++)
		add_work(s, &w, b->seq[i].n_past, b->seq[i].n_row, 0);
	w.n_logit = b->n_logit;
	return w;
}

/* `by`: what a step took, in times of what its rows are thought to take. */
static void charge_all(struct sched *s, const struct batch *b, double by)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < b->n_seq; i++) {
		const struct batch_seq *q = &b->seq[i];
		struct sched_user *u = &s->user[q->request->user->index];
		double ns = by * charge_of(s, q->n_past, q->n_row, count_logits_of(b, i, &at));

		u->virtual_ns += ns / u->weight;
		s->front_ns = fmax(s->front_ns, u->virtual_ns - s->burst_ns);
		fetch_add64(&q->request->user->used_ns, (uint64_t)ns);
	}
}

static double sum_charges(const struct sched *s, const struct batch *b)
{
	uint32_t at = 0;
	double sum = 0;

	for (uint32_t i = 0; i < b->n_seq; i++)
		sum += charge_of(s, b->seq[i].n_past, b->seq[i].n_row, count_logits_of(b, i, &at));
	return sum;
}

void fair_charge(struct sched *s, const struct batch *b)
{
	struct cost_work w = work_of(s, b);
	uint64_t took = b->time_ns > b->layout_ns ? b->time_ns - b->layout_ns : 0;

	if (!w.n_row)
		return;
	s->n_row_last = w.n_row;
	cost_learn(&s->cost, &w, took);
	charge_all(s, b, took ? fmin((double)took / sum_charges(s, b), HELD_UP_MAX) : 1);
}

/*
 * A guess is a row with logits that sees as much as a stream of the step on average, and the first one of a stream makes of its single
 * row one of several: they are spread over as many streams as there are.
 */
uint64_t fair_expect_ns(const struct sched *s, const struct batch *b, uint32_t n_guess)
{
	struct cost_work w = { .n_logit = b->n_logit + n_guess };
	uint32_t n_stream = 0;
	uint64_t seen;

	if (s->cost.n_step < COST_WARM)
		return 0;
	for (uint32_t i = 0; i < b->n_seq; i++) {
		add_work(s, &w, b->seq[i].n_past, b->seq[i].n_row, 0);
		n_stream += b->seq[i].n_row == 1;
	}
	seen = n_stream ? w.n_single / n_stream : 0;
	w.n_row += n_guess;
	w.n_single -= seen * min_u32(n_guess, n_stream);
	w.n_chunk += seen * (n_guess + min_u32(n_guess, n_stream));
	return (uint64_t)cost_predict(&s->cost, &w);
}

/* ---- what there is ---- */

static bool is_another_expected(const struct sched *s, uint32_t user)
{
	const struct sched_served *other = &s->last[s->last[0].user == user];

	return other->at_ns && s->now_ns - other->at_ns < s->o.recent_ns;
}

void fair_begin(struct sched *s, uint32_t n_logit_max)
{
	s->work = (struct cost_work){ 0 };
	s->n_row_max = s->cost.n_step < COST_WARM ? 1 : s->o.n_row;
	s->is_shared = s->n_user > 1 || (s->n_user && is_another_expected(s, s->who[0].item));
	s->least_ns = INFINITY;
	for (uint32_t i = 0; i < s->n_user; i++) {
		struct sched_user *u = &s->user[s->who[i].item];
		uint32_t n = u->is_above ? 1 : s->n_user;

		u->virtual_ns = fmax(u->virtual_ns, s->front_ns);
		u->n_seat = max_u32(BATCH_SEQ_MAX / n, 1);
		u->n_logit = max_u32(n_logit_max / n, 1);
		if (u->is_hungry)
			s->least_ns = fmin(s->least_ns, u->virtual_ns);
	}
}

void fair_open(struct sched *s)
{
	for (uint32_t i = 0; i < s->n_user; i++)
		s->user[s->who[i].item].part_ns = INFINITY;
}

void fair_begin_first(struct sched *s)
{
	s->before_ns = cost_predict(&s->cost, &s->work);
	s->gap_ns = INFINITY;
	fair_open(s);
}

bool fair_has_first(const struct sched *s, const struct sched_user *u)
{
	return u->is_above || u->virtual_ns - s->least_ns <= s->burst_ns / 2;
}

/* A user's virtual time once what it has in this step is charged. */
static double level_of(const struct sched_user *u)
{
	return u->virtual_ns + u->taken_ns / u->weight;
}

/* Up to where `ns` fill users that are of one kind, if all of them can use it. */
static double find_level(const struct sched *s, double ns, bool is_above)
{
	double level = INFINITY;

	for (int round = 0; round < ROUNDS; round++) {
		double sum = ns, weight = 0, before = level;

		for (uint32_t i = 0; i < s->n_user; i++) {
			const struct sched_user *u = &s->user[s->who[i].item];

			if (u->is_above != is_above || level_of(u) > before)
				continue;
			sum += level_of(u) * u->weight;
			weight += u->weight;
		}
		if (!(weight > 0))
			return before;
		level = sum / weight;
		if (level >= before)
			break;
	}
	return level;
}

void fair_divide(struct sched *s, bool is_above)
{
	double used = cost_predict(&s->cost, &s->work), first = used - s->before_ns, level,
	       times = is_above || !s->is_shared ? LONE : SHARED;

	s->burst_ns = BURST * first;
	s->gap_ns = s->before_ns + times * first;
	if (s->o.gap_ns && s->cost.known)
		s->gap_ns = fmax((double)s->o.gap_ns, used);
	counter_set(&s->gap_told_ns, (uint64_t)s->gap_ns);
	level = find_level(s, s->gap_ns - used, is_above);
	for (uint32_t i = 0; i < s->n_user; i++) {
		struct sched_user *u = &s->user[s->who[i].item];

		u->part_ns = u->is_above == is_above ? fmax(level - level_of(u), 0) * u->weight : 0;
	}
}

void fair_limit_prompts(struct sched *s, uint32_t n_stream)
{
	if (n_stream && !s->is_shared && !s->n_above && !(s->o.gap_ns && s->cost.known))
		s->gap_ns = fmin(s->gap_ns, SHARED * cost_predict(&s->cost, &s->work));
}

/* ---- rows ---- */

double fair_row_ns(const struct sched *s)
{
	return charge_of(s, 0, 1, 1);
}

static bool has_time(const struct sched *s, const struct rows *more, double part_ns)
{
	struct cost_work w = work_with(s, more);

	return cost_predict(&s->cost, &w) <= s->gap_ns && charge_of_rows(s, more) <= part_ns;
}

static uint32_t fit(const struct sched *s, const struct request *r, uint32_t n_have, uint32_t n, double keep_ns,
		    bool is_guess)
{
	double part_ns = s->user[r->user->index].part_ns - keep_ns;
	uint32_t low = 0, high = n + 1;

	for (uint32_t mid = n; mid > low; mid = low + (high - low) / 2) { /* all of them first */
		struct rows more = rows_of(r, n_have, mid, is_guess);

		if (has_time(s, &more, part_ns))
			low = mid;
		else
			high = mid;
	}
	return low;
}

static void take(struct sched *s, const struct rows *more)
{
	struct sched_user *u = &s->user[more->r->user->index];
	double ns = charge_of_rows(s, more);

	s->work = work_with(s, more);
	u->part_ns -= ns;
	u->taken_ns += ns;
}

uint32_t fair_fit(const struct sched *s, const struct request *r, uint32_t n_have, uint32_t n, double keep_ns)
{
	return fit(s, r, n_have, n, keep_ns, false);
}

void fair_take(struct sched *s, const struct request *r, uint32_t n_have, uint32_t n)
{
	struct rows more = rows_of(r, n_have, n, false);

	take(s, &more);
}

uint32_t fair_take_guesses(struct sched *s, const struct request *r, uint32_t n)
{
	struct rows more = rows_of(r, 1, fit(s, r, 1, n, 0, true), true);

	if (more.n)
		take(s, &more);
	return more.n;
}
