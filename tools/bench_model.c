/*
 * `gyre bench model`: prefill and decode of a model in this process. As llama-bench does: -p tokens from an empty context as
 * one prompt, then -n tokens one by one behind a context of -d tokens. --batch: the same of many sequences side by side;
 * --rows: the time of a step against its rows. Every repetition takes the model and the machine's limits in turn.
 */
#include "tools/tool.h"

#include "daemon/util/minmax.h"
#include "tools/bench_run.h"
#include "tools/steps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_STEPS 3u /* a repetition */
#define SWEEP_DEPTH 16u
#define PAIRS       16u /* steps of one token a repetition, for their share of the read bandwidth */

/* Medians of a step: its time; its time over that of the first of --rows; its time over the higher roof's. */
enum figure { SECONDS, TO_FIRST, TO_ROOF, N_FIGURES };

struct point {
	uint32_t n;
	double prompt[N_FIGURES], seqs[N_FIGURES]; /* n rows of one prompt, and a row of each of n sequences */
};

struct share {
	double median, low, high; /* low, high: a quarter of them lies below, above */
};

struct bench {
	struct bench_run run;
	struct bench_limits limits;
	struct bench_moment moment; /* the last one taken */
	struct bench_roof roof;
	struct steps pp_steps, tg_steps;
	double pp_s, tg_s;   /* of the prompt; of one token */
	struct share pp, tg; /* of peak multiply-adds, of the read bandwidth */
	struct point row[LIST_MAX];
	double batch_s[LIST_MAX];
};

static uint32_t list_max(const struct list *l)
{
	uint32_t max = 0;

	for (uint32_t i = 0; i < l->n; i++)
		max = max_u32(max, l->v[i]);
	return max;
}

static int open_all(struct bench *b, const struct args *a, struct error *e)
{
	struct bench_size s = { .n_ctx = max_u32(a->n_prompt, a->n_depth + a->n_gen),
				.n_thread = a->n_thread,
				.n_node = a->n_node };
	int r;

	s.n_seq = max_u32(list_max(&a->rows), list_max(&a->batch));
	s.n_each = max_u32(a->batch.n ? a->n_depth + a->n_gen : 0, SWEEP_DEPTH + SWEEP_STEPS);
	s.n_ctx = max_u32(s.n_ctx, list_max(&a->rows));
	s.kv_type = kvq_parse(a->kv_type);
	s.isa = a->isa ? kernels_isa_parse(a->isa) : ISA_MAX;
	r = bench_run_open(&b->run, a->model, &s, e);
	return r < 0 ? r : bench_limits_open(&b->limits, &b->run.weights->pool[0], s.isa, b->run.team, a->n_repeat, e);
}

/* Runs one measurement, and adds the laps it took to *sum. */
static void count_laps(struct bench *b, struct steps *sum, double *s, uint32_t n_prompt, uint32_t depth, uint32_t n_gen)
{
	static struct steps before, after;

	steps_read(&before, b->run.team, b->run.model);
	*s = n_prompt ? bench_prefill_s(&b->run, n_prompt) : bench_decode_s(&b->run, 1, depth, n_gen) / n_gen;
	steps_read(&after, b->run.team, b->run.model);
	steps_subtract(&after, &before);
	steps_add(sum, &after);
}

/* 1e9 multiply-adds a second of a prompt that took s seconds. */
static double prefill_gmacs(const struct bench *b, const struct args *a, double s)
{
	return bench_step_macs(&b->run, a->n_prompt, 1) / s * 1e-9;
}

/*
 * The limits around everything timed since the last call: a host's memory changes its speed within a second, and its neighbours change
 * that of the cores, so a figure is judged by the limits on both sides of it and not by the run's.
 */
static struct bench_moment beside(struct bench *b)
{
	struct bench_moment before = b->moment;

	bench_limits_now(&b->limits, &b->moment);
	return (struct bench_moment){ (before.read_gbps + b->moment.read_gbps) / 2,
				      (before.peak_gmacs + b->moment.peak_gmacs) / 2 };
}

