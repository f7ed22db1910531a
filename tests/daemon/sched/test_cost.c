/*
 * Why: how long steps may be, what users are charged and which deadlines are hopeless follow from this fit. It has to find a machine's
 * times from whatever steps there are, whatever another process steals meanwhile, and to follow a machine that changes. The machines are made up:
 * two cores that are out of arithmetic at once, many that wait for memory, and experts, of which each row reads more.
 */
#include "daemon/sched/cost.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint32_t seed;

static uint32_t below(uint32_t n)
{
	return ((seed = seed * 1664525u + 1013904223u) >> 8) % n;
}

struct machine {
	const char *name;
	double (*base)(double n); /* us */
	double logit, single, chunk;
};

static double two_cores(double n)
{
	return 1600 + 900 * n;
}

static double many_cores(double n)
{
	return n < 96 ? 18000 + 20 * n : 18000 + 20 * 96 + 210 * (n - 96);
}

/* 8 of 128 experts a row. */
static double experts(double n)
{
	return 3000 + 128 * 400 * (1 - pow(1 - 8.0 / 128, n)) + 150 * n;
}

static const struct machine machines[] = {
	{ "two cores", two_cores, 300, 0.7, 0.2 },
	{ "64 cores", many_cores, 90, 0.4, 0.05 },
	{ "experts", experts, 120, 1, 0.3 },
};

static double true_us(const struct machine *m, const struct cost_work *w)
{
	return m->base(w->n_row) + m->logit * w->n_logit + m->single * (double)w->n_single +
	       m->chunk * (double)w->n_chunk;
}

static struct cost_work mix(uint32_t n_stream, uint32_t depth, uint32_t n_prompt, uint32_t begun)
{
	struct cost_work w = { n_stream + n_prompt, n_stream, (uint64_t)n_stream * depth, 0 };

	for (uint32_t i = 0; i < n_prompt; i++)
		w.n_chunk += begun + i + 1;
	return w;
}

static struct cost_work any_step(uint32_t n_stream_max, uint32_t n_prompt_max)
{
	return mix(1 + below(n_stream_max), below(4000), below(3) ? 0 : 2 + below(n_prompt_max), below(4000));
}

static void learn(struct cost *c, const struct machine *m, const struct cost_work *w, double slow, uint32_t stolen)
{
	double us = true_us(m, w) * slow * (0.95 + below(100) * 0.001);

	if (below(100) < stolen)
		us *= 2 + below(8);
	cost_learn(c, w, (uint64_t)(us * 1000));
}

static double worst(const struct cost *c, const struct machine *m, double slow)
{
	double most = 0;

	for (int i = 0; i < 300; i++) {
		struct cost_work w = any_step(24, 120);
		double ratio = cost_predict(c, &w) / (true_us(m, &w) * slow * 1000);

		if (!(ratio > 0) || !isfinite(ratio))
			return INFINITY;
		most = fmax(most, fmax(ratio, 1 / ratio));
	}
	return most;
}

static void a_machine_is_found(void **state)
{
	const struct machine *m = *state;
	struct cost c = { 0 };

	for (int i = 0; i < 2000; i++) {
		struct cost_work w = any_step(24, 120);

		learn(&c, m, &w, 1, 0);
	}
	assert_true(worst(&c, m, 1) < 1.12);
	for (int i = 0; i < 4000; i++) { /* one step in ten takes 2 to 9 times as long */
		struct cost_work w = any_step(24, 120);

		learn(&c, m, &w, 1, 10);
	}
	assert_true(worst(&c, m, 1) < 1.3);
	for (int i = 0; i < 1000; i++) { /* its clock is halved */
		struct cost_work w = any_step(24, 120);

		learn(&c, m, &w, 2, 0);
	}
	assert_true(worst(&c, m, 2) < 1.15);
	for (int i = 0; i < 1000; i++) {
		struct cost_work w = any_step(24, 120);

		learn(&c, m, &w, 1, 0);
	}
	assert_true(worst(&c, m, 1) < 1.15);
}

