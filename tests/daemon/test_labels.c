/*
 * Why: many labels over one prompt are worth asking for only if each gets what it would get alone, for the price of the prompt. So they
 * have the bits of SCORE, whoever else is there; the prompt is read once; and whatever fails, the session is idle again.
 */
#include "daemon/util/counter.h"
#include "tests/daemon/appliance.h"

#include <errno.h>
#include <stdio.h>

#define WAIT_NS  300000000000ull
#define N_LABEL  300u
#define N_PROMPT 200u

static struct appliance a;
static struct gyre *g;
static char prompt[N_PROMPT], text[N_LABEL][16];
static struct gyre_label label[N_LABEL];

static uint64_t rows_of_prompts(void)
{
	return counter_read(&a.d.models.served[0].engine[0].sched.n_token_prompt);
}

static void open_as(char *const *extra)
{
	appliance_open(&a, &tiny_served, extra, true);
	g = appliance_connect(&a, NULL);
}

static void close_all(void)
{
	gyre_close(g);
	appliance_close(&a);
}

static int setup(void **state)
{
	(void)state;
	memset(label, 0, sizeof(label));
	for (uint32_t i = 0; i < N_PROMPT; i++)
		prompt[i] = (char)('a' + i * i % 17);
	for (uint32_t i = 0; i < N_LABEL; i++) {
		snprintf(text[i], sizeof(text[i]), "%u is %c", i * 37 % 1000, 'a' + (int)i % 26);
		label[i].text = text[i];
	}
	return 0;
}

/* As a request of its own. */
static float score_alone(uint32_t i)
{
	char all[N_PROMPT + 16];
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	const struct gyre_cqe *cqe;
	float logprob = 0;

	memcpy(all, prompt, N_PROMPT);
	strcpy(all + N_PROMPT, text[i]);
	assert_int_equal(gyre_prep_score(g, sqe, all, N_PROMPT + strlen(text[i]), N_PROMPT), 0);
	assert_int_equal(gyre_submit(g), 1);
	for (bool more = true; more; gyre_cqe_seen(g, cqe)) {
		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		assert_true(cqe->res >= 0);
		logprob = cqe->logprob;
		more = cqe->flags & GYRE_CQE_MORE;
	}
	return logprob;
}

static void is_idle(void)
{
	const struct gyre_cqe *cqe;

	assert_int_equal(gyre_peek_cqe(g, &cqe), -EAGAIN);
	while (counter_read32(&a.d.models.served[0].pool.n_live)) /* the prompt is kept no longer */
		usleep(1000);
}

static void labels_have_the_bits_of_score(void **state)
{
	uint64_t n_row;

	(void)state;
	open_as(NULL);
	assert_int_equal(gyre_score_labels(g, prompt, N_PROMPT, 0, label, 8), 0);
	n_row = rows_of_prompts();
	print_message("%llu rows for a prompt of %u tokens and 8 labels\n", (unsigned long long)n_row, N_PROMPT);
	assert_true(n_row < N_PROMPT + 8 * 10 + 40);
	is_idle();
	for (uint32_t i = 0; i < 8; i++) {
		float alone = score_alone(i);

		assert_memory_equal(&alone, &label[i].logprob, sizeof(alone));
		assert_int_equal(label[i].n_token, strlen(text[i]));
	}
	close_all();
}

/* There are places for some at once; the others come when they have ended. */
static void more_than_there_are_places_for(void **state)
{
	uint64_t n_row;

	(void)state;
	open_as(NULL);
	assert_int_equal(gyre_score_labels(g, prompt, N_PROMPT, 0, label, N_LABEL), 0);
	is_idle();
	n_row = rows_of_prompts();
	print_message("%llu rows for %u labels\n", (unsigned long long)n_row, N_LABEL);
	assert_true(n_row <
		    N_LABEL * N_PROMPT / 2); /* where many hold blocks, the prompt may have to give its own up */
	for (uint32_t i = 0; i < N_LABEL; i += 41) {
		float alone = score_alone(i);

		assert_memory_equal(&alone, &label[i].logprob, sizeof(alone));
		assert_int_equal(label[i].res, 0);
	}
	close_all();
}

static void what_fails_is_told_of_each(void **state)
{
	static const char none[] = "";
	struct gyre_sqe *sqe;
	const struct gyre_cqe *cqe;

	(void)state;
	open_as(NULL);
	label[1].text = none;
	assert_int_equal(gyre_score_labels(g, prompt, N_PROMPT, 0, label, 3), -EINVAL);
	assert_int_equal(label[0].res | label[2].res, 0);
	assert_int_equal(label[1].res, -EINVAL);
	assert_string_equal(label[1].why, "there is nothing to score");
	is_idle();
	label[1].text = text[1];
	assert_int_equal(gyre_score_labels(g, prompt, N_PROMPT, GYRE_SQE_TOKENS, label, 3), -EINVAL);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(label[i].res, -EINVAL);
		assert_non_null(strstr(label[i].why, "token 1 of the prompt has the id"));
	}
	is_idle();
	sqe = gyre_get_sqe(g);
	gyre_prep_nop(sqe);
	assert_int_equal(gyre_score_labels(g, prompt, N_PROMPT, 0, label, 3), -EBUSY);
	assert_int_equal(gyre_submit(g), 1);
	assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
	gyre_cqe_seen(g, cqe);
	assert_int_equal(gyre_score_labels(g, prompt, N_PROMPT, 0, label, 3), 0);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup(labels_have_the_bits_of_score, setup),
					    cmocka_unit_test_setup(more_than_there_are_places_for, setup),
					    cmocka_unit_test_setup(what_fails_is_told_of_each, setup) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