/* The time of a step of n rows with n_logit logits by the higher of the two roofs. */
static double roof_s(const struct bench *b, const struct bench_moment *m, uint32_t n, uint32_t n_logit)
{
	double read = (double)bench_step_bytes(&b->run, 0) / (m->read_gbps * 1e9);
	double mul = bench_step_macs(&b->run, n, n_logit) / (m->peak_gmacs * 1e9);

	return read > mul ? read : mul;
}

/* Samples [point][figure][n]. */
static double *sample(double *x, uint32_t point, enum figure f, uint32_t n)
{
	return x + ((size_t)point * N_FIGURES + f) * n;
}

/* A step of point i took s seconds: the sample `at` of n. */
static void note_step(struct bench *b, double *x, uint32_t i, uint32_t at, uint32_t n, double s, uint32_t n_row,
		      uint32_t n_logit)
{
	struct bench_moment m = beside(b);

	sample(x, i, SECONDS, n)[at] = s;
	sample(x, i, TO_FIRST, n)[at] = s / sample(x, 0, SECONDS, n)[at];
	sample(x, i, TO_ROOF, n)[at] = s / roof_s(b, &m, n_row, n_logit);
}

/* One repetition of a sweep: SWEEP_STEPS samples of each kind at every point. */
static void sweep_rows(struct bench *b, const struct list *l, uint32_t turn, double *prompt, double *seqs, uint32_t n)
{
	for (uint32_t i = 0; i < l->n; i++)
		for (uint32_t k = 0; k < SWEEP_STEPS; k++) {
			uint32_t at = turn * SWEEP_STEPS + k, n_row = l->v[i];

			note_step(b, prompt, i, at, n, bench_prefill_s(&b->run, n_row), n_row, 1);
			note_step(b, seqs, i, at, n, bench_decode_s(&b->run, n_row, SWEEP_DEPTH + k, 1), n_row, n_row);
		}
}

struct samples {
	double *pp, *pp_share, *tg, *tg_share, *prompt, *seqs, *batch;
};

static bool samples_new(struct samples *x, const struct args *a)
{
	size_t n = a->n_repeat, n_step = LIST_MAX * N_FIGURES * SWEEP_STEPS * n;

	x->pp = calloc(n, sizeof(double));
	x->pp_share = calloc(n, sizeof(double));
	x->tg = calloc(n, sizeof(double));
	x->tg_share = calloc(PAIRS * n, sizeof(double));
	x->prompt = calloc(n_step, sizeof(double));
	x->seqs = calloc(n_step, sizeof(double));
	x->batch = calloc(LIST_MAX * n, sizeof(double));
	return x->pp && x->pp_share && x->tg && x->tg_share && x->prompt && x->seqs && x->batch;
}

static void samples_free(struct samples *x)
{
	free(x->pp);
	free(x->pp_share);
	free(x->tg);
	free(x->tg_share);
	free(x->prompt);
	free(x->seqs);
	free(x->batch);
}

/* Shares of single steps of one token. */
static void take_tg_shares(struct bench *b, uint32_t depth, double *share)
{
	for (uint32_t i = 0; i < PAIRS; i++) {
		double gbps = (double)bench_step_bytes(&b->run, depth) / bench_decode_s(&b->run, 1, depth, 1) * 1e-9;

		share[i] = gbps / beside(b).read_gbps;
	}
}

static void take(struct bench *b, const struct args *a, struct samples *x)
{
	uint32_t n = a->n_repeat;

	bench_prefill_s(&b->run, max_u32(a->n_prompt, a->n_depth)); /* fills the KV; warms caches and clocks */
	for (uint32_t i = 0; i < n; i++) {
		bench_limits_turn(&b->limits);
		count_laps(b, &b->tg_steps, &x->tg[i], 0, a->n_depth, a->n_gen);
		beside(b);
		take_tg_shares(b, a->n_depth, x->tg_share + (size_t)PAIRS * i);
		count_laps(b, &b->pp_steps, &x->pp[i], a->n_prompt, 0, 0);
		x->pp_share[i] = prefill_gmacs(b, a, x->pp[i]) / beside(b).peak_gmacs;
		sweep_rows(b, &a->rows, i, x->prompt, x->seqs, SWEEP_STEPS * n);
		for (uint32_t k = 0; k < a->batch.n; k++)
			x->batch[(size_t)k * n + i] =
				bench_decode_s(&b->run, a->batch.v[k], a->n_depth, a->n_gen) / a->n_gen;
	}
}

