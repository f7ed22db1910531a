#include "daemon/model/route.h"

#include <math.h>
#include <string.h>

static void softmax(const struct kernels *k, float *y, const float *x, size_t n)
{
	float max = k->max(x, n), sum = k->sum_exp(x, n, max);

	k->exps(y, x, n, 1, max);
	for (size_t i = 0; i < n; i++)
		y[i] /= sum;
}

static void weigh_all(float *p, const struct kernels *k, const struct hparams *hp, const float *logits)
{
	memcpy(p, logits, hp->n_expert * sizeof(*p));
	if (hp->gating == GATING_SIGMOID)
		k->sigmoid(p, hp->n_expert);
	else if (hp->gating == GATING_SOFTMAX)
		softmax(k, p, p, hp->n_expert);
}

/* A score that can be compared. */
static float score(float x)
{
	return x == x ? x : -INFINITY;
}

/* Where a score belongs among best[n], which descend; behind those that are equal. */
static uint32_t place(const struct routed *best, uint32_t n, float x)
{
	while (n > 0 && x > best[n - 1].weight)
		n--;
	return n;
}

/* best[n_best] = the largest of x[n], weight being the score, in descending order. n >= n_best. */
static void choose(struct routed *best, uint32_t n_best, const float *x, uint32_t n)
{
	uint32_t n_have = 0;

	for (uint32_t i = 0; i < n; i++) {
		float s = score(x[i]);
		uint32_t at = place(best, n_have, s);

		if (at == n_best)
			continue;
		n_have += n_have < n_best;
		memmove(&best[at + 1], &best[at], (n_have - 1 - at) * sizeof(*best));
		best[at] = (struct routed){ i, s };
	}
}

/* The sum of the two largest of x[n]. */
static float two_best(const float *x, uint32_t n)
{
	struct routed best[2] = { { 0, 0 }, { 0, 0 } };

	choose(best, n < 2 ? n : 2, x, n);
	return best[0].weight + best[1].weight;
}

/* Of the groups that are not chosen no expert is. rank: n_group floats. */
static void keep_groups(float *x, const struct hparams *hp, float *rank)
{
	uint32_t n = hp->n_expert / hp->n_group;

	for (uint32_t i = 0; i < hp->n_group; i++)
		rank[i] = score(two_best(x + (size_t)i * n, n));
	for (uint32_t i = 0; i < hp->n_group; i++) {
		uint32_t n_before = 0;

		for (uint32_t k = 0; k < hp->n_group; k++)
			n_before += rank[k] > rank[i] || (rank[k] == rank[i] && k < i);
		for (uint32_t k = 0; k < n && n_before >= hp->n_group_used; k++)
			x[(size_t)i * n + k] = -INFINITY;
	}
}

/* Ascending by expert. */
static void sort(struct routed *to, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct routed r = to[i];
		uint32_t k = i;

		for (; k > 0 && to[k - 1].expert > r.expert; k--)
			to[k] = to[k - 1];
		to[k] = r;
	}
}

/* Softmax of their logits. w: n floats. */
static void weigh_chosen(struct routed *to, const struct kernels *k, uint32_t n, float *w)
{
	for (uint32_t i = 0; i < n; i++)
		w[i] = to[i].weight;
	softmax(k, w, w, n);
	for (uint32_t i = 0; i < n; i++)
		to[i].weight = w[i];
}

static void norm(struct routed *to, uint32_t n)
{
	float sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += to[i].weight;
	sum = sum < ROUTE_SUM_MIN ? ROUTE_SUM_MIN : sum;
	for (uint32_t i = 0; i < n; i++)
		to[i].weight /= sum;
}

void route_row(struct routed *to, const struct kernels *k, const struct hparams *hp, const struct route_in *in,
	       const float *logits, float *scratch)
{
	uint32_t n = hp->n_expert, n_used = hp->n_expert_used;
	float *p = scratch, *by = scratch + n, *rest = scratch + 2 * (size_t)n, *sum = scratch + 3 * (size_t)n;

	if (in->bias || in->scale) {
		memcpy(sum, logits, n * sizeof(*sum));
		if (in->scale)
			k->scale(sum, n, in->scale);
		if (in->bias)
			k->add(sum, in->bias, n);
		logits = sum;
	}
	weigh_all(p, k, hp, logits);
	/* What is only compared may as well be the logits, of which fewer are equal. */
	memcpy(by, in->choose_bias || hp->n_group > 1 ? p : logits, n * sizeof(*by));
	if (in->choose_bias)
		k->add(by, in->choose_bias, n);
	if (hp->n_group > 1)
		keep_groups(by, hp, rest);
	choose(to, n_used, by, n);
	sort(to, n_used);
	for (uint32_t i = 0; i < n_used; i++)
		to[i].weight = p[to[i].expert];
	if (hp->gating == GATING_SOFTMAX_CHOSEN)
		weigh_chosen(to, k, n_used, rest);
	else if (hp->is_expert_normed)
		norm(to, n_used);
	for (uint32_t i = 0; i < n_used && hp->expert_scale != 1; i++)
		to[i].weight *= hp->expert_scale;
	for (uint32_t i = 0; i < n_used && in->times; i++)
		to[i].weight *= in->times[to[i].expert];
}

float route_gate(const struct kernels *k, const float *x, const float *w, size_t n)
{
	float lane[LANES] = { 0 };

	for (size_t i = 0; i < n; i += LANES)
		for (size_t l = 0; l < LANES && l < n - i; l++)
			lane[l] += x[i + l] * w[i + l];
	for (size_t half = LANES / 2; half; half /= 2)
		for (size_t l = 0; l < half; l++)
			lane[l] += lane[l + half];
	k->sigmoid(lane, 1);
	return lane[0];
}
