/*
 * Why it matters: every ISA is held to the bits of ref/, so what ref/ gets wrong of attention is wrong everywhere: a window that ends
 * one position early, a cap or a sink that counts twice. Here it is held to double.
 */
#include "tests/kernels/data.h"

#include <math.h>

/* Values that every KV type holds exactly: a block of 32 whose first is the largest, as quants times a power of two. */
static void fill_exact(float *x, int dim)
{
	for (int d = 0; d < dim; d++)
		x[d] = (d % 32 ? (float)((int)(rng() % 255) - 127) : rng() % 2 ? 127.0f : -127.0f) * 0x1p-7f;
}

enum { EXACT_POS = 2 * ATTN_CHUNK + 100 };

static struct {
	float k[EXACT_POS][DIM_K_MAX], v[EXACT_POS][DIM_V_MAX], q[DIM_K_MAX];
	_Alignas(64) uint8_t mem[(EXACT_POS / KV_BLOCK + 1) * (DIM_K_MAX + DIM_V_MAX) * KV_BLOCK * sizeof(float)];
	uint32_t blocks[EXACT_POS / KV_BLOCK + 1];
} exact;

/* All positions stored as `type`. */
static struct attn_kv exact_kv(const struct kernels *k, enum kvq_type type, int dim_k, int dim_v)
{
	struct attn_kv kv = { .k = exact.mem, .blocks = exact.blocks, .dim_k = dim_k, .dim_v = dim_v };

	kv.k_stride = kvq_bytes(type, dim_k);
	kv.v_stride = kvq_bytes(type, dim_v);
	kv.v = exact.mem + (EXACT_POS / KV_BLOCK + 1) * kv.k_stride;
	fill_exact(exact.q, dim_k);
	for (uint32_t p = 0; p < EXACT_POS; p++) {
		uint32_t b = p / KV_BLOCK;
		size_t v_at = (size_t)(kv.v - exact.mem) + b * kv.v_stride;

		exact.blocks[b] = b;
		fill_exact(exact.k[p], dim_k);
		fill_exact(exact.v[p], dim_v);
		k->kvq_store[type](exact.mem + b * kv.k_stride, exact.mem + v_at, exact.k[p], exact.v[p],
				   (int)(p % KV_BLOCK), dim_k, dim_v);
	}
	return kv;
}

/* y, and how large the values are that it is a mean of. */
static void attend_in_double(double *y, double *size, const struct attn_tile *t, const struct attn_kv *kv, float sink)
{
	static double s[EXACT_POS];
	double max = (double)sink, sum;

	for (int p = t->first[0]; p < t->end[0]; p++) {
		s[p] = 0;
		for (int d = 0; d < kv->dim_k; d++)
			s[p] += (double)exact.q[d] * (double)exact.k[p][d] * (double)t->scale;
		if (t->cap > 0.0f)
			s[p] = (double)t->cap * tanh(s[p] / (double)t->cap);
		max = s[p] > max ? s[p] : max;
	}
	sum = exp((double)sink - max);
	for (int d = 0; d < kv->dim_v; d++)
		y[d] = size[d] = 0;
	for (int p = t->first[0]; p < t->end[0]; p++) {
		sum += exp(s[p] - max);
		for (int d = 0; d < kv->dim_v; d++) {
			y[d] += exp(s[p] - max) * (double)exact.v[p][d];
			size[d] += exp(s[p] - max) * fabs((double)exact.v[p][d]);
		}
	}
	for (int d = 0; d < kv->dim_v; d++)
		y[d] /= sum, size[d] /= sum;
}

/* One query through all chunks and the merge. */
static double attn_error(const struct kernels *k, enum kvq_type type, const struct attn_tile *t,
			 const struct attn_kv *kv, float sink)
{
	enum { PART = EXACT_POS / ATTN_CHUNK + 1 };
	static float o[PART][DIM_V_MAX], scratch[ATTN_SCRATCH], y[DIM_V_MAX];
	static double want[DIM_V_MAX], size[DIM_V_MAX];
	float m[PART], l[PART];
	double err = 0, norm = 0;

	for (int c = 0; c < PART; c++)
		k->attn_chunk[type](&(struct attn_partial){ o[c], &m[c], &l[c] }, t, kv, c * ATTN_CHUNK, scratch);
	k->attn_merge(y, o[0], DIM_V_MAX, m, l, PART, kv->dim_v, sink);
	attend_in_double(want, size, t, kv, sink);
	for (int d = 0; d < kv->dim_v; d++) {
		err += ((double)y[d] - want[d]) * ((double)y[d] - want[d]);
		norm += size[d] * size[d];
	}
	return sqrt(err / norm);
}

