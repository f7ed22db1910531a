/*
 * Why it matters: a recurrence reads what it wrote a token before, so one wrong bit is in all that follows; and a state that stands on one
 * machine must go on as on another. ref/ is held to the recurrences as the papers write them, in double, and every ISA to the bits
 * of ref/.
 */
#include "tests/kernels/data.h"
#include "tests/kernels/proofs.h"

#include <math.h>

#define KEY_MAX 256
#define TOK_MAX 9
#define STRIDE  (5 * KEY_MAX + 3 * LANES)

/* Columns of a token's inputs. */
enum { AT_B = 0, AT_Q = KEY_MAX, AT_A = 2 * KEY_MAX, AT_C = 3 * KEY_MAX, AT_W = 4 * KEY_MAX, AT_V = 5 * KEY_MAX };
enum { AT_ALPHA = AT_V + LANES, AT_Y = AT_ALPHA + LANES };

struct data {
	float s[KEY_MAX * LANES], rate[KEY_MAX * LANES], row[TOK_MAX * STRIDE];
};

static struct recur over(struct data *d, enum recur_form form, int n_key, size_t n_tok, bool is_in_place)
{
	bool is_two = form == RECUR_TWO;

	return (struct recur){ .s = d->s,
			       .rate = d->rate,
			       .n_key = n_key,
			       .n_tok = n_tok,
			       .stride = STRIDE,
			       .w = d->row + AT_W,
			       .v = d->row + AT_V,
			       .b = d->row + AT_B,
			       .q = d->row + AT_Q,
			       .a = is_two ? d->row + AT_A : NULL,
			       .c = is_two ? d->row + AT_C : NULL,
			       .alpha = is_two || form == RECUR_RATE ? NULL : d->row + AT_ALPHA,
			       .y = d->row + (is_in_place ? AT_V : AT_Y),
			       .y_stride = STRIDE };
}

static void fill(struct data *d, enum fill f, bool is_decay)
{
	for (size_t i = 0; i < KEY_MAX * LANES; i++) {
		d->s[i] = fill_float(f);
		d->rate[i] = -8 * fabsf(uniform());
	}
	for (size_t i = 0; i < TOK_MAX * STRIDE; i++) {
		size_t at = i % STRIDE;
		bool is_w = at >= AT_W && at < AT_V;

		d->row[i] = is_w && is_decay ? fabsf(uniform()) : is_w ? 12 * fabsf(uniform()) : fill_float(f);
	}
}

/* ---- the definition ---- */

static double dot(const double *s, const float *x, const float *w, int w_step, int n)
{
	double sum = 0;

	for (int k = 0; k < n; k++)
		sum += (w ? w[k * w_step] : 1.0) * s[k] * x[k];
	return sum;
}

/* One row of a token as its paper has it: y, and s moves on. */
static double as_written(double *s, enum recur_form form, const float *row, const float *rate, int l, int n)
{
	const float *w = row + AT_W, *b = row + AT_B, *q = row + AT_Q;
	double v = row[AT_V + l], alpha = row[AT_ALPHA], y = 0, t = 0;
	int w_step = form == RECUR_DECAY || form == RECUR_DELTA ? 0 : 1;

	if (form == RECUR_BONUS)
		y = dot(s, q, NULL, 0, n) + alpha * v;
	if (form == RECUR_TWO)
		t = dot(s, row + AT_A, NULL, 0, n);
	if (form == RECUR_DELTA)
		v = alpha * (v - dot(s, b, w, w_step, n));
	if (form == RECUR_DECAY)
		v *= alpha;
	if (form == RECUR_RATE)
		v *= w[l];
	for (int k = 0; k < n; k++) {
		double decay = form == RECUR_RATE ? exp((double)w[l] * rate[k * LANES + l]) : w[k * w_step];

		s[k] = decay * s[k] + v * b[k] + (form == RECUR_TWO ? t * row[AT_C + k] : 0);
	}
	return form == RECUR_BONUS ? y : dot(s, q, NULL, 0, n);
}

