#include "daemon/model/reduce.h"
#include "daemon/util/minmax.h"
#include "daemon/util/profile.h"

#include <string.h>

#define PIECE 256u /* columns at a time: what is in between stays in L1 beside what comes from other cores */

struct walk {
	const struct reduce *r;
	const struct plan_sum *s;
	uint32_t next;       /* partial sum: they come in order of chunks */
	size_t at, n;        /* floats of the row */
	float (*sum)[PIECE]; /* [PLAN_DEPTH_MAX]: of each depth of the tree */
};

/* The sum over chunks [begin, end). */
static const float *gather(struct walk *w, uint32_t begin, uint32_t end, int depth)
{
	const struct plan_range *p = &w->s->partial[w->next];
	float *sum = w->sum[depth];
	uint32_t mid;

	if (p->begin == begin && p->end == end)
		return w->r->sum[w->next++] + w->at;
	mid = plan_mid(begin, end);
	memcpy(sum, gather(w, begin, mid, depth + 1), w->n * sizeof(*sum));
	w->r->k->add(sum, gather(w, mid, end, depth + 1), w->n);
	return sum;
}

/* The sum, where it may be written. */
static float *own(struct walk *w, const float *sum)
{
	if (sum != w->sum[0])
		memcpy(w->sum[0], sum, w->n * sizeof(*sum));
	return w->sum[0];
}

/* The whole sum and the bias, NULL or that of its first column. */
static const float *with_bias(struct walk *w, const float *bias)
{
	const float *sum = gather(w, 0, w->s->n_chunk, 0);

	if (!bias)
		return sum;
	w->r->k->add(own(w, sum), bias, w->n);
	return w->sum[0];
}

/* What x gets of a sum. */
static const float *scaled(struct walk *w, const float *sum)
{
	if (w->r->scale == 1)
		return sum;
	w->r->k->scale(own(w, sum), w->n, w->r->scale);
	return w->sum[0];
}

void reduce_add(const struct reduce *r, const struct plan_sum *s, const float *bias, float *x, size_t row, size_t col0,
		size_t col1)
{
	_Alignas(64) float sum[PLAN_DEPTH_MAX][PIECE];

	for (size_t col = col0; col < col1; col += PIECE) {
		struct walk w = {
			.r = r, .s = s, .at = row * r->stride + col, .n = min_size(PIECE, col1 - col), .sum = sum
		};

		r->k->add(x + w.at, scaled(&w, with_bias(&w, bias ? bias + col : NULL)), w.n);
	}
}

void reduce_row(const struct reduce *r, const struct plan_sum *s, const float *bias, float *y, size_t row)
{
	_Alignas(64) float sum[PLAN_DEPTH_MAX][PIECE];

	for (size_t col = 0; col < r->stride; col += PIECE) {
		struct walk w = {
			.r = r, .s = s, .at = row * r->stride + col, .n = min_size(PIECE, r->stride - col), .sum = sum
		};

		memcpy(y + col, with_bias(&w, bias ? bias + col : NULL), w.n * sizeof(*y));
	}
}

void reduce_rows(const struct reduce *r, const struct plan_sum *s, const float *bias, struct team *team, int worker,
		 float *x, size_t n_row)
{
	size_t begin, end;

	team_range(r->stride, team_size(team), worker, LANES, &begin, &end);
	for (size_t row = 0; row < n_row; row++)
		reduce_add(r, s, bias, x, row, begin, end);
	profile_lap(PROFILE_REDUCE);
	team_barrier(team, worker);
}
