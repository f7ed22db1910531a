/*
 * Why it matters: every ISA must return the bits of ref/, or a request's tokens would depend on the machine it ran on. So
 * each operation runs on every ISA of this machine with adversarial data between canaries, and memcmp is the only judge.
 */
#include "tests/kernels/data.h"
#include "tests/util/levels.h"

#include <math.h>
#include <stdio.h>

#define ACT_K_BYTES 404        /* one token's ACT_Q8_K block */
#define CANARY      0x7fc0dead /* a NaN: arithmetic on it shows */

static void set_canaries(float *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = f32_from_bits(CANARY);
}

static void matmul_case(const struct kernels *ref, const struct kernels *k, const struct type_data *td, enum fill f,
			int n_tok, const struct chunks *chunks, size_t n_panel)
{
	enum { STRIDE = 67 };
	static const float x_scales[] = { 1.0f, 1e6f, 2 * ACT_AMAX_MIN, 0x1p-130f };
	uint32_t type = td->type;
	const struct quant_info *q = quant_info(type);
	size_t n_col = chunks->cut[chunks->n], tile = act_tile_bytes(q->act, n_tok, n_col);
	size_t x_stride = n_col + 3, first = n_panel > 2 ? 1 : 0, last = n_panel - (n_panel > 3 ? 1 : 0);
	float *x = malloc(sizeof(float) * (size_t)n_tok * x_stride), y0[ACT_TILE * STRIDE], y1[ACT_TILE * STRIDE];
	uint8_t *raw, *w = make_weights(td, n_panel * PANEL_ROWS - rng() % PANEL_ROWS, n_col, f, &raw),
		      *x0 = aligned(tile), *x1 = aligned(tile);
	enum fill fx = (enum fill)(rng() % FILL_TINY);
	float x_scale = x_scales[rng() % 4];
	bool mixed = rng() & 1;

	for (size_t i = 0; i < (size_t)n_tok * x_stride; i++)
		x[i] = x_scale * fill_float(mixed ? (enum fill)(rng() % FILL_TINY) : fx);
	ref->act_pack[q->act](x0, x, x_stride, n_tok, n_col);
	memset(x1 + tile, 0x5a, 64);
	for (size_t begin = 0, len; begin < n_col; begin += len) { /* by columns, as workers divide it */
		len = q->block_len + rng() % (n_col - begin) / q->block_len * q->block_len;
		k->act_pack[q->act](x1 + act_tile_bytes(q->act, n_tok, begin), x + begin, x_stride, n_tok, len);
	}
	assert_memory_equal(x0, x1, tile);
	for (int i = 0; i < 64; i++)
		assert_int_equal(x1[tile + (size_t)i], 0x5a);
	set_canaries(y0, ACT_TILE * STRIDE);
	set_canaries(y1, ACT_TILE * STRIDE);
	ref->matmul[type](y0, STRIDE, w, x0, n_tok, chunks, first, last);
	k->matmul[type](y1, STRIDE, w, x0, n_tok, chunks, first, last);
	if (memcmp(y0, y1, sizeof(y0)))
		fail_msg("%s on %s differs from ref: fill %d, %d tokens, %zu columns, %u chunks, %zu panels", q->name,
			 k->isa, (int)f, n_tok, n_col, chunks->n, n_panel);
	free(x), free(raw), free(w), free(x0), free(x1);
}

static void check_matmul(const struct kernels *ref, const struct kernels *k)
{
	for (size_t ti = 0; ti < N_TYPE; ti++) {
		size_t len = quant_info(types[ti].type)->block_len == 1 ? 37 : quant_info(types[ti].type)->block_len;

		for (enum fill f = 0; f < FILL_N; f++)
			for (int n_tok = 1; n_tok <= ACT_TILE; n_tok++) {
				struct chunks whole = one_chunk(len * (1 + rng() % 3));

				matmul_case(ref, k, &types[ti], f, n_tok, &whole, 1 + rng() % 4);
			}
	}
}