static void test_ref_recurs_as_written(void **state)
{
	enum { N_KEY = 64, N_TOK = 3 };
	static struct data d;
	struct kernels k;

	(void)state;
	kernels_select(&k, ISA_REF);
	for (enum recur_form form = 0; form < RECUR_FORM_MAX; form++) {
		double s[LANES][N_KEY];
		struct recur r = over(&d, form, N_KEY, N_TOK, false);

		fill(&d, FILL_RANDOM, form != RECUR_RATE);
		for (int i = 0; i < LANES * N_KEY; i++)
			s[i % LANES][i / LANES] = d.s[i];
		k.recur[form](&r);
		for (int i = 0; i < N_TOK; i++)
			for (int l = 0; l < LANES; l++) {
				const float *row = d.row + i * STRIDE;
				double want = as_written(s[l], form, row, d.rate, l, N_KEY);

				if (!(fabs(want - (double)row[AT_Y + l]) < 2e-5 * (1 + fabs(want))))
					fail_msg("form %d, token %d, row %d: %g, not %g", (int)form, i, l,
						 (double)row[AT_Y + l], want);
			}
		for (int i = 0; i < LANES * N_KEY; i++)
			assert_true(fabs(s[i % LANES][i / LANES] - (double)d.s[i]) < 1e-4);
	}
}

static void test_a_cut_of_tokens_has_the_same_bits(void **state)
{
	static struct data whole, cut;
	struct kernels k;

	(void)state;
	kernels_select(&k, ISA_MAX);
	for (enum recur_form form = 0; form < RECUR_FORM_MAX; form++) {
		fill(&whole, FILL_RANDOM, form != RECUR_RATE);
		cut = whole;
		struct recur r = over(&whole, form, 32, TOK_MAX, true);
		k.recur[form](&r);
		for (size_t i = 0; i < TOK_MAX; i++) {
			struct recur one = over(&cut, form, 32, 1, true);
			const float **input[] = { &one.w, &one.v, &one.b, &one.q, &one.a, &one.c, &one.alpha };

			for (size_t p = 0; p < sizeof(input) / sizeof(input[0]); p++)
				*input[p] = *input[p] ? *input[p] + i * STRIDE : NULL;
			one.y += i * STRIDE;
			k.recur[form](&one);
		}
		assert_memory_equal(&whole, &cut, sizeof(cut));
	}
}

/* ---- every ISA ---- */

static void check_recur(const struct kernels *ref, const struct kernels *k)
{
	static const int n_keys[] = { 4, 12, 16, 64, 128, KEY_MAX };
	static struct data d0, d1;

	for (enum recur_form form = 0; form < RECUR_FORM_MAX; form++)
		for (enum fill f = 0; f < FILL_HUGE; f++)
			for (size_t i = 0; i < sizeof(n_keys) / sizeof(n_keys[0]); i++) {
				size_t n_tok = rng() % (TOK_MAX + 1);
				bool is_in_place = rng() & 1;
				struct recur r0 = over(&d0, form, n_keys[i], n_tok, is_in_place),
					     r1 = over(&d1, form, n_keys[i], n_tok, is_in_place);

				fill(&d0, f, form != RECUR_RATE);
				d1 = d0;
				ref->recur[form](&r0), k->recur[form](&r1);
				if (memcmp(&d0, &d1, sizeof(d0)))
					fail_msg("form %d on %s differs from ref: fill %d, %d keys, %zu tokens",
						 (int)form, k->isa, (int)f, n_keys[i], n_tok);
			}
}

