/*
 * Why: which experts a token takes is a choice, and a choice that falls otherwise is another model. So ties, biases and groups are held to
 * what is written in route.h; and logits come from a file of strangers, so none may choose an expert that there is not.
 */
#include "daemon/model/route.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N 8

static struct kernels k;

static struct hparams shape(uint32_t n_used, enum gating gating)
{
	return (struct hparams){ .n_expert = N,
				 .n_expert_used = n_used,
				 .n_group = 1,
				 .n_group_used = 1,
				 .gating = gating,
				 .is_expert_normed = true,
				 .expert_scale = 1 };
}

static void route(struct routed *to, const struct hparams *hp, const struct route_in *in, const float *logits)
{
	float l[N], scratch[4 * N];

	assert_int_equal(route_scratch(hp), 4 * N);
	memcpy(l, logits, sizeof(l));
	route_row(to, &k, hp, in, l, scratch);
	assert_memory_equal(l, logits, sizeof(l)); /* of one row, which several workers route */
}

static void expect(const struct routed *got, uint32_t n, const uint32_t *expert)
{
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(got[i].expert, expert[i]);
}

static void expect_weight(float got, double want)
{
	assert_true(fabs(got - want) < 1e-6);
}

static const struct route_in none = { 0 };

static void ties_go_to_the_lowest_index(void **state)
{
	const float all[N] = { 1, 1, 1, 1, 1, 1, 1, 1 }, some[N] = { 0, 2, 1, 2, 1, 0, 2, 1 };
	struct hparams hp = shape(4, GATING_SOFTMAX);
	struct routed r[4];

	(void)state;
	route(r, &hp, &none, all);
	expect(r, 4, (uint32_t[]){ 0, 1, 2, 3 });
	expect_weight(r[0].weight, 0.25);
	route(r, &hp, &none, some);
	expect(r, 4, (uint32_t[]){ 1, 2, 3, 6 }); /* ascending, however they score */
}

static void weights_are_the_gate_s(void **state)
{
	const float l[N] = { 0, 1, -1, 3, 0, 0, 2, -5 };
	struct hparams hp = shape(2, GATING_SOFTMAX);
	double sum = 0;
	struct routed r[2];

	(void)state;
	route(r, &hp, &none, l);
	expect(r, 2, (uint32_t[]){ 3, 6 });
	expect_weight(r[0].weight, exp(3) / (exp(3) + exp(2)));
	hp.is_expert_normed = false;
	hp.expert_scale = 2.5f;
	route(r, &hp, &none, l);
	for (int i = 0; i < N; i++)
		sum += exp(l[i]);
	expect_weight(r[1].weight, 2.5 * exp(2) / sum);
	hp = shape(2, GATING_SIGMOID);
	route(r, &hp, &none, l);
	expect_weight(r[0].weight, 1 / (1 + exp(-3)) / (1 / (1 + exp(-3)) + 1 / (1 + exp(-2))));
	hp = shape(2, GATING_SOFTMAX_CHOSEN);
	hp.is_expert_normed = false;
	route(r, &hp, &none, l);
	expect_weight(r[0].weight, exp(3) / (exp(3) + exp(2)));
}

static void a_bias_chooses_and_does_not_weigh(void **state)
{
	const float l[N] = { 0, 0, 0, 3, 0, 0, 2, 0 }, choose[N] = { 0, 9, 0, 0, 0, 0, 0, 0 };
	const float add[N] = { 0, 0, 0, 0, 0, 4, 0, 0 };
	struct hparams hp = shape(2, GATING_SIGMOID);
	struct routed r[2];

	(void)state;
	hp.is_expert_normed = false;
	route(r, &hp, &(struct route_in){ .choose_bias = choose }, l);
	expect(r, 2, (uint32_t[]){ 1, 3 });
	expect_weight(r[0].weight, 0.5);
	route(r, &hp, &(struct route_in){ .bias = add }, l);
	expect(r, 2, (uint32_t[]){ 3, 5 });
	expect_weight(r[1].weight, 1 / (1 + exp(-4)));
}