/* The first step of all touches pages and caches for the first time. */
static void a_cold_start_is_forgotten(void **state)
{
	struct cost c = { 0 };
	struct cost_work w = mix(1, 100, 0, 0);

	(void)state;
	learn(&c, &machines[0], &w, 40, 0);
	for (int i = 0; i < 4; i++)
		learn(&c, &machines[0], &w, 1, 0);
	assert_true(cost_predict(&c, &w) < 1200 * true_us(&machines[0], &w));
}

/* Rows that were never seen together are thought to take too long rather than too short. */
static void what_was_not_seen_is_bounded(void **state)
{
	const struct machine *m = *state;
	struct cost c = { 0 };

	for (int i = 0; i < 200; i++) {
		struct cost_work w = mix(4, 10, 0, 0);

		learn(&c, m, &w, 1, 0);
	}
	for (uint32_t n = 1; n < 600; n++) {
		struct cost_work w = mix(n, 10, 0, 0), four = mix(4, 10, 0, 0);

		assert_true(cost_predict(&c, &w) > 800 * true_us(m, &w));
		assert_true(cost_predict(&c, &w) < 1200 * true_us(m, &four) * (n < 4 ? 1 : n / 4.0 + 0.5));
	}
}

/* A row behind a long context costs its user more, and all rows of a step cost what the step does. */
static void rows_add_up(void **state)
{
	const struct machine *m = *state;
	struct cost c = { 0 };
	struct cost_work w = mix(8, 3000, 40, 1000);
	double sum = 0;

	for (int i = 0; i < 2000; i++) {
		struct cost_work any = any_step(24, 120);

		learn(&c, m, &any, 1, 0);
	}
	for (int i = 0; i < 8; i++)
		sum += cost_of_row(&c, w.n_row, true, true, 3000);
	for (uint32_t i = 0; i < 40; i++)
		sum += cost_of_row(&c, w.n_row, false, false, 1000 + i + 1);
	assert_true(fabs(sum / cost_predict(&c, &w) - 1) < 0.001);
	assert_true(cost_of_row(&c, 8, true, true, 4000) > 1.02 * cost_of_row(&c, 8, true, true, 10));
}

/* Never more than it could take, on a host that has been loaded for long. */
static void the_least_is_less(void **state)
{
	const struct machine *m = *state;
	struct cost c = { 0 };
	struct cost_work p = mix(0, 0, 120, 0);

	assert_int_equal(cost_least_ns(&c, 1000), 0);
	for (int i = 0; i < 20; i++) {
		struct cost_work w = mix(1, 100, 0, 0);

		learn(&c, m, &w, 1, 0);
	}
	assert_true(cost_least_ns(&c, 1000) <= 1000 * m->base(1) + 1e6); /* no prompt has been seen */
	for (int i = 0; i < 2000; i++)
		learn(&c, m, &p, 1, 30);
	for (int i = 0; i < 2000; i++)
		learn(&c, m, &p, 3, 30);
	assert_true(cost_least_ns(&c, 1200) > 200 * 10 * true_us(m, &p));
	assert_true(cost_least_ns(&c, 1200) < 1000 * 10 * true_us(m, &p));
}

#define EACH(test)                                                        \
	{ #test ": two cores", test, 0, 0, (void *)&machines[0] },        \
		{ #test ": 64 cores", test, 0, 0, (void *)&machines[1] }, \
	{                                                                 \
#test ": experts", test, 0, 0, (void *)&machines[2]       \
	}

int main(void)
{
	const struct CMUnitTest tests[] = { EACH(a_machine_is_found), EACH(what_was_not_seen_is_bounded),
					    EACH(rows_add_up), EACH(the_least_is_less),
					    cmocka_unit_test(a_cold_start_is_forgotten) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
