#include "daemon/sched/cost.h"

#include <math.h>

#define NOISE        0.1  /* of a step's time: standard deviation */
#define DRIFT        0.01 /* of what is learned, in a step */
#define OUTLIER      3.0  /* deviations: more is somebody else's doing */
#define KNOT_MIN     0.25 /* of the least step: logits and positions are not all that it takes */
#define DOUBT_MAX    100.0
#define FORGET       4096u
#define PROMPT_STEPS 64u /* with chunks, before the least of a row is believed */

enum { LOGIT = COST_KNOT_MAX, SINGLE, CHUNK };

/* What a, b and c may be at first, of a step's time. */
static const double first_guess[] = { 1.0 / 8, 1.0 / 2000, 1.0 / 8000 };

/* ---- rows ---- */

/* Rows of knot k: 1, 2, 3, 4, 6, 8, 12 .. */
static double knot_rows(uint32_t k)
{
	return k == 0 ? 1 : (double)((k % 2 ? 2u : 3u) << ((k - 1) / 2));
}

/* The last knot of no more than n rows. */
static uint32_t knot_below(uint32_t n)
{
	uint32_t log = 31 - (uint32_t)__builtin_clz(n), k = log ? 2 * log - 1 + ((n >> (log - 1)) & 1) : 0;

	return k < COST_KNOT_MAX ? k : COST_KNOT_MAX - 1;
}

/* Where n lies between knots a and b. */
static double part_of(uint32_t a, uint32_t b, double n)
{
	return a == b ? 0 : (n - knot_rows(a)) / (knot_rows(b) - knot_rows(a));
}

/* Of knot k. A single row that was met on a bad day takes no longer than more rows do. */
static double knot_ns(const struct cost *c, uint32_t k)
{
	double ns = c->ns[k];

	for (uint32_t more = k ? 0 : c->known & ~1u; more; more &= more - 1)
		ns = fmin(ns, c->ns[__builtin_ctz(more)]);
	return ns;
}

static double base_ns(const struct cost *c, uint32_t n_row)
{
	uint32_t k = knot_below(n_row), low, high, a, b;

	low = c->known & ((2u << k) - 1);
	high = c->known & ~(knot_rows(k) < n_row ? (2u << k) - 1 : (1u << k) - 1);
	if (!low && !high)
		return n_row;
	a = low ? 31 - (uint32_t)__builtin_clz(low) : 0;
	b = high ? (uint32_t)__builtin_ctz(high) : 0;
	if (!high)
		return knot_ns(c, a) * n_row / knot_rows(a);
	if (!low)
		return c->ns[b];
	return knot_ns(c, a) + (knot_ns(c, b) - knot_ns(c, a)) * part_of(a, b, n_row);
}

double cost_predict(const struct cost *c, const struct cost_work *w)
{
	if (!w->n_row)
		return 0;
	return base_ns(c, w->n_row) + c->ns[LOGIT] * w->n_logit + c->ns[SINGLE] * (double)w->n_single +
	       c->ns[CHUNK] * (double)w->n_chunk;
}

double cost_of_row(const struct cost *c, uint32_t n_row, bool is_single, bool has_logit, uint64_t n_position)
{
	return base_ns(c, n_row) / n_row + (has_logit ? c->ns[LOGIT] : 0) +
	       c->ns[is_single ? SINGLE : CHUNK] * (double)n_position;
}

/* ---- the least ---- */

static void note_least(uint64_t *least, uint64_t ns)
{
	uint64_t old = *least + *least / FORGET + 1;

	*least = *least && old < ns ? old : ns;
}

uint64_t cost_least_ns(const struct cost *c, uint32_t n_row)
{
	if (c->n_prompt_step < PROMPT_STEPS || n_row <= 1)
		return c->least_ns / 2;
	return (c->least_ns + (n_row - 1) * c->least_row_ns) / 2;
}

/* ---- learning ---- */

/* Step w in terms of what is learned; at most five are not 0. */
static void describe(const struct cost_work *w, double x[COST_MAX])
{
	uint32_t k = knot_below(w->n_row), next = k + 1 < COST_KNOT_MAX ? k + 1 : k;
	double part = part_of(k, next, w->n_row);

	for (uint32_t i = 0; i < COST_MAX; i++)
		x[i] = 0;
	x[k] = k == next ? w->n_row / knot_rows(k) : 1 - part;
	if (part > 0)
		x[next] = part;
	x[LOGIT] = w->n_logit;
	x[SINGLE] = (double)w->n_single;
	x[CHUNK] = (double)w->n_chunk;
}

