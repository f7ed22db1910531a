/*
 * Why it matters: attention reads memory that other requests wrote, so what a query must not see has to be without a trace whatever lies
 * there; and it is cut into chunks, tiles and groups that must never show in the bits. So every ISA is held to the bits of ref/ with
 * poison wherever nothing is seen.
 */
#include "tests/kernels/proofs.h"

#include <limits.h>
#include <math.h>

#define N_POS   (3 * ATTN_CHUNK / 2)
#define N_BLOCK (N_POS / KV_BLOCK)

/* The same bits, but for the payload of a NaN. */
static void assert_floats_equal(const float *a, const float *b, int n)
{
	for (int i = 0; i < n; i++)
		assert_true(f32_bits(a[i]) == f32_bits(b[i]) || (isnan(a[i]) && isnan(b[i])));
}

/* What is stored: anything; equal weights and V at its extremes, the largest sum of integers there is; one weight far above the rest;
 * V of all magnitudes at once, of subnormal scales, of the largest, of none; and infinities or NaN in V or K. */
enum kv_fill {
	KV_RANDOM,
	KV_EQUAL,
	KV_PEAK,
	KV_MIXED,
	KV_TINY,
	KV_HUGE,
	KV_ZERO,
	KV_INFINITE,
	KV_INFINITE_K,
	KV_NAN,
	KV_NAN_K,
	KV_FILL_N
};

/* Whether position p has an infinity or a NaN. */
static bool is_bad(enum kv_fill fill, int32_t p)
{
	return fill == KV_INFINITE_K ? p % 64 == 3 : fill >= KV_INFINITE && p == 3;
}

static void fill_kv(float *k, float *v, enum kvq_type type, int32_t p, enum kv_fill fill)
{
	float huge = type == KVQ_F16 ? 60000.0f : 8e6f, mixed = ldexpf(1.0f, (int)(rng() % 40) - 26);

	for (int d = 0; d < DIM_K_MAX; d++)
		k[d] = fill == KV_EQUAL ? 0.0f : (fill == KV_PEAK && p == 5 ? 30.0f : 1.0f) * uniform();
	for (int d = 0; d < DIM_V_MAX; d++) {
		v[d] = fill == KV_EQUAL ? (d % 2 ? -1.0f : 1.0f) : uniform();
		v[d] *= fill == KV_MIXED  ? mixed
			: fill == KV_TINY ? 1e-6f
			: fill == KV_HUGE ? huge
			: fill == KV_ZERO ? 0.0f
					  : 1.0f;
	}
	if (!is_bad(fill, p))
		return;
	if (fill == KV_INFINITE)
		v[1] = INFINITY;
	if (fill == KV_INFINITE_K) /* its scores are infinite, or NaN */
		k[1] = INFINITY, k[2] = p % 128 == 3 ? -INFINITY : 1.0f;
	if (fill == KV_NAN)
		v[15] = NAN;
	if (fill == KV_NAN_K)
		k[14] = -NAN;
}

/* Which positions a query at `pos` sees. */
enum view { VIEW_CAUSAL, VIEW_WINDOW, VIEW_CHUNKED, VIEW_BOTH_SIDES, VIEW_ANY, VIEW_ONE, VIEW_N };

static void set_view(int32_t *first, int32_t *end, enum view view, int32_t pos, int32_t last)
{
	static const int32_t windows[] = { 1, 7, 16, 31, 32, 33, 100, 128, 511, 512, 513 },
			     chunks[] = { 16, 48, 128, 512 };
	int32_t w = windows[rng() % 11], c = chunks[rng() % 4];

	*first = rng() % 8 ? 0 : INT_MIN; /* anything below 0 is as 0 */
	*end = pos + 1;
	if (view == VIEW_WINDOW)
		*first = pos + 1 - w;
	if (view == VIEW_CHUNKED)
		*first = pos / c * c;
	if (view == VIEW_BOTH_SIDES)
		*first = pos - w, *end = pos + w < last ? pos + w + 1 : last + 1;
	if (view == VIEW_ANY) /* in any order: none, too */
		*first = (int32_t)(rng() % (uint32_t)(last + 2)), *end = (int32_t)(rng() % (uint32_t)(last + 2));
	if (view == VIEW_ONE)
		*first = pos;
}

/* A tile of queries, the KV it attends to as two implementations stored it, and what they make of it. */
struct attn_case {
	enum kvq_type type;
	enum kv_fill fill;
	enum view view;
	int32_t last; /* position */
	struct attn_kv kv;
	struct attn_tile tile;

	uint8_t *mem[2];
	size_t bytes;
	uint32_t blocks[N_BLOCK];
	const float *q[ATTN_TILE];
	int32_t first[ATTN_TILE], end[ATTN_TILE];
	bool is_seen[N_POS];
};

