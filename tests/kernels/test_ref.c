/*
 * Why it matters: every ISA is held to the bits of ref/, so what ref/ gets wrong is wrong everywhere and no comparison shows it.
 * Here it is held to something else: products, exp and tanh to double, f16 to the compiler's, chunks to the tree as it is told.
 */
#include "kernels/ref/log.h"
#include "kernels/ref/ref.h"
#include "kernels/ref/tanh.h"
#include "tests/kernels/data.h"

#include <math.h>

/* ref itself against a naive product in double of the dequantized weights: the error is that of 8-bit activations. */
static void test_ref_matmul_is_right(void **state)
{
	enum { ROWS = 32, COLS = 512, TOK = 3 };
	struct kernels k;
	float x[TOK * COLS], y[TOK * ROWS], wr[COLS];
	const struct chunks whole = one_chunk(COLS);

	(void)state;
	kernels_select(&k, ISA_REF);
	for (size_t ti = 0; ti < N_TYPE; ti++) {
		enum act_kind act = k.act[types[ti].type];
		uint8_t *raw, *w = make_weights(&types[ti], ROWS, COLS, FILL_RANDOM, &raw);
		void *tile = aligned(act_tile_bytes(act, TOK, COLS));
		double err = 0, norm = 0;

		if (types[ti].type == QUANT_F16)
			for (size_t i = 0; i < ROWS * COLS; i++)
				((uint16_t *)w)[i] = f32_to_f16(uniform());
		for (int i = 0; i < TOK * COLS; i++)
			x[i] = uniform();
		k.act_pack[act](tile, x, COLS, TOK, COLS);
		k.matmul[types[ti].type](y, ROWS, w, tile, TOK, &whole, 0, ROWS / PANEL_ROWS);
		for (size_t r = 0; r < ROWS; r++) {
			quant_dequantize_row(types[ti].type, wr, w, r, COLS);
			for (int t = 0; t < TOK; t++) {
				double s = 0;

				for (int c = 0; c < COLS; c++)
					s += (double)wr[c] * (double)x[t * COLS + c];
				err += (s - (double)y[(size_t)t * ROWS + r]) * (s - (double)y[(size_t)t * ROWS + r]);
				norm += s * s;
			}
		}
		assert_true(sqrt(err / norm) < (act == ACT_F32 ? 1e-6 : 0.012));
		free(raw), free(w), free(tile);
	}
}

/* Two panels' products with three tokens. */
enum { PART_PANELS = 2, PART_ROWS = PART_PANELS * PANEL_ROWS, PART_TOK = 3 };

/* The matrix's columns of one chunk, packed as a matrix of their own. */
static void part_sum(const struct kernels *k, uint32_t type, float *y, const uint8_t *raw, const float *x,
		     const struct chunks *chunks, uint32_t c)
{
	enum act_kind act = k->act[type];
	size_t n_col = chunks->cut[chunks->n], n_part = chunks->cut[c + 1] - chunks->cut[c];
	size_t row_bytes = quant_row_bytes(type, n_col);
	struct chunks whole = one_chunk(n_part);
	uint8_t *w = aligned(quant_packed_bytes(type, PART_ROWS, n_part)),
		*tile = aligned(act_tile_bytes(act, PART_TOK, n_part));

	raw += quant_row_bytes(type, chunks->cut[c]);
	for (size_t r = 0; r < PART_ROWS; r += PANEL_ROWS)
		quant_pack_panel(type, w + r * quant_row_bytes(type, n_part), raw + r * row_bytes, row_bytes,
				 PANEL_ROWS, n_part);
	k->act_pack[act](tile, x + chunks->cut[c], n_col, PART_TOK, n_part);
	k->matmul[type](y, PART_ROWS, w, tile, PART_TOK, &whole, 0, PART_PANELS);
	free(w), free(tile);
}

/* The tree as team/plan.h tells it: mid is the largest power of two below the length, from begin. */
static void tree_sum(const struct kernels *k, uint32_t type, float *y, const uint8_t *raw, const float *x,
		     const struct chunks *chunks, uint32_t begin, uint32_t end)
{
	float right[PART_TOK * PART_ROWS];
	uint32_t half = 1;

	if (end - begin == 1) {
		part_sum(k, type, y, raw, x, chunks, begin);
		return;
	}
	while (2 * half < end - begin)
		half *= 2;
	tree_sum(k, type, y, raw, x, chunks, begin, begin + half);
	tree_sum(k, type, right, raw, x, chunks, begin + half, end);
	for (size_t i = 0; i < PART_TOK * PART_ROWS; i++)
		y[i] = y[i] + right[i];
}