static const uint32_t chunk_counts[] = { 1, 2, 3, 5, 7, 8, 9, 14, CHUNK_MAX };
#define N_CHUNK_COUNT (sizeof(chunk_counts) / sizeof(chunk_counts[0]))

static void check_matmul_chunks(const struct kernels *ref, const struct kernels *k)
{
	for (size_t ti = 0; ti < N_TYPE; ti++)
		for (size_t i = 0; i < N_CHUNK_COUNT; i++)
			for (int n_tok = 1; n_tok <= ACT_TILE; n_tok++) {
				uint32_t n = chunk_counts[i];
				struct chunks chunks =
					cut_chunks(n, n + rng() % 4, quant_info(types[ti].type)->block_len);

				matmul_case(ref, k, &types[ti], (enum fill)(rng() % FILL_TINY), n_tok, &chunks,
					    1 + rng() % 3);
			}
}

static void check_vector(const struct kernels *ref, const struct kernels *k)
{
	static const size_t sizes[] = { 1, 15, 16, 17, 64, 576, 1000 };
	float x[1024], w[1024], u[1024], x0[1024], x1[1024], y0[1024], y1[1024];

	for (enum fill f = 0; f < FILL_HUGE; f++) {
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			size_t n = sizes[s];
			float m0, m1;

			for (size_t i = 0; i < 1024; i++) {
				x[i] = fill_float(f) * (f == FILL_RANDOM ? 120.0f : 1.0f);
				w[i] = uniform();
				u[i] = uniform();
				x0[i] = x1[i] = x[i];
			}
			set_canaries(y0, 1024), set_canaries(y1, 1024);
			ref->rms_norm(y0, x, w, n, 1e-5f), k->rms_norm(y1, x, w, n, 1e-5f);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->silu_mul(y0, x, u, n), k->silu_mul(y1, x, u, n);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->add(y0, w, n), k->add(y1, w, n);
			assert_memory_equal(y0, y1, sizeof(y0));
			m0 = ref->max(x, n), m1 = k->max(x, n);
			assert_memory_equal(&m0, &m1, 4);
			assert_int_equal(ref->argmax(x, n), k->argmax(x, n));
			set_canaries(y0, 1024), set_canaries(y1, 1024);
			ref->exps(y0, x, n, 0.7f, m0), k->exps(y1, x, n, 0.7f, m0);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->exps(x0, x0, n, 1, m0), k->exps(x1, x1, n, 1, m0); /* in place */
			assert_memory_equal(x0, x1, sizeof(x0));
			float e0 = ref->sum_exp(x, n, m0), e1 = k->sum_exp(x, n, m0);
			assert_memory_equal(&e0, &e1, 4);
		}
	}
}

/* NaN, -inf and repeated maxima, at every length, so that each lane, chain and tail holds them once. */
static void check_max(const struct kernels *ref, const struct kernels *k)
{
	for (int kind = 0; kind < 3; kind++) {
		float x[160], y0[160], y1[160], m0, m1;

		for (int i = 0; i < 160; i++)
			x[i] = i % 3 == 0           ? NAN
			       : kind == 0 || i % 2 ? -INFINITY
			       : kind == 1          ? (float)(i / 20)
			       : i % 4              ? -0.0f
						    : 0.0f;
		for (size_t start = 0; start < 16; start++) {
			for (size_t n = 1; n <= 160 - start; n++) {
				m0 = ref->max(x + start, n), m1 = k->max(x + start, n);
				assert_memory_equal(&m0, &m1, 4);
				assert_int_equal(ref->argmax(x + start, n), k->argmax(x + start, n));
				set_canaries(y0, 160), set_canaries(y1, 160);
				ref->exps(y0, x + start, n, 1, m0), k->exps(y1, x + start, n, 1, m0);
				assert_memory_equal(y0, y1, sizeof(y0));
			}
		}
	}
}

