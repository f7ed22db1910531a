/*
 * The speed-up by how often a guess is right. The drafter is made up: each of its guesses is right with probability alpha, by a
 * generator's word; all else is as in gyred: the steps are the model's own, timed as they are made, how long they take is learned
 * (daemon/sched/cost.h), and how many guesses ride follows from that (daemon/spec/length.h). A step without guesses is timed beside each
 * with them. What the model of cost foretells stands beside what was measured.
 */
#include "tools/bench_spec.h"

#include "daemon/sched/cost.h"
#include "daemon/spec/length.h"
#include "tools/bench_run.h"

#include <math.h>
#include <string.h>

#define WARM \
	5u /* steps of each number of rows, before anything is counted; one more before each point, as prompts teach gyred */
#define DEPTH      256u
#define REPEAT_MAX 1000u

struct curve {
	struct bench_run run;
	struct cost cost;
	uint32_t depth;
	uint64_t random;
};

/* ---- steps ---- */

/* Rows see what is before them, and themselves. */
static struct cost_work work_of(const struct curve *c, uint32_t n_row)
{
	uint64_t seen = (uint64_t)n_row * c->depth + (uint64_t)n_row * (n_row + 1) / 2;

	return (struct cost_work){
		.n_row = n_row, .n_logit = n_row, .n_single = n_row == 1 ? seen : 0, .n_chunk = n_row == 1 ? 0 : seen
	};
}

static double expect_s(const struct curve *c, uint32_t n_guess)
{
	struct cost_work w = work_of(c, 1 + n_guess);

	return cost_predict(&c->cost, &w) * 1e-9;
}

static uint64_t step_ns(const void *of, uint32_t n_row)
{
	return (uint64_t)(expect_s(of, n_row - 1) * 1e9);
}

static double step_s(struct curve *c, uint32_t n_guess)
{
	struct cost_work w = work_of(c, 1 + n_guess);
	double s = bench_guess_s(&c->run, c->depth, n_guess);

	cost_learn(&c->cost, &w, (uint64_t)(s * 1e9));
	return s;
}

static void teach(struct curve *c, uint32_t n_turn)
{
	for (uint32_t turn = 0; turn < n_turn; turn++)
		for (uint32_t n = 0; n <= REQUEST_DRAFT_MAX; n++)
			step_s(c, n);
}

/* ---- one probability ---- */

struct sums {
	double drawn, s, plain_s;                      /* measured */
	double expected, expected_s, expected_plain_s; /* foretold */
	uint32_t n_step;
	double n_guess;
};

static uint32_t choose(const struct curve *c, double alpha, double *expected)
{
	const struct length_cost cost = { step_ns, c };
	struct length_stream s = { .n = REQUEST_DRAFT_MAX };
	double gain = 1;

	for (uint32_t i = 0; i < s.n; i++)
		s.gain[i] = (float)(gain *= alpha);
	length_choose(&s, 1, 1, 1, REQUEST_DRAFT_MAX, &cost);
	*expected = 1;
	for (uint32_t i = 0; i < s.n_chosen; i++)
		*expected += (double)s.gain[i];
	return s.n_chosen;
}

static bool is_right(struct curve *c, double alpha)
{
	c->random++;
	return (double)(scatter(c->random) >> 11) * 0x1p-53 < alpha;
}

/* A token, and the guesses up to the first that is wrong. */
static uint32_t draw(struct curve *c, uint32_t n_guess, double alpha)
{
	uint32_t n = 1;

	while (n <= n_guess && is_right(c, alpha))
		n++;
	return n;
}

static void step_both(struct curve *c, double alpha, struct sums *s)
{
	double expected;
	uint32_t n = choose(c, alpha, &expected);

	s->n_step++;
	s->n_guess += n;
	s->expected += expected;
	s->expected_s += expect_s(c, n);
	s->expected_plain_s += expect_s(c, 0);
	s->s += step_s(c, n);
	s->plain_s += step_s(c, 0);
	s->drawn += draw(c, n, alpha);
}

static struct spec_point measure(struct curve *c, double alpha, const struct args *a)
{
	double speedup[REPEAT_MAX], predicted[REPEAT_MAX];
	struct sums all = { 0 };

