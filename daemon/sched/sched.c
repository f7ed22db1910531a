#include "daemon/sched/blocks.h"
#include "daemon/sched/cache.h"
#include "daemon/sched/claim.h"
#include "daemon/sched/fair.h"
#include "daemon/sched/fork.h"
#include "daemon/sched/keep.h"
#include "daemon/sched/link.h"
#include "daemon/sched/rows.h"
#include "daemon/sched/turn.h"
#include "daemon/util/counter.h"
#include "daemon/util/minmax.h"
#include "daemon/util/probe.h"
#include "daemon/util/profile.h"
#include "shm/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENDED_SHARE 16u /* ends of a user's that are told in a step that it shares: TOKENIZE copies a KiB for each */

void sched_init(struct sched *s, struct kv *kv, const struct sched_options *o)
{
	memset(s, 0, sizeof(*s));
	s->kv = kv;
	s->o = *o;
}

/* ---- what there is ---- */

/* Its deadline has passed, or will have before a token can be there, were it alone here; then r is told so in words. */
static bool is_late(const struct sched *s, struct request *r)
{
	uint32_t n_row = request_rows_left(r);
	uint64_t left_ns = r->kept.deadline_ns - s->now_ns, least_ns = cost_least_ns(&s->cost, n_row);

	if (!r->kept.deadline_ns)
		return false;
	if (r->kept.deadline_ns <= s->now_ns)
		return true;
	if (!is_eligible(r) || left_ns >= least_ns)
		return false;
	request_explain(
		r, -ETIME,
		"its deadline is in %.1f ms, and %u tokens are to be read before its next one, which takes %.1f ms "
		"here at the very least: give it more time, or ask for less",
		(double)left_ns * 1e-6, n_row, (double)least_ns * 1e-6);
	return true;
}

/* What has an end that no row gives it. */
static void end_if_due(const struct sched *s, struct request *r)
{
	bool is_open = r->kept.state >= REQUEST_LINKED && r->kept.state <= REQUEST_RUNNING;

	if (r->kept.state == REQUEST_KEPT && keep_is_over(s, r))
		request_let_go(r);
	else if (is_open && request_is_cancelled(r))
		request_end(r, -ECANCELED);
	else if (is_open && is_late(s, r))
		request_end(r, -ETIME);
	else if (!is_eligible(r))
		return;
	else if (blocks_need(s, r) > s->kv->book->n_block)
		request_end(r, -ENOSPC); /* even alone it would not fit the pool */
	else if (claim_is_used_up(s, r))
		request_end(r, -EFBIG);
	else if (r->op->leaves_last && !request_rows_left(r))
		request_end(r, 0);
}

/* One that is about to be kept keeps its blocks. */
static bool is_over(const struct request *r)
{
	return r->kept.state == REQUEST_DONE ||
	       (r->kept.state == REQUEST_ENDED && (r->kept.res < 0 || !(r->kept.flags & GYRE_SQE_KEEP)));
}

static void stop_waiting(struct request *r)
{
	request_await_no_more(&r->before);
	request_await_no_more(&r->source);
}

static void count_kept(struct queue *q, struct request *r, uint32_t *n)
{
	q->keep_end_ns = *n ? min_u64(q->keep_end_ns, r->kept.keep_end_ns) : r->kept.keep_end_ns;
	++*n;
}

/* What ended since the last step gives its blocks back; what owes completions and may write them goes to the batch. */
static void settle(struct sched *s, struct queue *q, struct batch *b)
{
	uint32_t most = s->n_who > 1 ? ENDED_SHARE : BATCH_SEQ_MAX, n_kept = 0;

	for (uint32_t i = 0; i < s->n_who; i++)
		s->user[s->who[i].item].n_ended = 0;
	b->n_ended = 0;
	for (uint32_t i = 0; i < q->n_live; i++)
		end_if_due(s, q->live[i]);
	link_begin_all(q);
	fork_begin_all(s, q);
	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];

		if (r->kept.state >= REQUEST_ENDED)
			stop_waiting(r);
		cache_note(s, r);
		if (is_over(r)) {
			cache_end(s, r);
			blocks_release(s, r);
			claim_drop(r);
		}
		blocks_forget(s, r);
		if (r->kept.state == REQUEST_KEPT) {
			claim_shrink(s, r);
			count_kept(q, r, &n_kept);
		}
		if (r->kept.state == REQUEST_ENDED && r->grant && b->n_ended < BATCH_SEQ_MAX &&
		    s->user[r->user->index].n_ended++ < most) /* else in the next step */
			b->ended[b->n_ended++] = r;
	}
	counter_set32(&q->n_kept, n_kept);
	queue_reap(q);
}

