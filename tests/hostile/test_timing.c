/*
 * Why: a prefix cache answers sooner what somebody has asked before, so who may see that of whom is who may read along. An attacker
 * guesses what another uid's prompt began with, asks the same and takes the time: of all pairs of a right guess and a wrong one, the
 * share in which the right one was answered sooner (the area under the ROC curve) must be that of a coin. The same measurement within
 * one uid, where hits are wanted, shows that it would see them.
 */
#include "tests/hostile/attack.h"

#include <math.h>

#define TAIL 4 /* tokens behind the prefix, the attacker's own */

static struct tinyd d;

static int trials(void)
{
	const char *n = getenv("GYRE_TIMING_TRIALS");

	return n ? atoi(n) : 300;
}

/* From submit to the first token of an answer. */
static double ask_ns(struct gyre *g, const uint32_t *id, uint32_t n)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	double first = 0, begin = attack_now_s();
	const struct gyre_cqe *cqe;
	bool has_more;

	assert_int_equal(gyre_prep_generate(g, sqe, id, n * sizeof(*id), 1), 0);
	sqe->flags |= GYRE_SQE_TOKENS | GYRE_SQE_IGNORE_EOS;
	assert_int_equal(gyre_submit(g), 1);
	do {
		assert_int_equal(gyre_wait_cqe(g, &cqe, TINYD_WAIT_NS), 0);
		assert_true(cqe->res >= 0);
		has_more = cqe->flags & GYRE_CQE_MORE;
		if (first == 0)
			first = attack_now_s();
		gyre_cqe_seen(g, cqe);
	} while (has_more);
	return (first - begin) * 1e9;
}

static void random_ids(uint32_t *id, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		id[i] = 'a' + (uint32_t)(random() % 26);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of all pairs, in which the right guess was sooner; half of those that are equal. */
static double area(double *right, int n_right, double *wrong, int n_wrong)
{
	double sum = 0;
	int below = 0, same;

	qsort(right, (size_t)n_right, sizeof(*right), by_value);
	qsort(wrong, (size_t)n_wrong, sizeof(*wrong), by_value);
	for (int i = 0; i < n_right; i++) {
		while (below < n_wrong && wrong[below] < right[i])
			below++;
		for (same = below; same < n_wrong && wrong[same] == right[i]; same++)
			;
		sum += n_wrong - same + (same - below) / 2.0;
	}
	return sum / n_right / n_wrong;
}

/* The other asks first, what the attacker will guess or something else as long. */
static double attack(struct gyre *other, struct gyre *attacker, uint32_t n_prefix, int n_trial)
{
	uint32_t asked[512 + TAIL], guessed[512 + TAIL];
	double *right = calloc((size_t)n_trial, sizeof(*right)), *wrong = calloc((size_t)n_trial, sizeof(*wrong)), auc;
	int n_right = 0, n_wrong = 0;

	assert_true(n_prefix <= 512);
	for (int i = 0; i < n_trial; i++) {
		bool is_right = random() & 1;
		double ns;

		random_ids(asked, n_prefix + TAIL);
		random_ids(guessed, n_prefix + TAIL);
		if (is_right)
			memcpy(guessed, asked, n_prefix * sizeof(asked[0]));
		ask_ns(other, asked, n_prefix + TAIL);
		ns = ask_ns(attacker, guessed, n_prefix + TAIL);
		if (is_right)
			right[n_right++] = ns;
		else
			wrong[n_wrong++] = ns;
	}
	auc = area(right, n_right, wrong, n_wrong);
	print_message("%d trials, prefix of %u tokens: %.4f\n", n_trial, n_prefix, auc);
	free(right);
	free(wrong);
	return auc;
}

static void time_tells_nothing_of_other_users(void **state)
{
	static const uint32_t prefix[] = { 8, 64, 512 };
	struct gyre *victim, *attacker, *second;
	/* What a coin stays within, but once in two thousand; at 10,000 trials 0.48 to 0.52. */
	double bound = 3.5 * 0.2887 * 2 / sqrt(trials());

	(void)state;
	if (!attack_is_root())
		skip();
	tinyd_setup(&d, &tiny_served);
	tinyd_start(&d, (char *const[]){ (char *)"--threads", (char *)"1", NULL }, NULL, NULL);
	victim = attack_connect_as(d.socket, VICTIM_UID, GYRE_CQ_ENTRIES_DEFAULT);
	attacker = attack_connect_as(d.socket, ATTACK_UID, GYRE_CQ_ENTRIES_DEFAULT);
	second = attack_connect_as(d.socket, ATTACK_UID, GYRE_CQ_ENTRIES_DEFAULT);
	for (size_t i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++) {
		double auc = attack(victim, attacker, prefix[i], trials());

		assert_true(auc > 0.5 - bound && auc < 0.5 + bound);
	}
	assert_true(attack(second, attacker, 512, 100) > 0.9);
	gyre_close(victim);
	gyre_close(attacker);
	gyre_close(second);
	assert_int_equal(tinyd_stop(&d), 0);
	tinyd_teardown(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(time_tells_nothing_of_other_users) };

	srandom(20261127);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