/* Of four groups of two: the best expert is in one whose two together are not among the best. */
static void groups_are_chosen_by_their_two_best(void **state)
{
	const float l[N] = { 5, -9, 1, 1, 2, 2, 0, 0 };
	struct hparams hp = shape(3, GATING_SIGMOID);
	struct routed r[3];

	(void)state;
	hp.n_group = 4;
	hp.n_group_used = 2;
	route(r, &hp, &none, l);
	expect(r, 3, (uint32_t[]){ 2, 4, 5 });
}

/* A sum below the least counts as this. */
static void tiny_sums_are_clamped(void **state)
{
	const float l[N] = { -20, -20, -90, -90, -90, -90, -90, -90 };
	struct hparams hp = shape(2, GATING_SIGMOID);
	struct routed r[2];

	(void)state;
	route(r, &hp, &none, l);
	expect_weight(r[0].weight, exp(-20) / (double)ROUTE_SUM_MIN);
	assert_true(r[0].weight > 0);
}

static void any_logits_choose_experts_that_there_are(void **state)
{
	static const float odd[] = { 0, -0.0f, 1, -1, INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 1e-40f };
	struct routed r[N];

	(void)state;
	for (uint32_t seed = 1, x = 1; seed < 3000; seed++) {
		struct hparams hp = shape(1 + seed % N, (enum gating)(1 + seed % 3));
		float l[N], b[N];

		if (seed % 2 && hp.n_expert_used <= 4)
			hp.n_group = 4, hp.n_group_used = 2;
		for (int i = 0; i < N; i++) {
			x = x * 1664525u + 1013904223u;
			l[i] = odd[(x >> 8) % 10];
			b[i] = odd[(x >> 16) % 10];
		}
		route(r, &hp, &(struct route_in){ .choose_bias = seed % 5 ? NULL : b }, l);
		for (uint32_t i = 0; i < hp.n_expert_used; i++)
			assert_true(r[i].expert < N && (i == 0 || r[i].expert > r[i - 1].expert));
	}
}

/* A NaN is chosen only where there is nothing else. */
static void a_nan_comes_last(void **state)
{
	const float l[N] = { NAN, -3, NAN, -1, -2, NAN, NAN, NAN };
	struct hparams hp = shape(3, GATING_SOFTMAX_CHOSEN);
	struct routed r[3];

	(void)state;
	route(r, &hp, &none, l);
	expect(r, 3, (uint32_t[]){ 1, 3, 4 });
	assert_true(r[0].weight == r[0].weight);
}

static void every_isa_routes_alike(void **state)
{
	struct kernels ref = k;
	float l[N], x[37], w[37];

	(void)state;
	for (int isa = ISA_REF; kernels_isa_name((enum kernels_isa)isa); isa++) {
		if (!kernels_can_run((enum kernels_isa)isa))
			continue;
		for (int i = 0; i < 37; i++)
			l[i % N] = sinf((float)i * 3), x[i] = cosf((float)i), w[i] = sinf((float)i);
		for (enum gating g = GATING_SOFTMAX; g <= GATING_SOFTMAX_CHOSEN; g++) {
			struct hparams hp = shape(3, g);
			struct routed a[3], b[3];

			k = ref;
			route(a, &hp, &none, l);
			kernels_select(&k, (enum kernels_isa)isa);
			route(b, &hp, &none, l);
			assert_memory_equal(a, b, sizeof(a));
		}
		assert_true(route_gate(&ref, x, w, 37) == route_gate(&k, x, w, 37));
	}
	k = ref;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ties_go_to_the_lowest_index),
		cmocka_unit_test(weights_are_the_gate_s),
		cmocka_unit_test(a_bias_chooses_and_does_not_weigh),
		cmocka_unit_test(groups_are_chosen_by_their_two_best),
		cmocka_unit_test(tiny_sums_are_clamped),
		cmocka_unit_test(any_logits_choose_experts_that_there_are),
		cmocka_unit_test(a_nan_comes_last),
		cmocka_unit_test(every_isa_routes_alike),
	};

	kernels_select(&k, ISA_REF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
