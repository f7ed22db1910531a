#include "daemon/sched/sched.h"
#include "daemon/util/counter.h"
#include "daemon/util/minmax.h"
#include "daemon/util/profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sched_init(struct sched *s, struct kv *kv, const struct sched_options *o)
{
	memset(s, 0, sizeof(*s));
	s->kv = kv;
	s->o = *o;
	if (!s->o.chunk || s->o.chunk > s->o.n_row)
		s->o.chunk = s->o.n_row;
	if (!s->o.n_piece)
		s->o.n_piece = 2;
}

static void release_blocks(struct sched *s, struct request *r)
{
	while (r->n_block)
		kv_put(s->kv, r->block[--r->n_block]);
	r->n_past = 0;
}

static bool is_eligible(const struct request *r)
{
	return r->state == REQUEST_WAITING || r->state == REQUEST_RUNNING;
}

/* What ended since the last step gives its blocks back; what owes completions and may write them goes to the batch. */
static void settle(struct sched *s, struct queue *q, struct batch *b)
{
	uint64_t now = q->n_live ? batch_now_ns() : 0; /* an idle turn reads no clock */

	b->n_ended = 0;
	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];
		uint64_t n_block = ((uint64_t)r->n_token + s->o.block_len - 1) / s->o.block_len;

		if (is_eligible(r) && request_is_cancelled(r))
			request_end(r, -ECANCELED);
		else if (is_eligible(r) && r->deadline_ns && now >= r->deadline_ns)
			request_end(r, -ETIME);
		else if (is_eligible(r) && n_block > s->kv->n_block)
			request_end(r, -ENOSPC); /* even alone it would not fit the pool */
		if (r->state == REQUEST_ENDED || r->state == REQUEST_DONE)
			release_blocks(s, r);
		if (r->state == REQUEST_ENDED && r->grant && b->n_ended < BATCH_SEQ_MAX) /* else in the next step */
			b->ended[b->n_ended++] = r;
	}
	queue_reap(q);
}

/* Insertion: the list is nearly in order already, and qsort may allocate. */
static void sort_by_key(struct sched_rank *rank, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct sched_rank v = rank[i];
		uint32_t k = i;

		for (; k > 0 && rank[k - 1].key > v.key; k--)
			rank[k] = rank[k - 1];
		rank[k] = v;
	}
}

/* key = priority | how many of the same uid and priority came before | arrival. */
static void rank_requests(struct sched *s, const struct queue *q)
{
	s->n_rank = 0;
	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];
		uint64_t turn = 0;

		if (!is_eligible(r) || !r->grant)
			continue;
		for (uint32_t k = 0; k < s->n_rank; k++)
			turn += s->rank[k].request->uid == r->uid && s->rank[k].request->priority == r->priority;
		s->rank[s->n_rank++] = (struct sched_rank){ r, (uint64_t)r->priority << 32 | turn << 16 | i, 0 };
	}
	sort_by_key(s->rank, s->n_rank);
}

static void preempt(struct sched *s, struct request *r)
{
	release_blocks(s, r);
	r->state = REQUEST_WAITING;
	counter_add(&s->n_preempted, 1);
}

/* A paused holder first (it makes no progress with them), else the last in order behind rank[i]. */
static struct request *find_victim(struct sched *s, const struct queue *q, uint32_t i)
{
	for (uint32_t k = s->n_rank; k-- > i + 1;)
		if (s->rank[k].request->n_block)
			return s->rank[k].request;
	for (uint32_t k = q->n_live; k-- > 0;)
		if (is_eligible(q->live[k]) && !q->live[k]->grant && q->live[k]->n_block)
			return q->live[k];
	return NULL;
}

/* Blocks for positions [0, n); as many as can be had. */
static void cover(struct sched *s, const struct queue *q, uint32_t i, uint32_t n)
{
	struct request *r = s->rank[i].request;

	while (r->n_block * s->o.block_len < n) {
		struct request *victim;

		if (kv_alloc(s->kv, &r->block[r->n_block]) == 0) {
			r->n_block++;
			continue;
		}
		victim = find_victim(s, q, i);
		if (!victim)
			return;
		preempt(s, victim);
	}
}

/* In order of rank, so that who is served first also gets blocks first. */
static void take_blocks(struct sched *s, const struct queue *q)
{
	for (uint32_t i = 0; i < s->n_rank; i++) {
		struct request *r = s->rank[i].request;
		uint32_t want = min_u32(r->n_token - r->n_past, s->o.chunk);
		uint32_t room;

		cover(s, q, i, r->n_past + want);
		room = r->n_block * s->o.block_len;
		s->rank[i].n_row = room > r->n_past ? min_u32(want, room - r->n_past) : 0;
	}
}

static bool is_decode(const struct request *r)
{
	return r->n_token - r->n_past == 1;
}

/* Logit rows that these rows of r give. */
static uint32_t count_logits(const struct request *r, uint32_t n_row)
{
	uint32_t end = r->n_past + n_row, first;

	if (r->op != GYRE_OP_SCORE)
		return end >= r->n_token;
	first = r->n_prompt - r->n_score - 1 + r->n_scored;
	end = min_u32(end, r->n_prompt - 1);
	return end > first ? end - (r->n_past > first ? r->n_past : first) : 0;
}

/* SCORE wants logits of many rows: no more in a step than there is room for, here or in its completion ring. */
static uint32_t fit_logits(const struct sched *s, const struct sched_rank *k, uint32_t n_row, uint32_t room)
{
	room = min_u32(room, (k->request->grant - REQUEST_END_PIECES) / s->o.n_piece);
	while (n_row && count_logits(k->request, n_row) > room)
		n_row -= count_logits(k->request, n_row) - room;
	return n_row;
}

static void add_rows(struct sched *s, struct batch *b, bool want_decode, uint32_t *n_row, uint32_t *n_logit)
{
	for (uint32_t i = 0; i < s->n_rank && b->n_seq < BATCH_SEQ_MAX; i++) {
		struct sched_rank *k = &s->rank[i];
		struct request *r = k->request;
		uint32_t n;

		if (is_decode(r) != want_decode)
			continue;
		n = fit_logits(s, k, min_u32(k->n_row, s->o.n_row - *n_row), b->n_logit_max - *n_logit);
		if (!n || !r->n_block)
			continue;
		r->state = REQUEST_RUNNING;
		if (r->n_past < r->n_prompt)
			counter_add(&s->n_token_prompt, min_u32(n, r->n_prompt - r->n_past));
		b->seq[b->n_seq++] =
			(struct batch_seq){ .request = r, .block = r->block, .n_past = r->n_past, .n_row = n };
		*n_row += n;
		*n_logit += count_logits(r, n);
	}
}

/* Each block of the pool is free, or held by one live request. */
static void check_blocks(const struct sched *s, const struct queue *q)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < q->n_live; i++)
		n += q->live[i]->n_block;
	if (kv_check(s->kv, n) < 0)
		abort();
}

bool sched_plan(struct sched *s, struct queue *q, struct batch *b)
{
	uint32_t n_row = 0, n_logit = 0;

	settle(s, q, b);
	rank_requests(s, q);
	take_blocks(s, q);
	if (GYRE_CHECK)
		check_blocks(s, q);
	b->n_seq = 0;
	add_rows(s, b, true, &n_row, &n_logit);
	add_rows(s, b, false, &n_row, &n_logit);
	batch_layout(b);
	b->n_token = 0;
	profile_lap(PROFILE_PLAN);
	return b->n_row || b->n_ended;
}