static void check_rope(const struct kernels *ref, const struct kernels *k)
{
	static const int n_rots[] = { 2, 6, 20, 36, 64, 128 };
	float c[64], s[64], x0[3 * 128], x1[3 * 128];

	for (int neox = 0; neox < 2; neox++) {
		for (size_t r = 0; r < sizeof(n_rots) / sizeof(n_rots[0]); r++) {
			int n_rot = n_rots[r];

			for (int i = 0; i < 64; i++)
				c[i] = uniform(), s[i] = uniform();
			for (int i = 0; i < 3 * 128; i++)
				x0[i] = x1[i] = uniform();
			ref->rope(x0, c, s, 3, 128, n_rot, neox), k->rope(x1, c, s, 3, 128, n_rot, neox);
			assert_memory_equal(x0, x1, sizeof(x0));
		}
	}
}

/* What is stored: anything; equal weights and V at its extremes, the largest sum of integers there is; one weight far above the rest;
 * V of all magnitudes at once, of subnormal scales, of the largest, of none; and one infinity, which need only be harmless. */
enum kv_fill { KV_RANDOM, KV_EQUAL, KV_PEAK, KV_MIXED, KV_TINY, KV_HUGE, KV_ZERO, KV_INFINITE, KV_FILL_N };

static void fill_kv(float *k, float *v, enum kv_type type, int hd, int32_t p, enum kv_fill fill)
{
	float huge = type == KV_F16 ? 60000.0f : 8e6f, mixed = ldexpf(1.0f, (int)(rng() % 40) - 26);

	for (int d = 0; d < hd; d++) {
		k[d] = fill == KV_EQUAL ? 0.0f : (fill == KV_PEAK && p == 5 ? 30.0f : 1.0f) * uniform();
		v[d] = fill == KV_EQUAL ? (d % 2 ? -1.0f : 1.0f) : uniform();
		v[d] *= fill == KV_MIXED  ? mixed
			: fill == KV_TINY ? 1e-6f
			: fill == KV_HUGE ? huge
			: fill == KV_ZERO ? 0.0f
					  : 1.0f;
		if (fill == KV_INFINITE && p == 3 && d == 1)
			v[d] = INFINITY;
	}
}

/* The same bits, but for the payload of a NaN. */
static void assert_floats_equal(const float *a, const float *b, int n)
{
	for (int i = 0; i < n; i++)
		assert_true(f32_bits(a[i]) == f32_bits(b[i]) || (isnan(a[i]) && isnan(b[i])));
}