static struct share share(double *x, size_t n)
{
	return (struct share){ median(x, n), percentile(x, n, 0.25), percentile(x, n, 0.75) };
}

static int measure(struct bench *b, const struct args *a, struct error *e)
{
	uint32_t n = a->n_repeat, n_sweep = SWEEP_STEPS * n;
	struct samples x = { 0 };

	if (!samples_new(&x, a)) {
		samples_free(&x);
		return error_set(e, -ENOMEM, "no memory for %u repetitions", n);
	}
	take(b, a, &x);
	b->pp_s = median(x.pp, n);
	b->tg_s = median(x.tg, n);
	b->pp = share(x.pp_share, n);
	b->tg = share(x.tg_share, (size_t)PAIRS * n);
	for (uint32_t i = 0; i < a->rows.n; i++) {
		b->row[i].n = a->rows.v[i];
		for (enum figure f = 0; f < N_FIGURES; f++) {
			b->row[i].prompt[f] = median(sample(x.prompt, i, f, n_sweep), n_sweep);
			b->row[i].seqs[f] = median(sample(x.seqs, i, f, n_sweep), n_sweep);
		}
	}
	for (uint32_t i = 0; i < a->batch.n; i++)
		b->batch_s[i] = median(x.batch + (size_t)i * n, n);
	bench_limits_roof(&b->limits, &b->roof);
	samples_free(&x);
	return 0;
}

/* ---- what they mean ---- */

static json_t *rows_json(const struct bench *b, const struct args *a)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < a->rows.n; i++) {
		const struct point *p = &b->row[i];

		json_array_append_new(list,
				      json_pack("{s:i,s:f,s:f,s:f,s:f,s:f,s:f}", "rows", (int)p->n, "prompt_ms",
						p->prompt[SECONDS] * 1e3, "prompt_x", p->prompt[TO_FIRST],
						"prompt_x_roof", p->prompt[TO_ROOF], "seqs_ms", p->seqs[SECONDS] * 1e3,
						"seqs_x", p->seqs[TO_FIRST], "seqs_x_roof", p->seqs[TO_ROOF]));
	}
	return list;
}

static json_t *batch_json(const struct bench *b, const struct args *a)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < a->batch.n; i++)
		json_array_append_new(list, json_pack("{s:i,s:f,s:f}", "sequences", (int)a->batch.v[i], "tps",
						      a->batch.v[i] / b->batch_s[i], "step_ms", b->batch_s[i] * 1e3));
	return list;
}

static int print_as_json(const struct bench *b, const struct args *a)
{
	json_t *j = json_pack("{s:f,s:f,s:f,s:f,s:f,s:f}", "pp_tps", a->n_prompt / b->pp_s, "tg_tps", 1 / b->tg_s,
			      "decode_share", b->tg.median, "decode_share_low", b->tg.low, "decode_share_high",
			      b->tg.high, "prefill_gmacs", prefill_gmacs(b, a, b->pp_s));

	json_object_update_new(j, json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:s}", "prefill_share", b->pp.median,
					    "prefill_share_low", b->pp.low, "prefill_share_high", b->pp.high,
					    "read_gbps", b->roof.read_gbps, "peak_gmacs", b->roof.peak_gmacs,
					    "peak_one_gmacs", b->roof.peak_one_gmacs, "read_way", b->roof.read_way));
	json_object_update_new(
		j, json_pack("{s:I,s:I,s:i,s:i,s:i,s:i,s:i,s:s,s:s,s:s,s:f}", "weights_bytes",
			     (json_int_t)b->run.weights->n_bytes, "token_bytes",
			     (json_int_t)bench_step_bytes(&b->run, a->n_depth), "n_prompt", (int)a->n_prompt, "n_gen",
			     (int)a->n_gen, "n_depth", (int)a->n_depth, "threads", team_size(b->run.team), "repeat",
			     (int)a->n_repeat, "isa", b->run.kernels.isa, "kv_type", a->kv_type, "pages",
			     pool_kind_name(b->run.weights->pool[0].kind), "load_s", b->run.weights->seconds));
	json_object_set_new(j, "prefill_steps", steps_json(&b->pp_steps));
	json_object_set_new(j, "decode_steps", steps_json(&b->tg_steps));
	if (a->rows.n)
		json_object_set_new(j, "rows", rows_json(b, a));
	if (a->batch.n)
		json_object_set_new(j, "batch", batch_json(b, a));
	return print_json(j);
}