static void check_conv1d(const struct kernels *ref, const struct kernels *k)
{
	enum { N = 5 * LANES };
	float x[CONV_TAP_MAX][N], w[CONV_TAP_MAX * N], b[N], y0[N + 8], y1[N + 8];
	const float *row[CONV_TAP_MAX];

	for (enum fill f = 0; f < FILL_N; f++)
		for (int n_tap = 1; n_tap <= CONV_TAP_MAX; n_tap++)
			for (size_t n = LANES; n <= N; n += LANES) {
				const float *bias = rng() & 1 ? b : NULL;

				for (size_t i = 0; i < CONV_TAP_MAX * N; i++) {
					w[i] = uniform();
					b[i % N] = uniform();
					x[i / N][i % N] = fill_float(f);
				}
				set_canaries(y0, N + 8), set_canaries(y1, N + 8);
				for (int j = 0; j < n_tap; j++)
					row[j] = x[j];
				memcpy(y0, x[n_tap - 1], sizeof(x[0]));
				memcpy(y1, x[n_tap - 1], sizeof(x[0]));
				row[n_tap - 1] = y0;
				ref->conv1d(y0, row, w, bias, n, n_tap);
				row[n_tap - 1] = y1;
				k->conv1d(y1, row, w, bias, n, n_tap);
				assert_memory_equal(y0, y1, sizeof(y0));
			}
}

static void check_elements(const struct kernels *ref, const struct kernels *k)
{
	static const size_t sizes[] = { 1, 4, 15, 16, 17, 64, 130 };
	float x[130], y0[140], y1[140];

#define SAME(op, ...)                                             \
	do {                                                      \
		set_canaries(y0, 140), set_canaries(y1, 140);     \
		memcpy(y0, x, n * 4), memcpy(y1, x, n * 4);       \
		ref->op(y0, __VA_ARGS__), k->op(y1, __VA_ARGS__); \
		assert_memory_equal(y0, y1, sizeof(y0));          \
	} while (0)
	for (enum fill f = 0; f < FILL_HUGE; f++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			size_t n = sizes[i];

			for (size_t j = 0; j < 130; j++)
				x[j] = fill_float(f) * (f == FILL_RANDOM ? 120.0f : 1.0f);
			SAME(silu, n);
			SAME(sigmoid, n);
			SAME(sigmoid_mul, x, n);
			SAME(softplus, n);
			SAME(mul, x, n);
			SAME(l2_norm, x, n, 1e-6f);
		}
#undef SAME
}

/* What is none stays none: a fault must show. */
static void test_nan_shows(void **state)
{
	(void)state;
	for (int isa = ISA_REF; isa < ISA_MAX; isa++) {
		struct kernels k;

		if (!level_runs(isa))
			continue;
		kernels_select(&k, (enum kernels_isa)isa);
		for (size_t i = 0; i < 20; i++) {
			float y[20] = { 0 }, gate[20] = { 0 };

			y[i] = NAN;
			k.sigmoid(y, 20);
			assert_true(isnan(y[i]) && y[(i + 1) % 20] == 0.5f);
			y[i] = NAN;
			k.softplus(y, 20);
			assert_true(isnan(y[i]) && !isnan(y[(i + 1) % 20]));
			y[i] = 1;
			gate[i] = NAN;
			k.sigmoid_mul(y, gate, 20);
			assert_true(isnan(y[i]) && !isnan(y[(i + 1) % 20]));
		}
	}
}

static const struct proof proofs[] = {
	{ .operation = "recurrence", .check = check_recur },
	{ .operation = "short convolution", .check = check_conv1d },
	{ .operation = "elements", .check = check_elements },
};
#define N_PROOF (sizeof(proofs) / sizeof(proofs[0]))

int main(int argc, char **argv)
{
	struct CMUnitTest tests[3 + ISA_MAX * N_PROOF] = {
		cmocka_unit_test(test_ref_recurs_as_written),
		cmocka_unit_test(test_a_cut_of_tokens_has_the_same_bits),
		cmocka_unit_test(test_nan_shows),
	};
	size_t n = proofs_add(tests, 3, proofs, N_PROOF);

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return _cmocka_run_group_tests("mix", tests, n, NULL, NULL);
}