/* Each block of the pool is free, or held by live requests or the cache, each slot is, or held by one; who has blocks has a slot. */
static void check_blocks(const struct sched *s, const struct queue *q)
{
	uint64_t n = 0;
	uint32_t n_slot = 0;

	for (uint32_t i = 0; i < q->n_live; i++) {
		const struct request *r = q->live[i];

		n += blocks_held(r);
		n_slot += r->kept.has_slot;
		if (s->kv->book->n_slot && blocks_held(r) && !r->kept.has_slot)
			abort();
	}
	if (kv_check(s->kv, n + cache_n_block(s), n_slot + cache_n_slot(s)) < 0 || cache_check(s) < 0)
		abort();
}

/* Rows go only where nobody else reads: into blocks that their request alone holds. */
static void check_rows(const struct sched *s, const struct batch *b)
{
	for (uint32_t i = 0; i < b->n_seq; i++) {
		const struct batch_seq *k = &b->seq[i];

		for (uint32_t j = k->n_past / s->o.block_len; j < k->request->kept.n_block; j++)
			if (kv_n_hold(s->kv, k->block[j]) != 1)
				abort();
	}
}

/* ---- the plan ---- */

static void start(const struct sched *s, struct request *r)
{
	r->started_ns = s->now_ns;
	PROBE2(request_first_row, r->number, r->kept.n_prompt);
}

/* Those that keep their rows: a user that gave blocks up may have lost some. */
static void close_batch(struct sched *s, struct batch *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n_seq; i++) {
		struct batch_seq *k = &b->seq[n];
		struct request *r = b->seq[i].request;

		*k = b->seq[i];
		if (!k->n_row)
			continue;
		n++;
		r->kept.state = REQUEST_RUNNING;
		if (!r->started_ns)
			start(s, r);
		if (r->kept.n_past < r->kept.n_prompt)
			counter_add(&s->n_token_prompt, min_u32(k->n_row, r->kept.n_prompt - r->kept.n_past));
	}
	b->n_seq = n;
}

bool sched_plan(struct sched *s, struct queue *q, struct batch *b)
{
	fair_charge(s, b);
	s->now_ns = q->n_live ? clock_ns() : 0; /* an idle turn reads no clock */
	settle(s, q, b);
	s->n_row = s->n_logit = b->n_seq = b->n_token = 0;
	counter_set32(&q->n_running, 0);
	if (!q->n_live) { /* a NOP's round trip takes no more of it */
		batch_layout(b);
		profile_lap(PROFILE_PLAN);
		return false;
	}
	claim_take_all(s, q);
	turn_take_census(s, q);
	blocks_choose_grower(s, q);
	fair_begin(s, b->n_logit_max);
	turn_sort(s, q);
	blocks_set_limits(s);
	if (GYRE_CHECK)
		check_blocks(s, q);
	s->n_plan++;
	if (s->n_above)
		rows_serve(s, q, b, true);
	rows_serve(s, q, b, false);
	close_batch(s, b);
	if (GYRE_CHECK)
		check_rows(s, b);
	turn_note_served(s, b);
	counter_set32(&q->n_running, b->n_seq);
	s->is_stuck |= s->n_rank && !b->n_seq;
	batch_layout(b);
	PROBE3(step_begin, b->n_seq, b->n_row, b->n_ended);
	profile_lap(PROFILE_PLAN);
	return b->n_row || b->n_ended;
}