/* The worst of all views, caps and sinks. */
static double attn_worst(const struct kernels *k, enum kvq_type type, int dim_k, int dim_v)
{
	static const int32_t views[][2] = { { 0, 900 }, { 600, 700 }, { 500, 1027 }, { 1024, 1100 }, { 0, EXACT_POS } };
	struct attn_kv kv = exact_kv(k, type, dim_k, dim_v);
	const float *q = exact.q;
	double worst = 0;

	for (int i = 0; i < 5 * 2 * 2; i++) {
		const int32_t *view = views[i / 4];
		struct attn_tile t = { &q, &view[0], &view[1], 1, 0.75f, i % 2 ? 10.0f : 0.0f };
		double e = attn_error(k, type, &t, &kv, i / 2 % 2 ? 6.0f : -INFINITY);

		worst = e > worst ? e : worst;
	}
	return worst;
}

static void ref_is_right(void **state)
{
	static const double tolerance[] = {
		[KVQ_F16] = 1e-6, [KVQ_Q8_0] = 1e-4 /* weights of 15 bits */, [KVQ_F32] = 1e-6
	};
	struct kernels k;

	(void)state;
	kernels_select(&k, ISA_REF);
	for (int type = 0; type < KVQ_TYPE_MAX; type++) {
		double a = attn_worst(&k, (enum kvq_type)type, 80, 96),
		       b = attn_worst(&k, (enum kvq_type)type, DIM_K_MAX, DIM_V_MAX);

		print_message("%s: error %.1e and %.1e\n", kvq_name((enum kvq_type)type), a, b);
		assert_true(a < tolerance[type] && b < tolerance[type]);
	}
}

/* One query over a chunk of q8_0 KV, and in double over the values as they are stored. Weights of 15 bits lose up to a 65,534th of
 * the largest each; those far below it, the most in sum. `peak` spreads the scores. */
static double attn_q8_error(const struct kernels *k, float peak)
{
	enum { HD = 64, N = ATTN_CHUNK, BYTES = 2 * HD / 32 * 34 * KV_BLOCK };
	static float q[HD], o[HD], scratch[ATTN_SCRATCH], vf[N][HD];
	static _Alignas(64) uint8_t kv[N / KV_BLOCK * BYTES];
	double err = 0, norm = 0, want[HD] = { 0 }, sum = 0;
	uint32_t blocks[N / KV_BLOCK];
	const float *qp = q;
	int32_t first = 0, end = N;
	float m, l;

	for (int d = 0; d < HD; d++)
		q[d] = d == 0;
	for (int p = 0; p < N; p++) {
		float kf[HD] = { peak * uniform() }, e;
		uint8_t *at = kv + p / KV_BLOCK * BYTES;
		uint16_t scale;

		blocks[p / KV_BLOCK] = (uint32_t)(p / KV_BLOCK);
		for (int d = 0; d < HD; d++) { /* what a block of quants with an exact scale holds exactly */
			vf[p][d] = (float)((int)(rng() % 255) - 127) * 0x1p-7f;
			vf[p][d] = d % 32 ? vf[p][d] : 127 * 0x1p-7f;
		}
		k->kvq_store[KVQ_Q8_0](at, at + BYTES / 2, kf, vf[p], p % KV_BLOCK, HD, HD);
		memcpy(&scale, at + p % KV_BLOCK * 2, 2);
		e = f16_to_f32(scale) * 127.0f; /* |k[0]|, as stored */
		kf[0] = kf[0] < 0 ? -e : e;
		sum += exp((double)kf[0]);
		for (int d = 0; d < HD; d++)
			want[d] += exp((double)kf[0]) * (double)vf[p][d];
	}
	struct attn_kv a = { kv, kv + BYTES / 2, BYTES, BYTES, blocks, .dim_k = HD, .dim_v = HD };
	struct attn_tile tile = { &qp, &first, &end, 1, 1.0f, 0.0f };

	k->attn_chunk[KVQ_Q8_0](&(struct attn_partial){ o, &m, &l }, &tile, &a, 0, scratch);
	for (int d = 0; d < HD; d++) {
		double e = (double)o[d] / (double)l - want[d] / sum;

		err += e * e;
		norm += want[d] / sum * want[d] / sum;
	}
	return sqrt(err / norm);
}

static void test_ref_attn_q8_is_right(void **state)
{
	struct kernels k;

	(void)state;
	kernels_select(&k, ISA_REF);
	for (int i = 0; i < 4; i++) {
		static const float peak[] = { 0.0f, 1.0f, 5.0f, 20.0f };
		double e = attn_q8_error(&k, peak[i]);

		print_message("scores within %g: error %.1e\n", (double)peak[i], e);
		assert_true(e < 5e-5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ref_is_right),
		cmocka_unit_test(test_ref_attn_q8_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
