#include "daemon/sample/sample.h"
#include "daemon/sample/log.h"
#include "daemon/sample/philox.h"
#include "daemon/util/counter.h"
#include "daemon/util/profile.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DRAW_CHUNK 256u /* of a draw from the whole vocabulary: sum by chunk, then walk one */

int sample_init(struct sample *s, const struct kernels *k, uint32_t n_vocab, uint32_t n_draft_max)
{
	*s = (struct sample){ .kernels = k, .n_vocab = n_vocab, .n_draft_max = n_draft_max };
	s->scaled = calloc(n_vocab, sizeof(*s->scaled));
	s->heap = calloc(n_vocab, sizeof(*s->heap));
	s->count = calloc(n_vocab, sizeof(*s->count));
	s->weight = calloc(n_vocab, sizeof(*s->weight));
	if (s->scaled && s->heap && s->count && s->weight)
		return 0;
	sample_deinit(s);
	return -ENOMEM;
}

void sample_deinit(struct sample *s)
{
	free(s->scaled);
	free(s->heap);
	free(s->count);
	free(s->weight);
	memset(s, 0, sizeof(*s));
}

/* ---- adjustments ---- */

static void penalize(struct sample *s, float *logits, const struct sampling *o, const int32_t *window, uint32_t n)
{
	if (o->repetition_penalty == 1 && o->presence_penalty == 0 && o->frequency_penalty == 0)
		return;
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
}

static void adjust(struct sample *s, float *logits, const struct sampling *o, const int32_t *window, uint32_t n)
{
	for (uint32_t i = 0; i < o->n_bias; i++)
		logits[o->bias[i].token] += o->bias[i].bias;
	penalize(s, logits, o, window, n);
}

/* ---- the candidates, most likely first: a heap that is popped only as far as the filters ask ---- */

/* Does a come before b? Ties: the smaller id. */
static bool is_before(const float *x, uint32_t a, uint32_t b)
{
	return x[a] > x[b] || (x[a] == x[b] && a < b);
}

static void sift_down(const float *x, uint32_t *heap, uint32_t n, uint32_t i)
{
	uint32_t v = heap[i];

	for (;;) {
		uint32_t c = 2 * i + 1;

		if (c >= n)
			break;
		if (c + 1 < n && is_before(x, heap[c + 1], heap[c]))
			c++;
		if (!is_before(x, heap[c], v))
			break;
		heap[i] = heap[c];
		i = c;
	}
	heap[i] = v;
}

/* Leaves the candidates in heap[n_vocab - m, n_vocab) with the most likely at the end, weights in the same places. */
static uint32_t gather(struct sample *s, const struct sampling *o, float max, float total)
{
	uint32_t n = s->n_vocab, limit = o->top_k && o->top_k < n ? o->top_k : n, m = 0;
	bool is_early = o->top_p > 0 && o->top_p < 1 && limit == n;
	float sum = 0;

	for (uint32_t i = 0; i < n; i++)
		s->heap[i] = i;
	for (uint32_t i = n / 2; i-- > 0;)
		sift_down(s->scaled, s->heap, n, i);
	/* top_p is a share of what top_k left: that sum is only known once they are popped. */
	while (m < limit) {
		uint32_t id = s->heap[0];
		float w = s->kernels->sum_exp(&s->scaled[id], 1, max);

		if (m && !(w >= o->min_p))
			break;
		if (m && is_early && sum >= o->top_p * total)
			break;
		n--;
		s->heap[0] = s->heap[n];
		sift_down(s->scaled, s->heap, n, 0);
		s->heap[n] = id;
		s->weight[n] = w;
		sum += w;
		m++;
	}
	return m;
}

/* The share of top_p among m candidates whose weights sum up from the most likely on. */
static uint32_t cut_top_p(const struct sample *s, uint32_t m, float top_p)
{
	float sum = 0, part = 0;

	for (uint32_t i = 0; i < m; i++)
		sum += s->weight[s->n_vocab - 1 - i];
	for (uint32_t i = 0; i < m; i++) {
		part += s->weight[s->n_vocab - 1 - i];
		if (part >= top_p * sum)
			return i + 1;
	}
	return m;
}

