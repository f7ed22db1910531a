/*
 * Why: on by default, guesses must not ride where rows are dear, and must where they are cheap, on a machine that nobody has described and
 * that may change. So spec, what the scheduler learns of steps and the choice of lengths run together on machines that are a formula.
 */
#include "daemon/op/op.h"
#include "daemon/sched/fair.h"
#include "daemon/spec/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_CTX   8192
#define N_ROW   128
#define N_DRAFT 8
#define PERIOD  10 /* tokens, then the stream repeats itself: every guess is right */

/* us of a step; single, chunk: positions seen by the only row of a sequence, and by rows of which there are more. */
struct machine {
	double (*us)(double n_row, double n_logit, double single, double chunk);
};

/* Memory is read once for all rows. */
static double cheap_us(double n_row, double n_logit, double single, double chunk)
{
	return 3000 + 20 * n_row + 5 * n_logit + 0.01 * (single + chunk);
}

/* Arithmetic is all there is, and one row alone is spared some. */
static double dear_us(double n_row, double n_logit, double single, double chunk)
{
	return (n_row > 1 ? 1250 * n_row : 1000) + 20 * n_logit + 0.01 * (single + chunk);
}

/* Rows are cheap, and what they see is not. */
static double far_us(double n_row, double n_logit, double single, double chunk)
{
	return 1000 + 5 * n_row + 5 * n_logit + 0.5 * single + chunk;
}

static const struct machine cheap = { cheap_us }, dear = { dear_us }, far = { far_us };

static struct spec spec;
static struct sched sched;
static struct batch batch;
static struct user user = { .uid = 1000 };
static struct request stream, prompt;
static int32_t tokens[N_CTX + REQUEST_DRAFT_MAX], prompt_tokens[N_CTX];

static uint64_t step_ns(const void *of, uint32_t n_row)
{
	const struct batch *b = of;

	return fair_expect_ns(&sched, b, n_row - b->n_row);
}

static void start(void)
{
	const struct spec_options o = {
		.n_draft = N_DRAFT, .n_ctx = N_CTX, .n_row = N_ROW, .block_len = N_CTX, .cost = { step_ns, &batch }
	};

	spec_deinit(&spec);
	assert_int_equal(spec_init(&spec, &o), 0);
	memset(&sched, 0, sizeof(sched));
	for (uint32_t i = 0; i < N_CTX; i++)
		tokens[i] = (int32_t)(i % PERIOD);
	stream = (struct request){
		.op = &op_generate,
		.token = tokens,
		.kept = { .n_prompt = 40, .n_token = 40, .n_past = 39, .n_block = 2 },
		.number = 1,
		.user = &user,
		.n_room = 100,
	};
	prompt = (struct request){ .op = &op_generate, .token = prompt_tokens, .number = 2, .user = &user };
}

static void run(const struct machine *m)
{
	double seen = 0, us;

	for (uint32_t i = 0; i < batch.n_row; i++)
		seen += batch.pos[i] + 1;
	us = m->us(batch.n_row, batch.n_logit, batch.n_row == 1 ? seen : 0, batch.n_row == 1 ? 0 : seen);
	batch.time_ns = batch.layout_ns + (uint64_t)(1000 * us);
	fair_charge(&sched, &batch);
}

/* Rows [n_past, n_past + n) of a longer prompt. */
static void read_prompt(const struct machine *m, uint32_t n_past, uint32_t n)
{
	prompt.kept.n_token = prompt.kept.n_prompt = n_past + n + 1;
	batch.n_seq = 1;
	batch.seq[0] = (struct batch_seq){ .request = &prompt, .n_past = n_past, .n_row = n };
	batch_layout(&batch);
	spec_draft(&spec, &batch);
	run(m);
}

/* The stream's next step, all guesses of which are right: how many there were. */
static uint32_t decode(const struct machine *m)
{
	uint32_t n;

	batch.n_seq = 1;
	batch.seq[0] = (struct batch_seq){
		.request = &stream, .n_past = stream.kept.n_token - 1, .n_row = 1, .n_spare = N_DRAFT
	};
	batch_layout(&batch);
	spec_draft(&spec, &batch);
	run(m);
	n = batch.seq[0].n_draft;
	spec_feedback(&spec, &stream, n, n);
	stream.kept.n_token += 1 + n;
	return n;
}

/* As in a daemon that is in use: first steps of one row, then a prompt now and then. Guesses of the last `tail` steps. */
static uint32_t use(const struct machine *m, uint32_t n_step, uint32_t tail)
{
	uint32_t n = 0;

	while (sched.cost.n_step < COST_WARM)
		decode(m);
	for (uint32_t i = 0; i < n_step; i++) {
		uint32_t guesses;

		if (i % 4 == 0)
			read_prompt(m, (uint32_t)rand() % 2000, 2 + (uint32_t)rand() % 60);
		guesses = decode(m);
		n += i >= n_step - tail ? guesses : 0;
	}
	return n;
}

static void guesses_ride_where_rows_are_cheap(void **state)
{
	(void)state;
	start();
	assert_true(use(&cheap, 100, 20) > 20 * (N_DRAFT - 1));
}

static void none_rides_where_rows_are_dear(void **state)
{
	(void)state;
	start();
	assert_true(use(&dear, 400, 399) < 20);
}

/* Its other tenants come and go. */
static void the_choice_follows_the_machine(void **state)
{
	(void)state;
	start();
	use(&cheap, 100, 20);
	use(&dear, 250, 0);
	assert_int_equal(use(&dear, 100, 100), 0);
	use(&cheap, 100, 0);
	assert_true(use(&cheap, 50, 20) > 20 * N_DRAFT / 2);
}

/* A guess sees its stream's whole context, so that what pays for a short one may not for a long one. */
static void a_long_context_counts(void **state)
{
	(void)state;
	start();
	assert_true(use(&far, 100, 20) > 20 * N_DRAFT / 2);
	stream.kept.n_token = 7000;
	assert_true(use(&far, 60, 20) <= 20);
}

static int group_setup(void **state)
{
	(void)state;
	srand(1);
	return batch_init(&batch, N_ROW, N_ROW, 16);
}

static int group_teardown(void **state)
{
	(void)state;
	batch_deinit(&batch);
	spec_deinit(&spec);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(guesses_ride_where_rows_are_cheap),
					    cmocka_unit_test(none_rides_where_rows_are_dear),
					    cmocka_unit_test(the_choice_follows_the_machine),
					    cmocka_unit_test(a_long_context_counts) };

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
