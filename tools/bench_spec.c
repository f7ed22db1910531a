/*
 * `gyre bench spec`: what guesses bring. The same prompts are answered by one daemon without guesses and with those of each kind, in an
 * order that turns, so that whatever else the host does meets all of them; the speed-up is the median of the repetitions' own ratios. A
 * token that differs is a failure, since guesses are only ever verified.
 */
#include "tools/bench_spec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPEAT_MAX 1000u

/* One task at one batch. */
struct contest {
	struct link *l;
	const struct args *args;
	const struct spec_task *task;
	uint32_t n_seq;
	struct spec_answers answers[SPEC_MODES];
	double rate[SPEC_MODES][REPEAT_MAX], ratio[SPEC_MODES][REPEAT_MAX], predicted[SPEC_MODES][REPEAT_MAX];
	uint32_t n;                          /* repetitions that had something to time */
	struct spec_outcome sum[SPEC_MODES]; /* counts alone */
};

/* ---- the answers are the same ---- */

static int check_one(const struct contest *c, uint32_t mode, uint32_t i)
{
	const struct spec_answers *want = &c->answers[SPEC_NONE], *got = &c->answers[mode];
	const int32_t *a = want->token + (size_t)i * SPEC_GEN_MAX, *b = got->token + (size_t)i * SPEC_GEN_MAX;
	uint32_t at = 0;

	while (at < want->n[i] && at < got->n[i] && a[at] == b[at])
		at++;
	if (at < want->n[i] && at < got->n[i])
		return fail(
			TOOL_FAILED,
			"%s, batch %u, answer %u: token %u is %d without guesses and %d with %s; guesses must never "
			"change one: report this",
			c->task->name, c->n_seq, i, at, a[at], b[at], spec_mode_name(mode));
	if (want->n[i] != got->n[i])
		return fail(TOOL_FAILED,
			    "%s, batch %u, answer %u: %u tokens without guesses and %u with %s; guesses must never "
			    "change an answer: report this",
			    c->task->name, c->n_seq, i, want->n[i], got->n[i], spec_mode_name(mode));
	return TOOL_OK;
}

static int check_all(const struct contest *c)
{
	int code = TOOL_OK;

	for (uint32_t mode = SPEC_NONE + 1; mode < SPEC_MODES; mode++)
		for (uint32_t i = 0; i < c->n_seq && code == TOOL_OK; i++)
			code = check_one(c, mode, i);
	return code;
}

/* ---- repetitions ---- */

static double rate_of(const struct spec_outcome *o)
{
	return o->n_window && o->window_s > 0 ? o->n_window / o->window_s : NAN;
}

static void note(struct contest *c, const struct spec_outcome *o)
{
	for (uint32_t m = 0; m < SPEC_MODES; m++) {
		c->sum[m].n_guessed += o[m].n_guessed;
		c->sum[m].n_hit += o[m].n_hit;
		c->sum[m].n_token += o[m].n_token;
		c->sum[m].n_pass += o[m].n_pass;
	}
	for (uint32_t m = 0; m < SPEC_MODES; m++)
		if (!isfinite(rate_of(&o[m])))
			return; /* answers of one step: nothing to time */
	for (uint32_t m = 0; m < SPEC_MODES; m++) {
		c->rate[m][c->n] = rate_of(&o[m]);
		c->ratio[m][c->n] = rate_of(&o[m]) / rate_of(&o[SPEC_NONE]);
		c->predicted[m][c->n] = o[m].expected;
	}
	c->n++;
}

static int repeat(struct contest *c, uint32_t round, uint64_t seed, bool counts)
{
	struct spec_outcome o[SPEC_MODES];
	int code = spec_run_read(c->l, c->args, c->task, seed, c->n_seq);

	for (uint32_t k = 0; k < SPEC_MODES && code == TOOL_OK; k++) {
		uint32_t mode = (k + round) % SPEC_MODES;

		code = spec_run_answer(c->l, c->args, c->task, c->n_seq, mode, &c->answers[mode], &o[mode]);
	}
	if (code == TOOL_OK)
		code = spec_run_forget(c->l, c->n_seq);
	if (code == TOOL_OK)
		code = check_all(c);
	if (code == TOOL_OK && counts)
		note(c, o);
	return code;
}

static struct spec_figure figure_of(struct contest *c, uint32_t mode)
{
	const struct spec_outcome *s = &c->sum[mode];
	struct spec_figure f = { .task = c->task,
				 .n_seq = c->n_seq,
				 .mode = mode,
				 .with = NAN,
				 .without = NAN,
				 .speedup = NAN,
				 .low = NAN,
				 .high = NAN,
				 .predicted = NAN,
				 .n_guessed = s->n_guessed,
				 .n_hit = s->n_hit,
				 .n_token = s->n_token,
				 .n_pass = s->n_pass };