static int32_t draw_candidate(const struct sample *s, uint32_t m, float u)
{
	float sum = 0, part = 0;

	for (uint32_t i = 0; i < m; i++)
		sum += s->weight[s->n_vocab - 1 - i];
	for (uint32_t i = 0; i < m; i++) {
		part += s->weight[s->n_vocab - 1 - i];
		if (part > u * sum)
			return (int32_t)s->heap[s->n_vocab - 1 - i];
	}
	return (int32_t)s->heap[s->n_vocab - 1];
}

/* No filter: by inverse distribution in order of id, without sorting. */
static int32_t draw_any(struct sample *s, float max, uint32_t argmax, float u)
{
	uint32_t n_chunk = (s->n_vocab + DRAW_CHUNK - 1) / DRAW_CHUNK;
	float total = 0, part = 0;

	for (uint32_t c = 0; c < n_chunk; c++) {
		uint32_t n = s->n_vocab - c * DRAW_CHUNK < DRAW_CHUNK ? s->n_vocab - c * DRAW_CHUNK : DRAW_CHUNK;

		s->weight[c] = s->kernels->sum_exp(s->scaled + c * DRAW_CHUNK, n, max);
		total += s->weight[c];
	}
	for (uint32_t c = 0; c < n_chunk; c++) {
		if (!(part + s->weight[c] > u * total)) {
			part += s->weight[c];
			continue;
		}
		for (uint32_t i = c * DRAW_CHUNK; i < s->n_vocab && i < (c + 1) * DRAW_CHUNK; i++) {
			part += s->kernels->sum_exp(&s->scaled[i], 1, max);
			if (part > u * total)
				return (int32_t)i;
		}
	}
	return (int32_t)argmax; /* rounding, or logits that are no numbers */
}

static int32_t draw(struct sample *s, const float *logits, const struct sampling *o, uint64_t position)
{
	float max, u = philox_uniform(o->seed, position);
	bool has_top_p = o->top_p > 0 && o->top_p < 1;
	uint32_t argmax, m;

	for (uint32_t i = 0; i < s->n_vocab; i++)
		s->scaled[i] = logits[i] / o->temperature;
	s->kernels->argmax(&max, &argmax, s->scaled, s->n_vocab);
	if (!isfinite(max))
		return (int32_t)argmax;
	if (!has_top_p && !o->top_k && !(o->min_p > 0))
		return draw_any(s, max, argmax, u);
	m = gather(s, o, max, has_top_p ? s->kernels->sum_exp(s->scaled, s->n_vocab, max) : 0);
	if (has_top_p && o->top_k)
		m = cut_top_p(s, m, o->top_p);
	return draw_candidate(s, m, u);
}

int32_t sample_row(struct sample *s, float *logits, const struct sampling *o, const int32_t *window, uint32_t n_window,
		   uint64_t position)
{
	uint32_t id;
	float max;

	adjust(s, logits, o, window, n_window);
	if (o->temperature > 0)
		return draw(s, logits, o, position);
	s->kernels->argmax(&max, &id, logits, s->n_vocab);
	return (int32_t)id;
}

/* ---- reports ---- */

static void report_top(const struct sample *s, const float *logits, float log_z, uint32_t n_top,
		       struct batch_token *out)
{
	out->n_top = 0;
	for (uint32_t i = 0; i < s->n_vocab && n_top; i++) {
		uint32_t k = out->n_top;

		if (k == n_top && !(logits[i] > out->top[k - 1].logprob))
			continue;
		if (k < n_top)
			out->n_top++;
		else
			k--;
		for (; k > 0 && logits[i] > out->top[k - 1].logprob; k--)
			out->top[k] = out->top[k - 1];
		out->top[k] = (struct gyre_top){ i, logits[i] };
	}
	for (uint32_t k = 0; k < out->n_top; k++)
		out->top[k].logprob -= log_z;
}

