#include "daemon/sample/sample.h"
#include "daemon/sample/row.h"
#include "daemon/util/memory.h"
#include "daemon/util/profile.h"
#include "shm/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_PIECES 8u /* of a worker's ranges; taking one costs 25 ns, a range of one row takes 60 */
#define ALONE_MAX   2u /* rows that the leader finishes in the time it takes to wake the others */

int sample_init(struct sample *s, const struct kernels *k, struct team *team, const struct sample_options *o)
{
	size_t n_range = logit_n_range(o->n_vocab), n_row = o->n_logit_max;
	int n_worker = team_size(team), r = 0;

	*s = (struct sample){ .kernels = k, .team = team, .o = *o };
	s->count = calloc(o->n_vocab, sizeof(*s->count));
	s->row = calloc(n_row, sizeof(*s->row));
	s->scan = calloc(n_row, sizeof(*s->scan));
	s->scaled_sum = calloc(n_row * n_range, sizeof(*s->scaled_sum));
	s->block_max = calloc(n_row * n_range * RANGE_BLOCKS, sizeof(*s->block_max));
	s->scratch = calloc((size_t)n_worker, sizeof(*s->scratch));
	s->share = memory_array((size_t)n_worker, sizeof(*s->share));
	if (!s->share || !s->count || !s->row || !s->scan || !s->scaled_sum || !s->block_max || !s->scratch)
		r = -ENOMEM;
	for (int i = 0; i < n_worker && r == 0; i++)
		r = row_scratch_init(&s->scratch[i], o->n_vocab);
	if (r < 0)
		sample_deinit(s);
	return r;
}

void sample_deinit(struct sample *s)
{
	for (int i = 0; s->scratch && i < team_size(s->team); i++)
		row_scratch_deinit(&s->scratch[i]);
	free(s->count);
	free(s->row);
	free(s->scan);
	free(s->scaled_sum);
	free(s->block_max);
	free(s->scratch);
	free(s->share);
	memset(s, 0, sizeof(*s));
}

/* false: nothing to do. */
static bool penalize(struct sample *s, float *logits, const struct sampling *o, const int32_t *window, uint32_t n)
{
	if (o->repetition_penalty == 1 && o->presence_penalty == 0 && o->frequency_penalty == 0)
		return false;
	for (uint32_t i = 0; i < n; i++)
		s->count[window[i]]++;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t t = (uint32_t)window[i];

		if (!s->count[t])
			continue;
		logits[t] = logits[t] > 0 ? logits[t] / o->repetition_penalty : logits[t] * o->repetition_penalty;
		logits[t] -= o->presence_penalty + o->frequency_penalty * (float)s->count[t];
		s->count[t] = 0;
	}
	return n > 0;
}

/* false: the logits are the model's still. */
static bool adjust(struct sample *s, float *logits, const struct sampling *o, const int32_t *window, uint32_t n)
{
	for (uint32_t i = 0; i < o->n_bias; i++)
		logits[o->bias[i].token] += o->bias[i].bias;
	return penalize(s, logits, o, window, n) || o->n_bias;
}

/*
 * Logit row i as work for the team, adjusted. The tokens before its position are those of the request or guesses, and if a
 * guess was wrong the row is not looked at.
 */
static void prepare(struct sample *s, struct batch *b, uint32_t i)
{
	uint32_t seq = b->row_seq[b->logit_row[i]], pos = (uint32_t)b->pos[b->logit_row[i]];
	const struct request *r = b->seq[seq].request;
	uint32_t n = pos + 1 < r->kept.sampling.penalty_last_n ? pos + 1 : r->kept.sampling.penalty_last_n;
	float *logits = b->logits + (size_t)i * b->logit_stride;
	bool is_drawn = request_draws_at(r, pos),
	     is_adjusted = adjust(s, logits, &r->kept.sampling, r->token + pos + 1 - n, n);

	b->out[i].seq = seq;
	b->out[i].token = is_drawn ? 0 : r->token[pos + 1];
	s->row[i] = (struct row){ .logits = logits,
				  .sampling = &r->kept.sampling,
				  .position = pos + 1,
				  .is_drawn = is_drawn,
				  .is_adjusted = is_adjusted,
				  .range = b->range + (size_t)i * b->n_range,
				  .scaled_sum = s->scaled_sum + (size_t)i * b->n_range,
				  .block_max = s->block_max + (size_t)i * b->n_range * RANGE_BLOCKS,
				  .out = &b->out[i] };
	if (row_needs_scan(&s->row[i]))
		s->scan[s->n_scan++] = &s->row[i];
}

/* A worker's node has as large a part of n_items as it has of the workers. */
static void node_items(const struct sample *s, int worker, size_t n_items, size_t *begin, size_t *end)
{
	const struct team_node *node = team_node(s->team, worker);
	size_t other;

	team_range(n_items, team_size(s->team), node->first, 1, begin, &other);
	team_range(n_items, team_size(s->team), node->first + node->n - 1, 1, &other, end);
}