/* KV of 3 * ATTN_CHUNK / 2 positions in shuffled blocks, the rest poison: what a query must not see must not show. */
static void attn_case(const struct kernels *ref, const struct kernels *k, enum kv_type type, int hd, int n_q,
		      int32_t last, enum kv_fill fill)
{
	static const uint8_t poison[] = { 0x7e, 0xff, 0xbf }; /* as f16: NaN of both signs, -1.9 */
	enum { N_BLOCK = 3 * ATTN_CHUNK / 2 / KV_BLOCK, Q = ATTN_TILE, O = Q * HEAD_DIM_MAX };
	static float q[O], o0[O], o1[O];
	size_t kb = kv_part_bytes(type, hd), stride = 2 * kb, n = N_BLOCK * stride;
	uint8_t *kv0 = aligned(n), *kv1 = aligned(n);
	uint32_t blocks[N_BLOCK];
	float m0[Q], m1[Q], l0[Q], l1[Q], scale = 0.125f + uniform() / 16;
	float *scratch = aligned(sizeof(float) * ATTN_SCRATCH);
	const float *qp[Q];
	int32_t pos[Q];

	for (uint32_t i = 0; i < N_BLOCK; i++)
		blocks[i] = (i * 7 + 3) % N_BLOCK;
	memset(kv0, poison[n_q % 3], n), memset(kv1, poison[n_q % 3], n);
	/* Odd n_q: p1 ends what query 0 sees; even: the positions do, and p1 takes in the poison. Query 2 sees nothing. */
	for (int i = 0; i < n_q; i++)
		pos[i] = i == 2 ? -1 : last - (i * 5 <= last ? i * 5 : 0) + (i == 0 && n_q % 2 ? 7 : 0);
	for (int32_t p = 0; p <= last; p++) {
		float kf[HEAD_DIM_MAX], vf[HEAD_DIM_MAX];
		size_t at = blocks[p / KV_BLOCK] * stride;

		fill_kv(kf, vf, type, hd, p, fill);
		ref->kv_store[type](kv0 + at, kv0 + at + kb, kf, vf, p % KV_BLOCK, hd),
			k->kv_store[type](kv1 + at, kv1 + at + kb, kf, vf, p % KV_BLOCK, hd);
	}
	assert_memory_equal(kv0, kv1, n);
	for (int i = 0; i < n_q; i++) {
		qp[i] = q + (n_q - 1 - i) * hd;
		for (int d = 0; d < hd; d++)
			q[i * hd + d] = 32.0f * uniform();
	}
	struct attn_kv kv = { .k = kv0, .v = kv0 + kb, .block_stride = stride, .blocks = blocks, .head_dim = hd };

	kv.next_k = kv0, kv.next_v = kv0 + kb, kv.n_next = n_q % (ATTN_CHUNK / KV_BLOCK + 1);
	kv.next_blocks = blocks + N_BLOCK - kv.n_next;

	for (int32_t p0 = 0; p0 <= last; p0 += ATTN_CHUNK) {
		int32_t stop = n_q % 2 ? last + 1 : N_BLOCK * KV_BLOCK,
			p1 = stop < p0 + ATTN_CHUNK ? stop : p0 + ATTN_CHUNK;

		set_canaries(o0, O), set_canaries(o1, O);
		ref->attn_chunk[type](o0, m0, l0, qp, scale, pos, n_q, &kv, p0, p1, scratch);
		k->attn_chunk[type](o1, m1, l1, qp, scale, pos, n_q, &kv, p0, p1, scratch);
		assert_floats_equal(o0, o1, n_q * hd);
		assert_memory_equal(o0 + n_q * hd, o1 + n_q * hd, sizeof(o0) - sizeof(float) * (size_t)(n_q * hd));
		assert_memory_equal(m0, m1, sizeof(float) * (size_t)n_q);
		assert_memory_equal(l0, l1, sizeof(float) * (size_t)n_q);
		for (int i = 0; i < n_q * hd; i++)
			assert_true(isfinite(o0[i]) || fill == KV_INFINITE);
	}
	free(kv0), free(kv1), free(scratch);
}

static void check_attn(const struct kernels *ref, const struct kernels *k)
{
	static const int heads[] = { 16, 64, 80, 96, 128, 208, 256 };
	static const int32_t last[] = { 0, 1, 15, 16, 31, 32, 100, 511, 512, 600 };

	for (int type = 0; type < KV_TYPE_MAX; type++)
		for (size_t i = 0; i < sizeof(last) / sizeof(last[0]); i++)
			for (int n_q = 1; n_q <= ATTN_TILE; n_q++)
				attn_case(ref, k, (enum kv_type)type, heads[(i + (size_t)n_q) % 7], n_q, last[i],
					  (enum kv_fill)((i + (size_t)n_q / 7) % KV_FILL_N));
}