/* log-probability of out->token and the alternatives, from adjusted logits. */
static void report(const struct sample *s, const float *logits, uint32_t n_top, struct batch_token *out)
{
	uint32_t id;
	float max, log_sum;

	s->kernels->argmax(&max, &id, logits, s->n_vocab);
	log_sum = sample_log(s->kernels->sum_exp(logits, s->n_vocab, max));
	out->logprob = logits[out->token] - max - log_sum;
	report_top(s, logits, max + log_sum, n_top, out);
}

static struct batch_token *next_out(struct batch *b, uint32_t seq, int32_t token)
{
	struct batch_token *out = &b->out[b->n_token++];

	out->seq = seq;
	out->token = token;
	return out;
}

static void score_row(struct sample *s, struct batch *b, uint32_t seq, uint32_t pos, float *logits)
{
	struct request *r = b->seq[seq].request;
	struct batch_token *out = next_out(b, seq, r->token[pos + 1]);
	uint32_t n = pos + 1 < r->sampling.penalty_last_n ? pos + 1 : r->sampling.penalty_last_n;

	adjust(s, logits, &r->sampling, r->token + pos + 1 - n, n);
	report(s, logits, r->sampling.n_top, out);
}

/* true: the guess at the next position was right, or there is none to doubt; the next row counts. */
static bool generate_row(struct sample *s, struct batch *b, uint32_t seq, uint32_t pos, float *logits)
{
	struct request *r = b->seq[seq].request;
	uint32_t n = pos + 1 < r->sampling.penalty_last_n ? pos + 1 : r->sampling.penalty_last_n;
	bool is_last = pos + 1 == b->seq[seq].n_past + b->seq[seq].n_row;
	int32_t guess = is_last ? -1 : r->token[pos + 1];
	int32_t id = sample_row(s, logits, &r->sampling, r->token + pos + 1 - n, n, pos + 1);

	report(s, logits, r->sampling.n_top, next_out(b, seq, id));
	r->token[r->n_token++] = id;
	s->n_token++;
	return !is_last && guess == id;
}

static void adapt_draft(struct sample *s, struct request *r, const struct batch_seq *q, uint32_t n_hit)
{
	counter_add(&s->n_draft_hit, n_hit);
	if (!q->n_draft)
		return;
	if (n_hit == q->n_draft && r->n_draft < s->n_draft_max)
		r->n_draft++;
	else if (!n_hit)
		r->n_draft = (r->n_draft + 1) / 2;
}

static void sample_seq(struct sample *s, struct batch *b, uint32_t seq, uint32_t *logit)
{
	struct batch_seq *q = &b->seq[seq];
	struct request *r = q->request;
	uint32_t end = q->n_past + q->n_row - q->n_draft, n_hit = 0;
	bool counts = true;

	for (; *logit < b->n_logit && b->row_seq[b->logit_row[*logit]] == seq; ++*logit) {
		uint32_t pos = (uint32_t)b->pos[b->logit_row[*logit]];
		float *logits = b->logits + (size_t)*logit * b->logit_stride;

		if (r->op == GYRE_OP_SCORE) {
			score_row(s, b, seq, pos, logits);
		} else if (counts) {
			counts = generate_row(s, b, seq, pos, logits);
			n_hit += counts;
		}
	}
	r->n_past = end + n_hit;
	adapt_draft(s, r, q, n_hit);
}

void sample_batch(struct sample *s, struct batch *b)
{
	uint32_t logit = 0;

	b->forward_ns = batch_now_ns() - b->layout_ns;
	b->n_token = 0;
	for (uint32_t i = 0; i < b->n_seq; i++)
		sample_seq(s, b, i, &logit);
	assert(logit == b->n_logit);
	b->time_ns = batch_now_ns();
	profile_lap(PROFILE_SAMPLE);
}