/* Knot k is met for the first time: it may be what it was taken for, or anything like it. */
static void meet(struct cost *c, uint32_t k, double ns)
{
	if (!c->known)
		for (uint32_t i = LOGIT; i < COST_MAX; i++)
			c->var[i][i] = ns * ns * first_guess[i - LOGIT] * first_guess[i - LOGIT];
	c->ns[k] = c->known ? base_ns(c, (uint32_t)knot_rows(k)) : ns;
	c->var[k][k] = c->ns[k] * c->ns[k];
}

static void meet_knots(struct cost *c, const double x[COST_MAX], double ns)
{
	uint32_t met = 0;

	for (uint32_t k = 0; k < COST_KNOT_MAX; k++)
		if (x[k] > 0 && !(c->known >> k & 1)) {
			meet(c, k, ns);
			met |= 1u << k;
		}
	c->known |= met;
}

/* What i may well be: one that was found to be nothing may come to be something. */
static double scale_of(const struct cost *c, uint32_t i)
{
	double least = (double)c->least_ns;

	return fmax(c->ns[i], i < LOGIT ? least / 2 : first_guess[i - LOGIT] / 10 * least);
}

/* Everything may have changed a little since the last step, but is not less known than at first. */
static void drift(struct cost *c)
{
	for (uint32_t i = 0; i < COST_MAX; i++) {
		double most = scale_of(c, i) * scale_of(c, i);

		if (c->var[i][i] < most)
			c->var[i][i] += DRIFT * DRIFT * most;
	}
}

/* What was thought to be known is in doubt. */
static void doubt(struct cost *c, double by)
{
	for (uint32_t i = 0; i < COST_MAX; i++) {
		double most = fmin(c->var[i][i] * by, scale_of(c, i) * scale_of(c, i));

		c->var[i][i] = fmax(c->var[i][i], most);
	}
}

/* to = var x; returns x' var x. */
static double spread(const struct cost *c, const double x[COST_MAX], double to[COST_MAX])
{
	double sum = 0;

	for (uint32_t i = 0; i < COST_MAX; i++)
		to[i] = 0;
	for (uint32_t k = 0; k < COST_MAX; k++)
		for (uint32_t i = 0; x[k] != 0 && i < COST_MAX; i++)
			to[i] += c->var[k][i] * x[k];
	for (uint32_t i = 0; i < COST_MAX; i++)
		sum += to[i] * x[i];
	return sum;
}

static void correct(struct cost *c, const double gain[COST_MAX], double all, double error)
{
	for (uint32_t i = 0; i < COST_MAX; i++) {
		double floor = c->known >> i & 1 ? KNOT_MIN * (double)c->least_ns : 0;

		c->ns[i] = fmax(c->ns[i] + gain[i] / all * error, floor);
		for (uint32_t k = 0; k < COST_MAX; k++)
			c->var[i][k] -= gain[i] * gain[k] / all;
	}
}

static void fit(struct cost *c, const struct cost_work *w, double ns)
{
	double x[COST_MAX], gain[COST_MAX], noise, all, error;

	describe(w, x);
	meet_knots(c, x, ns);
	drift(c);
	error = ns - cost_predict(c, w);
	noise = NOISE * (error < 0 ? ns : ns - error);
	all = spread(c, x, gain) + noise * noise;
	if (error < 0 && error * error > OUTLIER * OUTLIER * all) {
		doubt(c, fmin(error * error / (OUTLIER * OUTLIER * all), DOUBT_MAX));
		all = spread(c, x, gain) + noise * noise;
	}
	correct(c, gain, all, fmin(error, OUTLIER * sqrt(all)));
}

void cost_learn(struct cost *c, const struct cost_work *w, uint64_t ns)
{
	if (!w->n_row || !ns)
		return;
	c->n_step += c->n_step < COST_WARM;
	note_least(&c->least_ns, ns);
	if (w->n_chunk) {
		c->n_prompt_step += c->n_prompt_step < PROMPT_STEPS;
		note_least(&c->least_row_ns, ns / w->n_row);
	}
	fit(c, w, (double)ns);
}
