/*
 * What the records of a load add up to, by vLLM's definitions: TTFT from sending to the first token; TPOT from there to the end over the
 * tokens after the first; ITL each gap between two tokens, of all requests; E2EL from sending to the end. Only requests that succeeded
 * count, and percentiles are numpy's, linear between two ranks.
 */
#include "tools/serve.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int set_goal(struct serve_goals *g, const char *name, double ms)
{
	if (!(ms > 0 && ms <= 1e9))
		return -EINVAL;
	if (!strcmp(name, "ttft"))
		g->ttft_ms = ms;
	else if (!strcmp(name, "tpot"))
		g->tpot_ms = ms;
	else if (!strcmp(name, "e2el"))
		g->e2el_ms = ms;
	else
		return -EINVAL;
	g->is_set = true;
	return 0;
}

int serve_figures_goals(struct serve_goals *g, const char *text)
{
	const char *at = text;

	*g = (struct serve_goals){ .is_set = false };
	while (at && *at) {
		char name[8];
		double ms;
		int n = 0;

		if (sscanf(at, " %7[a-z0-9]:%lf%n", name, &ms, &n) != 2 || !n || set_goal(g, name, ms) < 0 ||
		    (at[n] && !strchr(", ", at[n])))
			return fail(TOOL_USAGE,
				    "--goodput: '%s' is no list of ttft, tpot, e2el with milliseconds, such as "
				    "ttft:200,tpot:50,e2el:3000",
				    text);
		at += n + (at[n] != 0);
	}
	return TOOL_OK;
}

double serve_figures_gap(const struct serve *s, const struct serve_request *r, uint32_t k)
{
	return (s->stamp[r->stamp0 + k + 1] - s->stamp[r->stamp0 + k]) * 1e3;
}

double serve_figures_of(const struct serve *s, const struct serve_request *r, enum serve_metric m)
{
	if (!r->n_stamp)
		return NAN;
	switch (m) {
	case SERVE_TTFT:
		return (s->stamp[r->stamp0] - r->sent_s) * 1e3;
	case SERVE_TPOT:
		return r->n_written > 1 ? (r->end_s - s->stamp[r->stamp0]) * 1e3 / (r->n_written - 1) : NAN;
	case SERVE_E2EL:
		return (r->end_s - r->sent_s) * 1e3;
	default:
		return NAN;
	}
}

/* An answer of one token has no TPOT, which is within any goal. */
static bool is_good(const struct serve *s, const struct serve_request *r)
{
	const struct serve_goals *g = &s->goals;

	return !(g->ttft_ms > 0 && serve_figures_of(s, r, SERVE_TTFT) > g->ttft_ms) &&
	       !(g->tpot_ms > 0 && serve_figures_of(s, r, SERVE_TPOT) > g->tpot_ms) &&
	       !(g->e2el_ms > 0 && serve_figures_of(s, r, SERVE_E2EL) > g->e2el_ms);
}

static bool is_of(const struct serve *s, const struct serve_request *r, uint32_t i, uint32_t uid)
{
	/* One that was never sent is the user's whose turn it would have been. */
	uint32_t client = r->sent_s > 0 ? r->client : i % s->n_client;

	return uid == SERVE_ALL_UIDS || client % s->n_uid == uid;
}

static struct serve_summary summarize(double *x, size_t n)
{
	double sum = 0;

	if (!n)
		return (struct serve_summary){ NAN, NAN, NAN, NAN, NAN };
	for (size_t i = 0; i < n; i++)
		sum += x[i];
	return (struct serve_summary){ .mean = sum / (double)n,
				       .p50 = percentile(x, n, 0.50),
				       .p90 = percentile(x, n, 0.90),
				       .p99 = percentile(x, n, 0.99),
				       .max = percentile(x, n, 1) };
}

/* The numbers of one metric -> x; how many. */
static size_t collect(const struct serve *s, uint32_t uid, enum serve_metric m, double *x)
{
	size_t n = 0;

	for (uint32_t i = 0; i < s->n_request; i++) {
		const struct serve_request *r = &s->request[i];

		if (!is_of(s, r, i, uid) || r->end_s == 0 || r->res < 0)
			continue;
		for (uint32_t k = 0; m == SERVE_ITL && k + 1 < r->n_stamp; k++)
			x[n++] = serve_figures_gap(s, r, k);
		if (m != SERVE_ITL && !isnan(serve_figures_of(s, r, m)))
			x[n++] = serve_figures_of(s, r, m);
	}
	return n;
}

static void count(const struct serve *s, uint32_t uid, struct serve_figures *f, size_t *n_stamp)
{
	for (uint32_t i = 0; i < s->n_request; i++) {
		const struct serve_request *r = &s->request[i];

		f->seconds = fmax(f->seconds, r->end_s - s->shared->begin_s);
		if (!is_of(s, r, i, uid))
			continue;
		if (r->end_s == 0 || r->res < 0) {
			f->n_failed++;
			continue;
		}
		f->n_ok++;
		f->n_good += is_good(s, r);
		f->n_read += r->n_read;
		f->n_written += r->n_written;
		*n_stamp += r->n_stamp;
	}
}

int serve_figures_make(const struct serve *s, uint32_t uid, struct serve_figures *f)
{
	size_t n = 0;
	double *x;

	*f = (struct serve_figures){ .n_ok = 0 };
	count(s, uid, f, &n);
	x = malloc((n + s->n_request + 1) * sizeof(*x));
	if (!x)
		return -ENOMEM;
	for (int m = 0; m < SERVE_METRICS; m++)
		f->of[m] = summarize(x, collect(s, uid, (enum serve_metric)m, x));
	free(x);
	return 0;
}