/* Each query's positions. A block before the first and after the last that is seen has no number: reading there is a crash. */
static void case_views(struct attn_case *c)
{
	int32_t lowest = N_POS, highest = -1;

	c->tile.first = c->first, c->tile.end = c->end;
	for (int i = 0; i < c->tile.n; i++) {
		int32_t pos = c->last - (i * 5 <= c->last ? i * 5 : 0);

		set_view(&c->first[i], &c->end[i], c->view, pos, c->last);
		if (i == 2)
			c->end[i] = rng() % 2 ? c->first[i] : INT_MIN; /* sees nothing */
		for (int32_t p = c->first[i] > 0 ? c->first[i] : 0; p < c->end[i]; p++) {
			c->is_seen[p] = true;
			lowest = p < lowest ? p : lowest;
			highest = p > highest ? p : highest;
		}
	}
	for (int32_t b = 0; b < N_BLOCK; b++)
		c->blocks[b] = b >= lowest / KV_BLOCK && b * KV_BLOCK <= highest ? (uint32_t)(b * 7 + 3) % N_BLOCK
										 : UINT32_MAX / 2;
	c->kv.blocks = c->blocks;
}

/* K of all blocks, then V of all blocks: poison but for the positions that somebody sees. */
static void case_store(struct attn_case *c, const struct kernels *const k[2])
{
	static const uint8_t poison[] = { 0x7e, 0xff, 0xbf }; /* as f16: NaN of both signs, -1.9 */
	float kf[DIM_K_MAX], vf[DIM_V_MAX];

	c->kv.k_stride = kvq_bytes(c->type, c->kv.dim_k);
	c->kv.v_stride = kvq_bytes(c->type, c->kv.dim_v);
	c->bytes = N_BLOCK * (c->kv.k_stride + c->kv.v_stride);
	for (int i = 0; i < 2; i++) {
		c->mem[i] = aligned(c->bytes);
		memset(c->mem[i], poison[c->tile.n % 3], c->bytes);
	}
	for (int32_t p = 0; p <= c->last; p++) {
		size_t block = c->blocks[p / KV_BLOCK];

		if (!c->is_seen[p])
			continue;
		fill_kv(kf, vf, c->type, p, c->fill);
		for (int i = 0; i < 2; i++)
			k[i]->kvq_store[c->type](c->mem[i] + block * c->kv.k_stride,
						 c->mem[i] + N_BLOCK * c->kv.k_stride + block * c->kv.v_stride, kf, vf,
						 p % KV_BLOCK, c->kv.dim_k, c->kv.dim_v);
	}
	assert_memory_equal(c->mem[0], c->mem[1], c->bytes);
	c->kv.k = c->mem[0];
	c->kv.v = c->mem[0] + N_BLOCK * c->kv.k_stride;
}

static void case_next(struct attn_case *c)
{
	static const uint32_t next[ATTN_CHUNK / KV_BLOCK] = { 5, 1, 9 };

	c->kv.next_k = c->kv.k, c->kv.next_v = c->kv.v;
	c->kv.next_blocks = next;
	c->kv.n_next = c->tile.n % (ATTN_CHUNK / KV_BLOCK + 1);
}

/* What is not finite shows in the result of every query that sees it, and in no other's. (K of a KV of floats may be minus infinity.) */
static void case_faults(const struct attn_case *c, int32_t p0, const float *o, const float *m, const float *l)
{
	for (int i = 0; i < c->tile.n; i++) {
		bool sees = false, is_finite = isfinite(l[i]);

		for (int32_t p = c->first[i] > p0 ? c->first[i] : p0; p < c->end[i] && p < p0 + ATTN_CHUNK; p++)
			sees |= is_bad(c->fill, p);
		for (int d = 0; d < c->kv.dim_v; d++)
			is_finite &= isfinite(o[i * c->kv.dim_v + d]) != 0;
		if (sees && c->fill == KV_INFINITE_K && c->type != KVQ_Q8_0)
			continue;
		if (is_finite == sees)
			fail_msg("KV %s, fill %d: query %d sees %s and is %s", kvq_name(c->type), (int)c->fill, i,
				 sees ? "what is not finite" : "only numbers", is_finite ? "finite" : "not");
		assert_true(sees || (m[i] == -INFINITY ? l[i] == 0.0f : l[i] > 0.0f));
	}
}

