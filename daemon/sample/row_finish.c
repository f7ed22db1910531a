#include "daemon/sample/log.h"
#include "daemon/sample/philox.h"
#include "daemon/sample/row.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MERGE_RANGES 64u /* at once */

int row_scratch_init(struct row_scratch *s, uint32_t n_vocab)
{
	memset(s, 0, sizeof(*s));
	s->id = calloc(n_vocab, sizeof(*s->id));
	s->weight = calloc(n_vocab, sizeof(*s->weight));
	if (s->id && s->weight && order_init(&s->order, n_vocab) == 0)
		return 0;
	row_scratch_deinit(s);
	return -ENOMEM;
}

void row_scratch_deinit(struct row_scratch *s)
{
	order_deinit(&s->order);
	free(s->id);
	free(s->weight);
	memset(s, 0, sizeof(*s));
}

/* What the ranges gave, together. */
struct row_whole {
	float max;
	uint32_t max_range;        /* the first range that has it */
	double sum, scaled_sum;    /* sums of thousands of equal floats would drift; scaled_sum if it is needed */
	float inverse, scaled_max; /* 1 / temperature, max / temperature */
};

/* The weights at temperature of tokens with these logits. */
static void weights_of(float *weight, const struct kernels *k, const struct row_whole *w, const float *logit,
		       uint32_t n)
{
	k->exps(weight, logit, n, w->inverse, w->scaled_max);
}

static float weight_of(const struct kernels *k, const struct row_whole *w, float logit)
{
	weights_of(&logit, k, w, &logit, 1);
	return logit;
}

/* Sums of ranges [first, first + n), n in 1..MERGE_RANGES; scaled_sum is from now on relative to the row's maximum. */
static void merge_sums(struct row_whole *w, const struct row *r, const struct kernels *k, uint32_t first, uint32_t n)
{
	const struct logit_range *p = r->range + first;
	float max[MERGE_RANGES], weight[MERGE_RANGES];
	uint32_t i = 0;

	do
		max[i] = p[i].max;
	while (++i < n);
	k->exps(weight, max, n, 1, w->max);
	for (i = 0; i < n; i++)
		w->sum += (double)(p[i].sum * weight[i]);
	if (!row_needs_scaled_sum(r))
		return;
	weights_of(weight, k, w, max, n);
	for (i = 0; i < n; i++)
		w->scaled_sum += (double)(r->scaled_sum[first + i] *= weight[i]);
}

static void merge(struct row_whole *w, const struct row *r, const struct kernels *k, uint32_t n_range)
{
	float temperature = r->sampling->temperature;

	*w = (struct row_whole){ .max = r->range[0].max };
	for (uint32_t c = 1; c < n_range; c++) {
		if (r->range[c].max > w->max) {
			w->max = r->range[c].max;
			w->max_range = c;
		}
	}
	w->inverse = temperature > 0 ? 1 / temperature : 1;
	w->scaled_max = w->max * w->inverse;
	for (uint32_t c = 0; c < n_range; c += MERGE_RANGES)
		merge_sums(w, r, k, c, n_range - c < MERGE_RANGES ? n_range - c : MERGE_RANGES);
}

/* Does the list of candidates end before number i, of weight w, when those before sum to `part` of total? */
static bool ends_before(const struct sampling *o, uint32_t i, float w, double part, double total)
{
	return i && (!(w >= o->min_p) || (sampling_has_top_p(o) && part >= (double)o->top_p * total));
}

/*
 * The k-th largest of the ranges' maxima: k tokens at least are no smaller, so the k likeliest are found without looking at
 * what is. -INFINITY: there are not as many ranges.
 */
static float floor_of_first(const struct row *r, uint32_t n_range, uint32_t k, float *top)
{
	uint32_t n = 0;

	if (k > n_range)
		return -INFINITY;
	for (uint32_t c = 0; c < n_range; c++) {
		float max = r->range[c].max;
		uint32_t i = n;

		if (max != max || (n == k && !(max > top[k - 1])))
			continue;
		if (n < k)
			n++;
		else
			i = k - 1;
		for (; i && max > top[i - 1]; i--)
			top[i] = top[i - 1];
		top[i] = max;
	}
	return n == k ? top[k - 1] : -INFINITY;
}

/* The candidates that the filters leave: how many. */
static uint32_t gather(const struct row *r, const struct kernels *k, uint32_t n_vocab, const struct row_whole *whole,
		       struct row_scratch *s)
{
	const struct sampling *o = r->sampling;
	uint32_t limit = o->top_k && o->top_k < n_vocab ? o->top_k : n_vocab, m = 0, id;
	bool is_share_of_k = sampling_has_top_p(o) && limit < n_vocab; /* known once all of them are */
	double sum = 0, part = 0;