/* ref's order of chunks is the tree's, for every number of them; and a chunk is what it would be alone. */
static void test_ref_chunks_meet_in_the_tree(void **state)
{
	struct kernels k;

	(void)state;
	kernels_select(&k, ISA_REF);
	for (size_t ti = 0; ti < N_TYPE; ti++)
		for (uint32_t n = 1; n <= CHUNK_MAX; n++) {
			uint32_t type = types[ti].type;
			const struct quant_info *q = quant_info(type);
			struct chunks chunks = cut_chunks(n, n + 3, q->block_len);
			size_t n_col = chunks.cut[n];
			uint8_t *raw, *w = make_weights(&types[ti], PART_ROWS, n_col, FILL_RANDOM, &raw),
				      *tile = aligned(act_tile_bytes(k.act[type], PART_TOK, n_col));
			float *x = malloc(PART_TOK * n_col * sizeof(*x)), y[PART_TOK * PART_ROWS],
			      expected[PART_TOK * PART_ROWS];

			for (size_t i = 0; i < PART_TOK * n_col; i++)
				x[i] = uniform();
			k.act_pack[k.act[type]](tile, x, n_col, PART_TOK, n_col);
			k.matmul[type](y, PART_ROWS, w, tile, PART_TOK, &chunks, 0, PART_PANELS);
			tree_sum(&k, type, expected, raw, x, &chunks, 0, n);
			if (memcmp(y, expected, sizeof(y)))
				fail_msg("%s: %u chunks do not meet in the tree", q->name, n);
			free(x), free(raw), free(w), free(tile);
		}
}

/* In double; far from zero, where what is squared must be what is left of the mean. */
static void test_ref_layer_norm_is_right(void **state)
{
	enum { N = 500 };
	float x[N], w[N], b[N], y[N];
	double mean = 0, square = 0;
	struct kernels k;

	(void)state;
	kernels_select(&k, ISA_REF);
	for (int i = 0; i < N; i++) {
		x[i] = 100.0f + uniform();
		w[i] = uniform(), b[i] = uniform();
		mean += (double)x[i] / N;
	}
	for (int i = 0; i < N; i++)
		square += ((double)x[i] - mean) * ((double)x[i] - mean) / N;
	for (int has_bias = 0; has_bias < 2; has_bias++) {
		k.layer_norm(y, x, w, has_bias ? b : NULL, N, 1e-3f);
		for (int i = 0; i < N; i++) {
			double v = ((double)x[i] - mean) / sqrt(square + 1e-3) * (double)w[i];

			assert_true(fabs(v + (has_bias ? (double)b[i] : 0) - (double)y[i]) < 1e-4);
		}
	}
}

/* What the others are compared with: signs of zero, NaN, nothing finite, the first of equals. */
static void test_ref_max_is_right(void **state)
{
	static const struct {
		float x[4], max;
		size_t at;
	} is[] = {
		{ { -1, 3, 2, 3 }, 3, 1 },
		{ { NAN, -0.0f, 0, -1 }, 0, 1 },
		{ { NAN, NAN, -INFINITY, -INFINITY }, -INFINITY, 2 },
		{ { NAN, NAN, NAN, NAN }, -INFINITY, 0 },
		{ { -INFINITY, NAN, INFINITY, 1 }, INFINITY, 2 },
	};
	struct kernels k;

	(void)state;
	kernels_select(&k, ISA_REF);
	for (size_t i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
		float max = k.max(is[i].x, 4);

		assert_true(max == is[i].max && !(max == 0 && signbit(max)));
		assert_int_equal(k.argmax(is[i].x, 4), is[i].at);
	}
}

static void test_f16_is_exact(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 0x10000; h++) {
		uint16_t bits = (uint16_t)h;
		_Float16 f;

		memcpy(&f, &bits, 2);
		if (f != f)
			continue;
		assert_true(f16_to_f32(bits) == (float)f);
		assert_int_equal(f32_to_f16((float)f), bits);
	}
	for (int i = 0; i < 2000000; i++) {
		float f = f32_from_bits(rng());
		_Float16 g = (_Float16)f;
		uint16_t bits;

		memcpy(&bits, &g, 2);
		if (f == f)
			assert_int_equal(f32_to_f16(f), bits);
	}
}