static void case_compare(const struct attn_case *c, const struct kernels *const k[2])
{
	enum { O = ATTN_TILE * DIM_V_MAX };
	static float o[2][O], m[2][ATTN_TILE + 1], l[2][ATTN_TILE + 1], scratch[ATTN_SCRATCH];
	int n = c->tile.n * c->kv.dim_v;

	for (int32_t p0 = 0; p0 <= c->last; p0 += ATTN_CHUNK) {
		for (int i = 0; i < 2; i++) {
			struct attn_partial to = { o[i], m[i], l[i] };

			set_canaries(o[i], O), set_canaries(m[i], ATTN_TILE + 1), set_canaries(l[i], ATTN_TILE + 1);
			k[i]->attn_chunk[c->type](&to, &c->tile, &c->kv, p0, scratch);
		}
		assert_floats_equal(o[0], o[1], n);
		assert_memory_equal(o[0] + n, o[1] + n, sizeof(float) * (size_t)(O - n));
		assert_memory_equal(m[0], m[1], sizeof(m[0]));
		assert_floats_equal(l[0], l[1], ATTN_TILE + 1);
		case_faults(c, p0, o[0], m[0], l[0]);
	}
}

static void attn_case(const struct kernels *ref, const struct kernels *isa, struct attn_case *c)
{
	const struct kernels *const k[2] = { ref, isa };
	static float q[ATTN_TILE * DIM_K_MAX];

	for (int i = 0; i < ATTN_TILE * DIM_K_MAX; i++)
		q[i] = 32.0f * uniform();
	for (int i = 0; i < c->tile.n; i++)
		c->q[i] = q + (c->tile.n - 1 - i) * c->kv.dim_k;
	c->tile.q = c->q;
	case_views(c);
	case_store(c, k);
	case_next(c);
	case_compare(c, k);
	free(c->mem[0]), free(c->mem[1]);
}

static const struct {
	int k, v;
} dims[] = { { 16, 16 },   { 64, 64 },   { 80, 80 },   { 96, 64 },  { 128, 128 }, { 192, 128 },
	     { 208, 208 }, { 256, 256 }, { 576, 512 }, { 48, 512 }, { 512, 32 } };
#define N_DIM (sizeof(dims) / sizeof(dims[0]))

/* Each number of queries with each last position; the rest by turns whose lengths have no common divisor. */
static void check_attn(const struct kernels *ref, const struct kernels *k)
{
	static const int32_t last[] = { 0, 1, 15, 16, 31, 32, 100, 511, 512, 600 };
	static const float cap[] = { 0.0f, 50.0f, 0.0f, 3.0f, 0.0f };
	size_t turn = 0;

	for (int type = 0; type < KVQ_TYPE_MAX; type++)
		for (size_t i = 0; i < sizeof(last) / sizeof(last[0]); i++)
			for (int n = 1; n <= ATTN_TILE; n += last[i] < 500 ? 1 : 3, turn++) {
				struct attn_case c = {
					.type = (enum kvq_type)type,
					.fill = (enum kv_fill)(turn / 7 % KV_FILL_N),
					.view = (enum view)(turn % 7 % VIEW_N),
					.last = last[i],
					.kv = { .dim_k = dims[turn % N_DIM].k, .dim_v = dims[turn % N_DIM].v },
					.tile = { .n = n, .scale = 0.125f + uniform() / 16, .cap = cap[turn % 5] },
				};

				attn_case(ref, k, &c);
			}
}

/* A query that sees one position has its score as maximum: tanh of all magnitudes and of what is no number. */
static void check_tanh(const struct kernels *ref, const struct kernels *k)
{
	enum { DIM = 16, ROUNDS = 1000 };
	static const float special[] = { 0.0f,  -0.0f,    10.0f,     9.9999f, -10.0001f,
					 1e30f, INFINITY, -INFINITY, NAN,     -1e-45f };
	static float q[ATTN_TILE][DIM], scratch[ATTN_SCRATCH], o[ATTN_TILE * DIM];
	float m[2][ATTN_TILE], l[ATTN_TILE], kf[DIM] = { 1.0f }, vf[DIM] = { 0 };
	static _Alignas(64) uint8_t mem[2 * DIM * KV_BLOCK * 2];
	struct attn_case c = { .kv = { .k = mem, .v = mem + sizeof(mem) / 2, .dim_k = DIM, .dim_v = DIM },
			       .tile = { .n = ATTN_TILE, .scale = 1.0f } };
	const uint32_t block = 0;

	c.kv.blocks = &block;
	c.tile.q = c.q, c.tile.first = c.first, c.tile.end = c.end;
	for (int slot = 0; slot < KV_BLOCK; slot++)
		ref->kvq_store[KVQ_F16](mem, mem + sizeof(mem) / 2, kf, vf, slot, DIM, DIM);
	for (int round = 0; round < ROUNDS; round++) {
		c.tile.cap = round ? 1.0f : 50.0f; /* -1e-45 / 50 is -0 */
		for (int i = 0; i < ATTN_TILE; i++) {
			q[i][0] = round ? ldexpf(uniform(), (int)(rng() % 40) - 32) : special[i % 10];
			c.q[i] = q[i];
			c.first[i] = i, c.end[i] = i + 1;
		}
		ref->attn_chunk[KVQ_F16](&(struct attn_partial){ o, m[0], l }, &c.tile, &c.kv, 0, scratch);
		k->attn_chunk[KVQ_F16](&(struct attn_partial){ o, m[1], l }, &c.tile, &c.kv, 0, scratch);
		assert_memory_equal(m[0], m[1], sizeof(m[0]));
	}
}