static void check_merge(const struct kernels *ref, const struct kernels *k)
{
	enum { PART = 5, STRIDE = 256 + 5 };
	float o[PART * STRIDE], m[PART], l[PART], y0[256], y1[256];

	for (int hd = 16; hd <= 256; hd += 48) {
		for (int n_part = 1; n_part <= PART; n_part++) {
			for (int i = 0; i < PART * STRIDE; i++)
				o[i] = uniform();
			for (int c = 0; c < n_part; c++) {
				m[c] = c == 1 ? -INFINITY : 40.0f * uniform();
				l[c] = c == 1 ? 0.0f : 2.0f + uniform();
			}
			set_canaries(y0, 256), set_canaries(y1, 256);
			ref->attn_merge(y0, o, STRIDE, m, l, n_part, hd),
				k->attn_merge(y1, o, STRIDE, m, l, n_part, hd);
			assert_memory_equal(y0, y1, sizeof(y0));
		}
	}
}

/* Every slot, of floats with any bits: subnormals, infinities and NaN must land as ref/ stores them, and nowhere else. */
static void kv_store_case(const struct kernels *ref, const struct kernels *k, enum kv_type type, int slot)
{
	static uint8_t kv0[4 * KV_BLOCK * HEAD_DIM_MAX], kv1[sizeof(kv0)];
	float kf[HEAD_DIM_MAX], vf[HEAD_DIM_MAX];
	int hd = 16 * (1 + slot % 16);
	size_t kb = kv_part_bytes(type, hd);

	assert_true(2 * kb <= sizeof(kv0));
	memset(kv0, 0x7e, sizeof(kv0)), memset(kv1, 0x7e, sizeof(kv1));
	for (int d = 0; d < hd; d++) {
		kf[d] = f32_from_bits(rng());
		vf[d] = ldexpf(uniform(), (int)(rng() % 44) - 26);
	}
	ref->kv_store[type](kv0, kv0 + kb, kf, vf, slot, hd), k->kv_store[type](kv1, kv1 + kb, kf, vf, slot, hd);
	assert_memory_equal(kv0, kv1, sizeof(kv0));
}

static void check_kv_store(const struct kernels *ref, const struct kernels *k)
{
	for (int type = 0; type < KV_TYPE_MAX; type++)
		for (int slot = 0; slot < KV_BLOCK; slot++)
			kv_store_case(ref, k, (enum kv_type)type, slot);
}

static void test_pack_round_trip(void **state)
{
	(void)state;
	for (size_t ti = 0; ti < N_TYPE; ti++) {
		const struct quant_info *q = quant_info(types[ti].type);
		uint8_t *raw, *w = make_weights(&types[ti], PANEL_ROWS, 512, FILL_RANDOM, &raw), block[256];
		size_t row_bytes = 512 / (size_t)q->block_len * q->block_bytes;

		for (int r = 0; r < PANEL_ROWS; r++)
			for (size_t b = 0; b < 512u / q->block_len; b++) {
				q->unpack(block, w + b * q->block_bytes * PANEL_ROWS, r);
				assert_memory_equal(block, raw + (size_t)r * row_bytes + b * q->block_bytes,
						    q->block_bytes);
			}
		free(raw), free(w);
	}
}

/* A block of subnormals: ACT_Q_MAX / amax would be infinite and 0 * inf a NaN, so it must quantize to zeros. Just above, to ACT_Q_MAX. */
static void test_tiny_block_quantizes_to_zero(void **state)
{
	static const float amax[] = { 0x1p-149f, 0x1p-130f, 0x1p-122f, ACT_AMAX_MIN, 0x1.000002p-120f };
	struct kernels k;

	(void)state;
	for (int isa = ISA_REF; isa < ISA_MAX; isa++) {
		if (!level_runs(isa))
			continue;
		kernels_select(&k, (enum kernels_isa)isa);
		for (size_t i = 0; i < sizeof(amax) / sizeof(amax[0]); i++) {
			float x[256] = { amax[i], -amax[i] };
			_Alignas(64) int8_t tile[ACT_K_BYTES];
			int8_t want = amax[i] > ACT_AMAX_MIN ? (int8_t)ACT_Q_MAX : 0, *q = tile + 12;

			k.act_pack[ACT_Q8](tile, x, 32, 1, 32);
			assert_int_equal(q[0], want);
			assert_int_equal(q[1], -want);
			assert_int_equal(q[2], 0);
			q = tile + 52;
			k.act_pack[ACT_Q8_K](tile, x, 256, 1, 256);
			assert_int_equal(q[0], want);
			assert_int_equal(q[1], -want);
			assert_int_equal(q[255], 0);
		}
	}
}

