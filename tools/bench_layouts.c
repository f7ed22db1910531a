/*
 * `gyre bench layouts`: decode of one model by teams of several layouts, in one process. Between processes their pages differ, and
 * within one run too: so every round opens all of them anew and takes them in turns, and the rounds' ratios are judged.
 */
#include "tools/tool.h"

#include "daemon/util/minmax.h"
#include "tools/bench_run.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LAYOUTS_MAX 4u /* each has the weights in memory once more */
#define TURNS       8u /* a round */
#define TAIL        0.025

struct candidate {
	uint32_t n_thread, n_node;
	struct bench_run run;
	double turn[TURNS];
	double *token_s, *ratio; /* [round]; ratio: to the first */
};

struct estimate {
	double median, low, high;
};

/* The median, and the ranks between which the true one lies in 95 of 100 runs; of fewer than six figures all of them. Sorts x. */
static struct estimate estimate(double *x, uint32_t n)
{
	struct estimate e = { .median = median(x, n) };
	double term = pow(0.5, n), tail = term; /* the chance that k, and that at most k, of n lie below it */
	uint32_t k = 0;

	for (; tail <= TAIL; tail += term, k++)
		term *= (double)(n - k) / (k + 1);
	k -= k > 0;
	e.low = x[k];
	e.high = x[n - 1 - k];
	return e;
}

static bool parse(struct candidate *c, const char *word)
{
	char *end;
	unsigned long n_thread = strtoul(word, &end, 10), n_node = *end == ':' ? strtoul(end + 1, &end, 10) : 0;

	c->n_thread = (uint32_t)n_thread;
	c->n_node = (uint32_t)n_node;
	return *word != '-' && !*end && n_thread >= 1 && n_thread <= TOPOLOGY_CORE_MAX && n_node >= 1 &&
	       n_node <= NODE_MAX;
}

static int open_one(struct candidate *c, const struct args *a, uint32_t n_gen, struct error *e)
{
	const struct bench_size s = {
		.n_ctx = a->n_depth + n_gen, .n_thread = c->n_thread, .n_node = c->n_node, .isa = ISA_MAX
	};
	int r = bench_run_open(&c->run, a->model, &s, e);

	if (r == 0)
		bench_prefill_s(&c->run, max_u32(a->n_depth, 1)); /* fills the KV; warms caches and clocks */
	return r;
}

static void take_turn(struct candidate *c, const struct args *a, uint32_t turn, uint32_t n)
{
	bench_seat(&c->run.layout);
	bench_decode_s(&c->run, 1, a->n_depth, 1); /* wakes the team */
	c->turn[turn] = bench_decode_s(&c->run, 1, a->n_depth, n) / n;
}

/* The order turns round each time, so that none comes always after the same other. */
static int take_round(struct candidate *c, uint32_t n, const struct args *a, uint32_t round, struct error *e)
{
	uint32_t n_gen = max_u32(a->n_gen / TURNS, 1);
	int r = 0;

	for (uint32_t i = 0; i < n && r == 0; i++)
		r = open_one(&c[round % 2 ? n - 1 - i : i], a, n_gen, e);
	for (uint32_t turn = 0; turn < TURNS && r == 0; turn++)
		for (uint32_t i = 0; i < n; i++)
			take_turn(&c[turn % 2 ? n - 1 - i : i], a, turn, n_gen);
	for (uint32_t i = 0; i < n; i++) {
		bench_run_close(&c[i].run);
		memset(&c[i].run, 0, sizeof(c[i].run));
		c[i].token_s[round] = median(c[i].turn, TURNS);
		c[i].ratio[round] = c[i].token_s[round] / c[0].token_s[round];
	}
	return r;
}

static int print_figures(struct candidate *c, uint32_t n, const struct args *a)
{
	json_t *list = a->json ? json_array() : NULL;

	if (!a->json)
		printf("threads nodes   ms a token   over the first (95 %%)\n");
	for (uint32_t i = 0; i < n; i++) {
		struct estimate s = estimate(c[i].token_s, a->n_repeat), x = estimate(c[i].ratio, a->n_repeat);

		if (a->json)
			json_array_append_new(list,
					      json_pack("{s:i,s:i,s:f,s:f,s:f,s:f}", "threads", (int)c[i].n_thread,
							"nodes", (int)c[i].n_node, "token_ms", s.median * 1e3, "ratio",
							x.median, "ratio_low", x.low, "ratio_high", x.high));
		else
			printf("%7u %5u %12.3f   %.3f (%.3f-%.3f)\n", c[i].n_thread, c[i].n_node, s.median * 1e3,
			       x.median, x.low, x.high);
	}
	if (a->json)
		return print_json(json_pack("{s:i,s:i,s:i,s:o}", "rounds", (int)a->n_repeat, "n_gen", (int)a->n_gen,
					    "n_depth", (int)a->n_depth, "layouts", list));
	printf("(%u tokens a round behind %u; medians of %u rounds)\n", a->n_gen, a->n_depth, a->n_repeat);
	return TOOL_OK;
}

int bench_layouts_main(const struct args *given)
{
	static struct candidate c[LAYOUTS_MAX];
	struct args a = *given;
	uint32_t n = (uint32_t)a.n_word;
	struct error e = { "" };
	int r = 0;

	if (!a.model)
		return fail(TOOL_USAGE, "bench layouts needs -m FILE.gguf");
	if (n > LAYOUTS_MAX)
		return fail(TOOL_USAGE, "at most %u layouts", LAYOUTS_MAX);
	for (uint32_t i = 0; i < n; i++)
		if (!parse(&c[i], a.word[i]))
			return fail(TOOL_USAGE, "'%s' is no THREADS:NODES, such as 2:1", a.word[i]);
	a.n_gen = a.n_gen ? a.n_gen : 128;
	a.n_repeat = a.n_repeat ? a.n_repeat : 5;
	for (uint32_t i = 0; i < n && r == 0; i++) {
		c[i].token_s = calloc(a.n_repeat, sizeof(double));
		c[i].ratio = calloc(a.n_repeat, sizeof(double));
		if (!c[i].token_s || !c[i].ratio)
			r = error_set(&e, -ENOMEM, "no memory for %u rounds", a.n_repeat);
	}
	for (uint32_t i = 0; i < a.n_repeat && r == 0; i++)
		r = take_round(c, n, &a, i, &e);
	r = r < 0 ? fail(TOOL_FAILED, "%s", e.text) : print_figures(c, n, &a);
	for (uint32_t i = 0; i < n; i++) {
		free(c[i].token_s);
		free(c[i].ratio);
	}
	return r;
}