static void check_merge(const struct kernels *ref, const struct kernels *k)
{
	enum { PART = 5, STRIDE = DIM_V_MAX + 5 };
	static float o[PART * STRIDE];
	float m[PART], l[PART], y0[DIM_V_MAX], y1[DIM_V_MAX];

	for (int dim = 16; dim <= DIM_V_MAX; dim += 48) {
		for (int n_part = 1; n_part <= PART; n_part++) {
			float sink = n_part % 2 ? -INFINITY : 40.0f * uniform();
			bool is_nan = n_part >= 3 && rng() % 4 == 0;

			for (int i = 0; i < PART * STRIDE; i++)
				o[i] = uniform();
			for (int c = 0; c < n_part; c++) { /* one saw nothing, in one all scores were NaN */
				m[c] = c == 1 || (is_nan && c == 2) ? -INFINITY : 40.0f * uniform();
				l[c] = c == 1 ? 0.0f : is_nan && c == 2 ? NAN : 2.0f + uniform();
			}
			set_canaries(y0, DIM_V_MAX), set_canaries(y1, DIM_V_MAX);
			ref->attn_merge(y0, o, STRIDE, m, l, n_part, dim, sink),
				k->attn_merge(y1, o, STRIDE, m, l, n_part, dim, sink);
			assert_floats_equal(y0, y1, DIM_V_MAX);
			assert_true(isnan(y0[0]) == is_nan && isnan(y0[dim - 1]) == is_nan);
		}
	}
}

/* Halves: the same, or NaN both. */
static void assert_halves_equal(const uint8_t *a, const uint8_t *b, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 2)
		assert_true(load_u16(a + i) == load_u16(b + i) || (isnan(load_f16(a + i)) && isnan(load_f16(b + i))));
}

/* Every slot, of floats with any bits: subnormals, infinities and NaN must land as ref/ stores them, and nowhere else. */
static void kvq_store_case(const struct kernels *ref, const struct kernels *k, enum kvq_type type, int dim_k, int dim_v,
			   int slot)
{
	static uint8_t kv0[8 * KV_BLOCK * DIM_K_MAX], kv1[sizeof(kv0)];
	float kf[DIM_K_MAX], vf[DIM_V_MAX];
	size_t kb = kvq_bytes(type, dim_k);

	assert_true(kb + kvq_bytes(type, dim_v) <= sizeof(kv0));
	memset(kv0, 0x7e, sizeof(kv0)), memset(kv1, 0x7e, sizeof(kv1));
	for (int d = 0; d < dim_k; d++)
		kf[d] = f32_from_bits(rng());
	for (int d = 0; d < dim_v; d++)
		vf[d] = slot % 4 ? ldexpf(uniform(), (int)(rng() % 44) - 26) : f32_from_bits(rng());
	ref->kvq_store[type](kv0, kv0 + kb, kf, vf, slot, dim_k, dim_v);
	k->kvq_store[type](kv1, kv1 + kb, kf, vf, slot, dim_k, dim_v);
	if (type == KVQ_F16)
		assert_halves_equal(kv0, kv1, sizeof(kv0));
	else
		assert_memory_equal(kv0, kv1, sizeof(kv0));
}

static void check_kvq_store(const struct kernels *ref, const struct kernels *k)
{
	for (int type = 0; type < KVQ_TYPE_MAX; type++)
		for (int slot = 0; slot < KV_BLOCK; slot++) {
			kvq_store_case(ref, k, (enum kvq_type)type, 16 * (1 + slot % 16), 16 * (1 + slot % 16), slot);
			kvq_store_case(ref, k, (enum kvq_type)type, DIM_K_MAX - 16 * slot, 16 + 16 * (slot % 32), slot);
		}
}

static const struct proof proofs[] = {
	{ .operation = "attention", .check = check_attn },
	{ .operation = "attention's tanh", .check = check_tanh },
	{ .operation = "attention's merge", .check = check_merge },
	{ .operation = "kvq_store", .check = check_kvq_store },
};
#define N_PROOF (sizeof(proofs) / sizeof(proofs[0]))

int main(void)
{
	struct CMUnitTest tests[ISA_MAX * N_PROOF] = { 0 };
	size_t n = proofs_add(tests, 0, proofs, N_PROOF);

	return _cmocka_run_group_tests("attention", tests, n, NULL, NULL);
}