static void print_sweeps(const struct bench *b, const struct args *a)
{
	if (a->rows.n)
		printf("\nrows   of one prompt: ms, x first, x roof   one of each sequence: ms, x first, x roof\n");
	for (uint32_t i = 0; i < a->rows.n; i++) {
		const struct point *p = &b->row[i];

		printf("%4u %20.2f %8.2f %7.2f %23.2f %8.2f %7.2f\n", p->n, p->prompt[SECONDS] * 1e3,
		       p->prompt[TO_FIRST], p->prompt[TO_ROOF], p->seqs[SECONDS] * 1e3, p->seqs[TO_FIRST],
		       p->seqs[TO_ROOF]);
	}
	for (uint32_t i = 0; i < a->batch.n; i++)
		printf("%stg%u@%u x %-4u   %.1f tok/s\n", i ? "" : "\n", a->n_gen, a->n_depth, a->batch.v[i],
		       a->batch.v[i] / b->batch_s[i]);
}

static int print_figures(const struct bench *b, const struct args *a)
{
	if (a->json)
		return print_as_json(b, a);
	printf("pp%u          %.1f tok/s\ntg%u@%u        %.1f tok/s\n", a->n_prompt, a->n_prompt / b->pp_s, a->n_gen,
	       a->n_depth, 1 / b->tg_s);
	printf("read           %.2f GB/s (%s)\n", b->roof.read_gbps, b->roof.read_way);
	printf("decode_share   %.3f (%.3f to %.3f) of the reads beside each step, of %llu bytes\n", b->tg.median,
	       b->tg.low, b->tg.high, (unsigned long long)bench_step_bytes(&b->run, a->n_depth));
	printf("peak           %.1f G multiply-adds/s (one thread %.1f)\n", b->roof.peak_gmacs, b->roof.peak_one_gmacs);
	printf("prefill_share  %.3f (%.3f to %.3f) of the peaks beside each prompt: %.1f G/s\n", b->pp.median,
	       b->pp.low, b->pp.high, prefill_gmacs(b, a, b->pp_s));
	printf("(%d threads, %s, KV %s, %s, medians of %u)\n\nprefill, a step:\n", team_size(b->run.team),
	       b->run.kernels.isa, a->kv_type, pool_kind_name(b->run.weights->pool[0].kind), a->n_repeat);
	steps_print(&b->pp_steps);
	puts("\ndecode, a step:");
	steps_print(&b->tg_steps);
	print_sweeps(b, a);
	return TOOL_OK;
}

int bench_model_main(const struct args *given)
{
	static struct bench b;
	struct args a = *given;
	struct error e = { "" };
	char why[KERNELS_REFUSAL_BYTES];
	int r;

	if (!a.model)
		return fail(TOOL_USAGE, "bench model needs -m FILE.gguf");
	if (list_max(&a.batch) > BATCH_SEQ_MAX || list_max(&a.rows) > BATCH_SEQ_MAX)
		return fail(TOOL_USAGE, "--rows, --batch: a step has at most %u sequences", BATCH_SEQ_MAX);
	a.kv_type = a.kv_type ? a.kv_type : kvq_name(KVQ_F16);
	if (kvq_parse(a.kv_type) == KVQ_TYPE_MAX)
		return fail(TOOL_USAGE, "--kv-type: '%s' is none of f16, q8_0, f32", a.kv_type);
	if (a.isa && kernels_isa_refusal(why, sizeof(why), a.isa))
		return fail(TOOL_USAGE, "--isa: %s", why);
	a.n_prompt = a.n_prompt ? a.n_prompt : 512;
	a.n_gen = a.n_gen ? a.n_gen : 128;
	a.n_repeat = a.n_repeat ? a.n_repeat : 5;
	r = open_all(&b, &a, &e);
	if (r == 0)
		r = measure(&b, &a, &e);
	r = r < 0 ? fail(TOOL_FAILED, "%s", e.text) : print_figures(&b, &a);
	bench_limits_close(&b.limits);
	bench_run_close(&b.run);
	return r;
}