	if (!c->n)
		return f;
	f.with = median(c->rate[mode], c->n);
	f.without = median(c->rate[SPEC_NONE], c->n);
	f.speedup = median(c->ratio[mode], c->n); /* sorts */
	f.low = c->ratio[mode][0];
	f.high = c->ratio[mode][c->n - 1];
	f.predicted = median(c->predicted[mode], c->n);
	return f;
}

static void report(struct contest *c, json_t *rows)
{
	for (uint32_t mode = SPEC_NONE + 1; mode < SPEC_MODES; mode++) {
		struct spec_figure f = figure_of(c, mode);

		if (rows)
			json_array_append_new(rows, spec_figure_json(&f));
		else
			spec_print_figure(&f);
	}
}

/* The first repetition of a batch's first task is for the daemon to learn what its steps take, and is not counted. */
static int run_task(struct contest *c, uint32_t task, uint32_t n_seq, json_t *rows)
{
	const struct args *a = c->args;
	uint64_t seed = scatter(a->sampling.seed ^ ((uint64_t)task << 40 | (uint64_t)n_seq << 32));
	int code = TOOL_OK;

	c->task = &spec_tasks[task];
	c->n_seq = n_seq;
	c->n = 0;
	memset(c->sum, 0, sizeof(c->sum));
	for (uint32_t round = task ? 1 : 0; round <= a->n_repeat && code == TOOL_OK; round++)
		code = repeat(c, round, seed + (uint64_t)round * SPEC_BATCH_MAX, round > 0);
	if (code == TOOL_OK)
		report(c, rows);
	return code;
}

static int run_all(struct contest *c, json_t *rows)
{
	int code = TOOL_OK;

	if (!rows)
		spec_print_head(c->args, c->l->info.model);
	for (uint32_t i = 0; i < c->args->batch.n; i++)
		for (uint32_t task = 0; task < n_spec_task && code == TOOL_OK; task++)
			code = run_task(c, task, c->args->batch.v[i], rows);
	if (rows && code == TOOL_OK)
		return print_json(json_pack("{s:o,s:I,s:i,s:i,s:O}", "model",
					    json_text(c->l->info.model, strlen(c->l->info.model)), "seed",
					    (json_int_t)c->args->sampling.seed, "max_tokens", (int)c->args->n_gen,
					    "repeat", (int)c->args->n_repeat, "results", rows));
	return code;
}

/* ---- the verb ---- */

static int open_answers(struct spec_answers *s)
{
	s->token = calloc((size_t)SPEC_BATCH_MAX * SPEC_GEN_MAX, sizeof(*s->token));
	s->time_ns = calloc((size_t)SPEC_BATCH_MAX * SPEC_GEN_MAX, sizeof(*s->time_ns));
	return s->token && s->time_ns ? TOOL_OK : fail(TOOL_FAILED, "no memory for answers");
}

static int run_daemon(const struct args *a)
{
	static struct contest c;
	json_t *rows = a->json ? json_array() : NULL;
	struct link l;
	int code = link_open(&l, a);

	c.l = &l;
	c.args = a;
	for (uint32_t m = 0; m < SPEC_MODES && code == TOOL_OK; m++)
		code = open_answers(&c.answers[m]);
	if (code == TOOL_OK)
		code = run_all(&c, rows);
	for (uint32_t m = 0; m < SPEC_MODES; m++) {
		free(c.answers[m].token);
		free(c.answers[m].time_ns);
	}
	json_decref(rows);
	link_close(&l);
	return code;
}

/* JSON's whole numbers and a person's eyes are content with this many. */
static uint64_t seed_of_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return scatter((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec) % 1000000000u + 1;
}

static int check_args(const struct args *a)
{
	if (a->svg && !a->curve)
		return fail(TOOL_USAGE, "--svg draws the curve: give --curve, too");
	if (a->curve && a->batch.n)
		return fail(TOOL_USAGE, "--batch: the curve is of one stream; leave it out");
	if (a->n_depth && !a->curve)
		return fail(TOOL_USAGE, "--depth is the curve's: give --curve, too");
	for (uint32_t i = 0; i < a->batch.n; i++)
		if (a->batch.v[i] > SPEC_BATCH_MAX)
			return fail(TOOL_USAGE, "--batch %u: at most %u answers at once", a->batch.v[i],
				    SPEC_BATCH_MAX);
	if (a->n_gen > SPEC_GEN_MAX)
		return fail(TOOL_USAGE, "--gen %u: at most %u tokens of an answer", a->n_gen, SPEC_GEN_MAX);
	return TOOL_OK;
}

int bench_spec_main(const struct args *given)
{
	struct args a = *given;
	int code = check_args(&a);

	if (code != TOOL_OK)
		return code;
	a.n_gen = a.n_gen ? a.n_gen : 128;
	a.n_repeat = a.n_repeat ? a.n_repeat : 5;
	if (a.curve)
		return spec_curve_main(&a);
	if (!a.batch.n)
		a.batch = (struct list){ .n = 1, .v = { 1 } };
	a.sampling.seed = a.sampling.seed ? a.sampling.seed : seed_of_clock();
	return run_daemon(&a);
}