static void test_exp_is_within_two_ulp(void **state)
{
	(void)state;
	assert_true(ref_exp(0.0f) == 1.0f);
	assert_true(ref_exp(-1e30f) == 0.0f);
	assert_true(ref_exp(NAN) == 0.0f);
	assert_true(isnan(ref_exp_or_nan(NAN)) && ref_exp_or_nan(-1e30f) == 0.0f);
	for (float x = -86.0f; x < 87.0f; x += 0.00137f) {
		double want = exp((double)x);

		assert_true(fabs((double)ref_exp(x) - want) <= 2 * 0x1p-23 * want);
	}
}

static void test_tanh_is_right(void **state)
{
	double worst = 0;

	(void)state;
	assert_true(ref_tanh(INFINITY) == 1.0f && ref_tanh(-INFINITY) == -1.0f && ref_tanh(10.0f) == 1.0f);
	assert_true(isnan(ref_tanh(NAN)));
	assert_true(f32_bits(ref_tanh(0.0f)) == 0 && f32_bits(ref_tanh(-0.0f)) == 1u << 31);
	for (float x = 0x1p-120f; x < 12.0f; x *= 1.0001f) {
		double want = tanh((double)x), e = fabs((double)ref_tanh(x) - want) / want;

		worst = e > worst ? e : worst;
		assert_true(ref_tanh(-x) == -ref_tanh(x));
	}
	print_message("worst error: %.2f * 2^-24\n", worst * 0x1p24);
	assert_true(worst < 5 * 0x1p-24);
}

static void test_softplus_is_right(void **state)
{
	double worst = 0;

	(void)state;
	assert_true(isnan(ref_softplus_of(NAN)) && ref_softplus_of(-1e30f) == 0.0f && ref_softplus_of(1e30f) == 1e30f);
	for (float x = -86.0f; x < 90.0f; x += 0.00137f) {
		double want = log1p(exp((double)x)), e = fabs((double)ref_softplus_of(x) - want) / want;

		worst = e > worst ? e : worst;
	}
	print_message("worst error: %.2f * 2^-24\n", worst * 0x1p24);
	assert_true(worst < 6 * 0x1p-24);
}

static void test_activations_are_right(void **state)
{
	const struct xielu p = { 0.8f, 0.9f, 0.5f, -1e-6f };
	float nan[3] = { NAN, NAN, NAN };

	(void)state;
	assert_true(ref_expm1(-INFINITY) == -1.0f && ref_expm1(-30.0f) == -1.0f && isnan(ref_expm1(NAN)));
	for (float x = 0x1p-120f; x < 20.0f; x *= 1.001f) {
		double want = expm1(-(double)x), e;
		float in[2] = { x, -x }, y[2];

		assert_true(fabs((double)ref_expm1(-x) - want) <= 4 * 0x1p-24 * -want);
		ref_relu2(y, in, 2);
		assert_true(y[0] == x * x && y[1] == 0);
		ref_xielu(y, in, 2, &p);
		e = 0.9f * (double)x * (double)x + 0.5 * (double)x;
		assert_true(fabs((double)y[0] - e) <= 2 * 0x1p-24 * e);
		/* Around 0 the exponential is taken at eps, and terms cancel: to a part of their size. */
		e = (expm1(x < 1e-6f ? (double)-1e-6f : -(double)x) + (double)x) * (double)0.8f - 0.5 * (double)x;
		assert_true(fabs((double)y[1] - e) <= 4 * 0x1p-24 * ((double)x + 1e-6));
	}
	ref_relu2(nan, nan, 1), ref_gelu(nan + 1, nan + 1, 1), ref_xielu(nan + 2, nan + 2, 1, &p);
	assert_true(isnan(nan[0]) && isnan(nan[1]) && isnan(nan[2]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ref_matmul_is_right),
		cmocka_unit_test(test_ref_max_is_right),
		cmocka_unit_test(test_f16_is_exact),
		cmocka_unit_test(test_ref_chunks_meet_in_the_tree),
		cmocka_unit_test(test_exp_is_within_two_ulp),
		cmocka_unit_test(test_tanh_is_right),
		cmocka_unit_test(test_ref_layer_norm_is_right),
		cmocka_unit_test(test_softplus_is_right),
		cmocka_unit_test(test_activations_are_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