/* A type in the table and not in `types` would go untested. */
static void test_every_type_is_walked(void **state)
{
	size_t n = 0;

	(void)state;
	for (uint32_t t = 0; t < QUANT_TYPE_MAX; t++)
		n += quant_info(t) != NULL;
	assert_int_equal(n, N_TYPE);
	for (size_t i = 0; i < N_TYPE; i++)
		assert_non_null(quant_info(types[i].type));
}

static void test_packed_bytes_refuses(void **state)
{
	(void)state;
	assert_int_equal(quant_packed_bytes(QUANT_Q4_0, 16, 33), 0);
	assert_int_equal(quant_packed_bytes(QUANT_Q4_K, 16, 32), 0);
	assert_int_equal(quant_packed_bytes(99, 16, 32), 0);
	assert_int_equal(quant_packed_bytes(QUANT_F32, UINT64_MAX / 2, UINT64_MAX / 2), 0);
	assert_int_equal(quant_packed_bytes(QUANT_Q4_0, 17, 64), 32 * 36);
}

/* What every level must do as ref/ does, and each level of the table: a case each, so that one that cannot run here is skipped by name. */
struct proof {
	const char *operation;
	void (*check)(const struct kernels *ref, const struct kernels *k);
	enum kernels_isa isa;
};

static const struct proof proofs[] = {
	{ "matmul", check_matmul, ISA_REF },
	{ "matmul of chunks", check_matmul_chunks, ISA_REF },
	{ "vectors", check_vector, ISA_REF },
	{ "max and exps", check_max, ISA_REF },
	{ "rope", check_rope, ISA_REF },
	{ "attention", check_attn, ISA_REF },
	{ "attention's merge", check_merge, ISA_REF },
	{ "kv_store", check_kv_store, ISA_REF },
};
#define N_PROOF (sizeof(proofs) / sizeof(proofs[0]))

static void equals_ref(void **state)
{
	const struct proof *p = *state;
	struct kernels ref, k;

	if (!kernels_can_run(p->isa))
		skip();
	kernels_select(&ref, ISA_REF);
	kernels_select(&k, p->isa);
	p->check(&ref, &k);
}

/* Adds the proofs of a level to tests[n]; returns how many there are then. */
static size_t add_level(struct CMUnitTest *tests, size_t n, enum kernels_isa isa)
{
	static struct proof of_level[ISA_MAX][N_PROOF];
	static char names[ISA_MAX][N_PROOF][64];

	(void)level_runs((int)isa);
	for (size_t i = 0; i < N_PROOF; i++) {
		struct proof *p = &of_level[isa][i];

		*p = proofs[i];
		p->isa = isa;
		snprintf(names[isa][i], sizeof(names[isa][i]), "%s on %s", p->operation, kernels_isa_name(isa));
		tests[n++] = (struct CMUnitTest){ names[isa][i], equals_ref, NULL, NULL, p };
	}
	return n;
}

int main(void)
{
	struct CMUnitTest tests[4 + ISA_MAX * N_PROOF] = {
		cmocka_unit_test(test_pack_round_trip),
		cmocka_unit_test(test_tiny_block_quantizes_to_zero),
		cmocka_unit_test(test_every_type_is_walked),
		cmocka_unit_test(test_packed_bytes_refuses),
	};
	size_t n = 4;

	for (int isa = ISA_BASE; kernels_isa_name((enum kernels_isa)isa); isa++)
		n = add_level(tests, n, (enum kernels_isa)isa);
	return _cmocka_run_group_tests("kernels", tests, n, NULL, NULL);
}