	teach(c, 1);
	for (uint32_t i = 0; i < a->n_repeat; i++) {
		struct sums s = { 0 };

		while (s.drawn < a->n_gen)
			step_both(c, alpha, &s);
		speedup[i] = s.drawn / s.s * s.plain_s / s.n_step;
		predicted[i] = s.expected / s.expected_s * s.expected_plain_s / s.n_step;
		all.drawn += s.drawn;
		all.n_step += s.n_step;
		all.n_guess += s.n_guess;
	}
	return (struct spec_point){ .alpha = alpha,
				    .speedup = median(speedup, a->n_repeat),
				    .predicted = median(predicted, a->n_repeat),
				    .n_guess = all.n_guess / all.n_step,
				    .tokens_per_pass = all.drawn / all.n_step };
}

/* ---- what is printed ---- */

static json_t *curve_json(const struct spec_point *p)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < SPEC_POINTS; i++)
		json_array_append_new(rows, json_pack("{s:f,s:f,s:f,s:f,s:f}", "alpha", p[i].alpha, "speedup",
						      p[i].speedup, "speedup_expected", p[i].predicted, "guesses",
						      p[i].n_guess, "tokens_per_pass", p[i].tokens_per_pass));
	return rows;
}

static void print_steps(const struct curve *c, const struct args *a)
{
	printf("%s: %d threads, %s, behind %u positions\na step of 1 to %u rows, ms:", a->model, team_size(c->run.team),
	       c->run.kernels.isa, c->depth, 1 + REQUEST_DRAFT_MAX);
	for (uint32_t n = 0; n <= REQUEST_DRAFT_MAX; n++)
		printf(" %.2f", expect_s(c, n) * 1e3);
	printf("\n\n%5s %8s %9s %8s %11s\n", "alpha", "speed-up", "expected", "guesses", "tokens/pass");
	fflush(stdout);
}

static json_t *steps_ms_json(const struct curve *c)
{
	json_t *list = json_array();

	for (uint32_t n = 0; n <= REQUEST_DRAFT_MAX; n++)
		json_array_append_new(list, json_real(expect_s(c, n) * 1e3));
	return list;
}

static void measure_all(struct curve *c, const struct args *a, struct spec_point *p)
{
	for (uint32_t i = 0; i < SPEC_POINTS; i++) {
		p[i] = measure(c, i / (double)(SPEC_POINTS - 1), a);
		if (a->json)
			continue;
		printf("%5.1f %8.3f %9.3f %8.2f %11.2f\n", p[i].alpha, p[i].speedup, p[i].predicted, p[i].n_guess,
		       p[i].tokens_per_pass);
		fflush(stdout);
	}
}

static int run(struct curve *c, const struct args *a)
{
	struct spec_point p[SPEC_POINTS];
	const char *slash = strrchr(a->model, '/');
	int r;

	teach(c, WARM);
	if (!a->json)
		print_steps(c, a);
	measure_all(c, a, p);
	r = a->svg ? spec_plot_write(a->svg, p, SPEC_POINTS, slash ? slash + 1 : a->model) : 0;
	if (r < 0)
		return fail(TOOL_FAILED, "cannot write %s: %s", a->svg, strerror(-r));
	if (!a->json)
		return TOOL_OK;
	return print_json(json_pack("{s:o,s:i,s:s,s:i,s:o,s:o}", "model", json_text(a->model, strlen(a->model)),
				    "threads", team_size(c->run.team), "isa", c->run.kernels.isa, "depth",
				    (int)c->depth, "step_ms", steps_ms_json(c), "curve", curve_json(p)));
}

int spec_curve_main(const struct args *a)
{
	static struct curve c;
	struct bench_size size = { .n_seq = 1 + REQUEST_DRAFT_MAX, .n_each = 1, .n_thread = a->n_thread };
	struct error e = { "" };
	int r;

	if (!a->model || !link_is_file(a->model))
		return fail(TOOL_USAGE, "--curve times a model's steps in this process: give -m FILE.gguf");
	c.depth = a->n_depth ? a->n_depth : DEPTH;
	c.random = scatter(a->sampling.seed);
	size.n_ctx = c.depth + 1 + REQUEST_DRAFT_MAX;
	size.kv_type = KVQ_F16;
	size.isa = ISA_MAX; /* the best of this CPU */
	r = bench_run_open(&c.run, a->model, &size, &e);
	r = r < 0 ? fail(TOOL_FAILED, "%s", e.text) : run(&c, a);
	bench_run_close(&c.run);
	return r;
}