/* The leader is at its ranges first and takes some of the others'. */
static void scan_share(struct sample *s, int worker)
{
	size_t n_range = logit_n_range(s->o.n_vocab), first, last, begin, end;
	struct share scan;

	node_items(s, worker, s->n_scan * n_range, &first, &last);
	share_run(s->share, worker, s->n_run);
	share_begin(&scan, s->share, s->team, worker, last - first,
		    team_node(s->team, worker)->n > 1 ? SCAN_PIECES : 1);
	while (share_next(&scan, &begin, &end))
		for (size_t i = first + begin; i < first + end; i++)
			row_scan(s->scan[i / n_range], s->kernels, s->o.n_vocab, (uint32_t)(i % n_range));
	profile_lap(PROFILE_SAMPLE);
	team_barrier(s->team, worker);
}

static void finish_rows(struct sample *s, int worker, size_t begin, size_t end)
{
	for (size_t i = begin; i < end; i++)
		row_finish(&s->row[i], s->kernels, s->o.n_vocab, &s->scratch[worker]);
	profile_lap(PROFILE_SAMPLE);
}

/* Ranges of the rows that need it are shared out, then all rows. */
static void sample_share(void *arg, int worker)
{
	struct sample *s = arg;
	size_t begin, end;

	if (s->n_scan)
		scan_share(s, worker);
	team_range(s->n_row, team_size(s->team), worker, 1, &begin, &end);
	finish_rows(s, worker, begin, end);
}

/* true: the guess at the next position was right, or there is none to doubt; the next row counts. */
static bool accept_row(struct batch *b, const struct batch_seq *q, uint32_t i)
{
	struct request *r = q->request;
	uint32_t pos = (uint32_t)b->pos[b->logit_row[i]];
	bool is_last = pos + 1 == q->n_past + q->n_row;
	int32_t guess = is_last ? -1 : r->token[pos + 1], id = b->out[i].token;

	b->out[i].is_drafted = !is_last && guess == id;
	b->out[b->n_token++] = b->out[i];
	r->token[r->kept.n_token++] = id;
	return !is_last && guess == id;
}

/* Results that count move up in batch->out. */
static void accept_seq(struct sample *s, struct batch *b, uint32_t seq, uint32_t *logit)
{
	struct batch_seq *q = &b->seq[seq];
	struct request *r = q->request;
	uint32_t end = q->n_past + q->n_row - q->n_draft, n_hit = 0;
	bool counts = true;

	for (; *logit < b->n_logit && b->row_seq[b->logit_row[*logit]] == seq; ++*logit) {
		if (!request_draws_at(r, (uint32_t)b->pos[b->logit_row[*logit]])) {
			b->out[b->n_token++] = b->out[*logit];
		} else if (counts) {
			counts = accept_row(b, q, *logit);
			n_hit += counts;
		}
	}
	r->kept.n_past = end + n_hit;
	r->kept.n_replay = n_hit;
	spec_feedback(s->o.spec, r, q->n_draft, n_hit);
}

/* The pass has pushed all of this out of the caches. Asked for at once, it comes while the first of it is waited for. */
static void fetch_ahead(const struct sample *s, const struct batch *b)
{
	__builtin_prefetch(s->share, 1);
	__builtin_prefetch(b->logit_row);
	__builtin_prefetch(b->row_seq);
	__builtin_prefetch(b->pos);
	for (uint32_t i = 0; i < b->n_logit; i++) {
		__builtin_prefetch(&s->row[i], 1);
		__builtin_prefetch(&b->out[i], 1);
	}
	for (uint32_t i = 0; i < b->n_seq; i++) {
		const struct request *r = b->seq[i].request;

		__builtin_prefetch(&r->op);
		__builtin_prefetch(&r->kept.sampling);
		__builtin_prefetch((const char *)&r->kept.sampling + 64);
		__builtin_prefetch(&r->token);
	}
}

void sample_batch(struct sample *s, struct batch *b)
{
	uint32_t logit = 0;

	assert(b->n_logit <= s->o.n_logit_max);
	fetch_ahead(s, b);
	b->forward_ns = clock_ns() - b->layout_ns;
	b->n_token = s->n_scan = 0;
	for (uint32_t i = 0; i < b->n_logit; i++)
		prepare(s, b, i);
	s->n_row = b->n_logit;
	s->n_run++;
	if (s->n_scan || s->n_row > ALONE_MAX)
		team_run(s->team, sample_share, s);
	else
		finish_rows(s, 0, 0, s->n_row);
	for (uint32_t i = 0; i < b->n_seq; i++)
		accept_seq(s, b, i, &logit);
	assert(logit == b->n_logit);
	b->time_ns = clock_ns();
	profile_lap(PROFILE_SAMPLE);
}