	order_begin(&s->order, r->logits, r->block_max, n_vocab,
		    floor_of_first(r, logit_n_range(n_vocab), limit, s->weight));
	while (m < limit && order_next(&s->order, &id)) {
		float w = weight_of(k, whole, r->logits[id]);

		if (!is_share_of_k && ends_before(o, m, w, sum, whole->scaled_sum))
			break;
		s->id[m] = id;
		s->weight[m++] = w;
		sum += (double)w;
	}
	for (uint32_t i = 0; is_share_of_k && i < m; part += (double)s->weight[i++])
		if (ends_before(o, i, s->weight[i], part, sum))
			return i;
	return m;
}

static uint32_t draw_candidate(const struct row_scratch *s, uint32_t m, float u)
{
	double sum = 0, part = 0;

	for (uint32_t i = 0; i < m; i++)
		sum += (double)s->weight[i];
	for (uint32_t i = 0; i < m; i++) {
		part += (double)s->weight[i];
		if (part > (double)u * sum)
			return s->id[i];
	}
	return s->id[0];
}

/* The token of a range where the sum that begins with `part` passes `target`; the last with any weight if rounding says none. */
static uint32_t draw_in_range(const struct row *r, const struct kernels *k, uint32_t n_vocab, const struct row_whole *w,
			      uint32_t range, double part, double target)
{
	uint32_t first = range * LOGIT_RANGE, n = logit_range_tokens(n_vocab, range), last = 0;
	float weight[LOGIT_RANGE];

	weights_of(weight, k, w, r->logits + first, n);
	for (uint32_t i = 0; i < n; i++) {
		part += (double)weight[i];
		if (part > target)
			return first + i;
		if (weight[i] > 0)
			last = i;
	}
	return first + last;
}

static uint32_t likeliest(const struct row *r, const struct kernels *k, uint32_t n_vocab, const struct row_whole *w)
{
	uint32_t first = w->max_range * LOGIT_RANGE;

	return first + (uint32_t)k->argmax(r->logits + first, logit_range_tokens(n_vocab, w->max_range));
}

/* No filter: by inverse distribution in order of id, without sorting. */
static uint32_t draw_any(const struct row *r, const struct kernels *k, uint32_t n_vocab, const struct row_whole *w,
			 float u)
{
	double part = 0, target = (double)u * w->scaled_sum;

	for (uint32_t c = 0; c < logit_n_range(n_vocab); c++) {
		double more = part + (double)r->scaled_sum[c];

		if (more > target)
			return draw_in_range(r, k, n_vocab, w, c, part, target);
		part = more;
	}
	return likeliest(r, k, n_vocab, w);
}

static uint32_t draw(const struct row *r, const struct kernels *k, uint32_t n_vocab, const struct row_whole *w,
		     struct row_scratch *s)
{
	float u;
	uint32_t m;

	if (!(r->sampling->temperature > 0) || !isfinite(w->scaled_max))
		return likeliest(r, k, n_vocab, w);
	u = philox_uniform(r->sampling->seed, r->position);
	if (!sampling_has_filter(r->sampling))
		return draw_any(r, k, n_vocab, w, u);
	m = gather(r, k, n_vocab, w, s);
	return draw_candidate(s, m, u);
}

void row_finish(const struct row *r, const struct kernels *k, uint32_t n_vocab, struct row_scratch *s)
{
	struct batch_token *out = r->out;
	struct row_whole w;
	float log_sum;
	uint32_t id;

	merge(&w, r, k, logit_n_range(n_vocab));
	if (r->is_drawn)
		out->token = (int32_t)draw(r, k, n_vocab, &w, s);
	log_sum = sample_log((float)w.sum);
	out->logprob = r->logits[out->token] - w.max - log_sum;
	out->n_top = 0;
	if (!r->sampling->n_top)
		return;
	order_begin(&s->order, r->logits, r->block_max, n_vocab,
		    floor_of_first(r, logit_n_range(n_vocab), r->sampling->n_top, s->weight));
	/* Tokens that the caller has banned come last. */
	while (out->n_top < r->sampling->n_top && order_next(&s->order, &id) && isfinite(r->logits[id]))
		out->top[out->n_top++] = (struct gyre_top){ id, r->logits[id] - w.max - log_sum };
}
