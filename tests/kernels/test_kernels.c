/*
 * Why it matters: every ISA must return the bits of ref/, or a request's tokens would depend on the machine it ran on. So
 * each operation runs on every ISA of this machine with adversarial data between canaries, and memcmp is the only judge.
 */
#include "kernels/f16.h"
#include "kernels/kernels.h"
#include "kernels/ref/exp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ACT_K_BYTES 308        /* one token's ACT_Q8_K block */
#define CANARY      0x7fc0dead /* a NaN: arithmetic on it shows */

/* What test data must know of a type: where a block's f16 scales lie, and the bytes of its largest and smallest values. */
static const struct type_data {
	uint32_t type;
	uint8_t n_scale, at[2], max, min;
} types[] = {
	{ QUANT_F32, 0, { 0 }, 0, 0 },          { QUANT_F16, 1, { 0 }, 0, 0 },
	{ QUANT_BF16, 0, { 0 }, 0, 0 },         { QUANT_Q4_0, 1, { 0 }, 0xff, 0 },
	{ QUANT_Q4_1, 2, { 0, 2 }, 0xff, 0 },   { QUANT_Q5_0, 1, { 0 }, 0xff, 0 },
	{ QUANT_Q5_1, 2, { 0, 2 }, 0xff, 0 },   { QUANT_Q8_0, 1, { 0 }, 0x7f, 0x80 },
	{ QUANT_Q2_K, 2, { 80, 82 }, 0xff, 0 }, { QUANT_Q3_K, 1, { 108 }, 0xff, 0 },
	{ QUANT_Q4_K, 2, { 0, 2 }, 0xff, 0 },   { QUANT_Q5_K, 2, { 0, 2 }, 0xff, 0 },
	{ QUANT_Q6_K, 1, { 208 }, 0xff, 0 },    { QUANT_IQ4_NL, 1, { 0 }, 0xff, 0 },
	{ QUANT_IQ4_XS, 1, { 0 }, 0xff, 0 },    { QUANT_MXFP4, 0, { 0 }, 0x77, 0xff },
};
#define N_TYPE (sizeof(types) / sizeof(types[0]))

enum fill { FILL_RANDOM, FILL_MAX, FILL_MIN, FILL_ZERO, FILL_TINY, FILL_HUGE, FILL_N };

static uint64_t rng_state = 1;

static uint32_t rng(void)
{
	rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng_state >> 32);
}

static float uniform(void)
{
	return (float)(int32_t)rng() * 0x1p-31f;
}

static float fill_float(enum fill f)
{
	static const float scale[FILL_N] = { 1.0f, 1.0f, -1.0f, 0.0f, 1e-39f, 1e18f };

	return f == FILL_MAX || f == FILL_MIN ? scale[f] : uniform() * scale[f];
}

/* Scales that ggml's own are made of, except infinity: a file's weights are finite, and products with NaN have unspecified
 * payloads. */
static void fill_scales(uint8_t *b, const struct type_data *type, enum fill f)
{
	float scale = f == FILL_TINY ? 0x1p-24f : f == FILL_HUGE ? 60000.0f : 0.02f, v = fill_float(f);

	for (size_t i = 0; i < type->n_scale; i++) {
		uint16_t h = f32_to_f16(rng() & 1 ? scale : -scale * uniform());

		memcpy(b + type->at[i], &h, 2);
	}
	if (type->type == QUANT_F32)
		memcpy(b, &v, 4);
	if (type->type == QUANT_BF16)
		memcpy(b, (uint8_t *)&v + 2, 2);
	if (type->type ==
	    QUANT_MXFP4) /* E8M0: 2^-128 and up, both subnormals among them; huge, and the product still finite */
		b[0] = (uint8_t)(rng() % 4 + (f == FILL_TINY ? 0 : f == FILL_HUGE ? 212 : 118));
}

static void fill_block(uint8_t *b, const struct quant_info *q, const struct type_data *type, enum fill f)
{
	for (size_t i = 0; i < q->block_bytes; i++)
		b[i] = f == FILL_MAX ? type->max : f == FILL_MIN ? type->min : f == FILL_ZERO ? 0 : (uint8_t)rng();
	if (type->type == QUANT_Q6_K && f == FILL_MAX)
		memset(b + 192, 0x80, 16); /* the largest products: 63 * 127 * -128 */
	fill_scales(b, type, f);
}

static void *aligned(size_t bytes)
{
	void *p = aligned_alloc(64, (bytes + 8192 + 63) / 64 *
					    64); /* slack: kernels prefetch ahead, they never read there */

	assert_non_null(p);
	return p;
}

/* A packed matrix W[n_row][n_col]. */
static void *make_weights(const struct type_data *td, size_t n_row, size_t n_col, enum fill f, uint8_t **raw)
{
	uint32_t type = td->type;
	const struct quant_info *q = quant_info(type);
	size_t row_bytes = n_col / q->block_len * q->block_bytes;
	uint8_t *src = malloc(n_row * row_bytes), *w = aligned(quant_packed_bytes(type, n_row, n_col));

	for (size_t i = 0; i < n_row * row_bytes; i += q->block_bytes)
		fill_block(src + i, q, td, f);
	for (size_t r = 0; r < n_row; r += PANEL_ROWS)
		quant_pack_panel(type, w + r * row_bytes, src + r * row_bytes, row_bytes,
				 (int)(n_row - r < PANEL_ROWS ? n_row - r : PANEL_ROWS), n_col);
	*raw = src;
	return w;
}

static void set_canaries(float *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = f32_from_bits(CANARY);
}

/* Runs `check` for every ISA above ref that this machine has. */
static void each_isa(void (*check)(const struct kernels *ref, const struct kernels *k))
{
	struct kernels ref, k;

	kernels_select(&ref, ISA_REF);
	for (int i = ISA_AVX2; i < ISA_MAX; i++) {
		if (!(kernels_available() >> i & 1)) {
			printf("skip %s: this CPU does not have it\n", kernels_isa_name((enum kernels_isa)i));
			continue;
		}
		assert_int_equal(kernels_select(&k, (enum kernels_isa)i), i);
		check(&ref, &k);
	}
}

static struct chunks one_chunk(size_t n_col)
{
	return (struct chunks){ 1, { 0, (uint32_t)n_col } };
}

/* n uneven chunks of n_block >= n blocks. */
static struct chunks cut_chunks(uint32_t n, size_t n_block, size_t block_len)
{
	struct chunks k = { .n = n };
	uint32_t spare = (uint32_t)n_block - n;

	for (uint32_t c = 0; c < n; c++) {
		uint32_t more = c + 1 < n ? rng() % (spare + 1) : spare;

		k.cut[c + 1] = k.cut[c] + (1 + more) * (uint32_t)block_len;
		spare -= more;
	}
	return k;
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
	k->act_pack[q->act](x1, x, x_stride, n_tok, n_col);
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

static void test_matmul(void **state)
{
	(void)state;
	each_isa(check_matmul);
	each_isa(check_matmul_chunks);
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

static void test_vector(void **state)
{
	(void)state;
	each_isa(check_vector);
	each_isa(check_max);
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

static void test_rope(void **state)
{
	(void)state;
	each_isa(check_rope);
}

/* KV of 3 * ATTN_CHUNK / 2 positions in shuffled blocks, the rest NaN: what a query must not see must not show. */
static void attn_case(const struct kernels *ref, const struct kernels *k, enum kv_type type, int hd, int n_q,
		      int32_t last)
{
	enum { N_BLOCK = 3 * ATTN_CHUNK / 2 / KV_BLOCK, Q = ATTN_TILE, O = Q * HEAD_DIM_MAX };
	static float q[O], o0[O], o1[O];
	size_t kb = kv_k_bytes(type, hd), stride = kb + kv_v_bytes(type, hd), n = N_BLOCK * stride;
	uint8_t *kv0 = aligned(n), *kv1 = aligned(n);
	uint32_t blocks[N_BLOCK];
	float m0[Q], m1[Q], l0[Q], l1[Q], scale = 0.125f + uniform() / 16;
	float *scratch = aligned(sizeof(float) * ATTN_SCRATCH);
	const float *qp[Q];
	int32_t pos[Q];

	for (uint32_t i = 0; i < N_BLOCK; i++)
		blocks[i] = (i * 7 + 3) % N_BLOCK;
	memset(kv0, 0x7e, n), memset(kv1, 0x7e, n); /* NaN as f16 */
	/* Odd n_q: p1 ends what query 0 sees; even: the positions do, and p1 takes in the poison. Query 2 sees nothing. */
	for (int i = 0; i < n_q; i++)
		pos[i] = i == 2 ? -1 : last - (i * 5 <= last ? i * 5 : 0) + (i == 0 && n_q % 2 ? 7 : 0);
	for (int32_t p = 0; p <= last; p++) {
		float kf[HEAD_DIM_MAX], vf[HEAD_DIM_MAX];
		size_t at = blocks[p / KV_BLOCK] * stride;

		for (int d = 0; d < hd; d++)
			kf[d] = uniform(), vf[d] = uniform();
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

	for (int32_t p0 = 0; p0 <= last; p0 += ATTN_CHUNK) {
		int32_t stop = n_q % 2 ? last + 1 : N_BLOCK * KV_BLOCK,
			p1 = stop < p0 + ATTN_CHUNK ? stop : p0 + ATTN_CHUNK;

		set_canaries(o0, O), set_canaries(o1, O);
		ref->attn_chunk[type](o0, m0, l0, qp, scale, pos, n_q, &kv, p0, p1, scratch);
		k->attn_chunk[type](o1, m1, l1, qp, scale, pos, n_q, &kv, p0, p1, scratch);
		assert_memory_equal(o0, o1, sizeof(o0));
		assert_memory_equal(m0, m1, sizeof(float) * (size_t)n_q);
		assert_memory_equal(l0, l1, sizeof(float) * (size_t)n_q);
		for (int i = 0; i < n_q * hd; i++)
			assert_true(isfinite(o0[i]));
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
				attn_case(ref, k, (enum kv_type)type, heads[(i + (size_t)n_q) % 7], n_q, last[i]);
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
	size_t kb = kv_k_bytes(type, hd);

	assert_true(kb + kv_v_bytes(type, hd) <= sizeof(kv0));
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

static void test_attn(void **state)
{
	(void)state;
	each_isa(check_attn);
	each_isa(check_merge);
	each_isa(check_kv_store);
}

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
		const struct quant_info *q = quant_info(types[ti].type);
		uint8_t *raw, *w = make_weights(&types[ti], ROWS, COLS, FILL_RANDOM, &raw);
		void *tile = aligned(act_tile_bytes(q->act, TOK, COLS));
		double err = 0, norm = 0;

		if (types[ti].type == QUANT_F16)
			for (size_t i = 0; i < ROWS * COLS; i++)
				((uint16_t *)w)[i] = f32_to_f16(uniform());
		for (int i = 0; i < TOK * COLS; i++)
			x[i] = uniform();
		k.act_pack[q->act](tile, x, COLS, TOK, COLS);
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
		assert_true(sqrt(err / norm) < (q->act == ACT_F32 ? 1e-6 : 0.012));
		free(raw), free(w), free(tile);
	}
}

/* Two panels' products with three tokens. */
enum { PART_PANELS = 2, PART_ROWS = PART_PANELS * PANEL_ROWS, PART_TOK = 3 };

/* The matrix's columns of one chunk, packed as a matrix of their own. */
static void part_sum(const struct kernels *k, uint32_t type, float *y, const uint8_t *raw, const float *x,
		     const struct chunks *chunks, uint32_t c)
{
	const struct quant_info *q = quant_info(type);
	size_t n_col = chunks->cut[chunks->n], n_part = chunks->cut[c + 1] - chunks->cut[c];
	size_t row_bytes = quant_row_bytes(type, n_col);
	struct chunks whole = one_chunk(n_part);
	uint8_t *w = aligned(quant_packed_bytes(type, PART_ROWS, n_part)),
		*tile = aligned(act_tile_bytes(q->act, PART_TOK, n_part));

	raw += quant_row_bytes(type, chunks->cut[c]);
	for (size_t r = 0; r < PART_ROWS; r += PANEL_ROWS)
		quant_pack_panel(type, w + r * quant_row_bytes(type, n_part), raw + r * row_bytes, row_bytes,
				 PANEL_ROWS, n_part);
	k->act_pack[q->act](tile, x + chunks->cut[c], n_col, PART_TOK, n_part);
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
				      *tile = aligned(act_tile_bytes(q->act, PART_TOK, n_col));
			float *x = malloc(PART_TOK * n_col * sizeof(*x)), y[PART_TOK * PART_ROWS],
			      expected[PART_TOK * PART_ROWS];

			for (size_t i = 0; i < PART_TOK * n_col; i++)
				x[i] = uniform();
			k.act_pack[q->act](tile, x, n_col, PART_TOK, n_col);
			k.matmul[type](y, PART_ROWS, w, tile, PART_TOK, &chunks, 0, PART_PANELS);
			tree_sum(&k, type, expected, raw, x, &chunks, 0, n);
			if (memcmp(y, expected, sizeof(y)))
				fail_msg("%s: %u chunks do not meet in the tree", q->name, n);
			free(x), free(raw), free(w), free(tile);
		}
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

/* A block of subnormals: 127 / amax would be infinite and 0 * inf a NaN, so it must quantize to zeros. Just above, to 127. */
static void test_tiny_block_quantizes_to_zero(void **state)
{
	static const float amax[] = { 0x1p-149f, 0x1p-130f, 0x1p-122f, ACT_AMAX_MIN, 0x1.000002p-120f };
	struct kernels k;

	(void)state;
	for (int isa = ISA_REF; isa < ISA_MAX && kernels_select(&k, (enum kernels_isa)isa) == (enum kernels_isa)isa;
	     isa++) {
		for (size_t i = 0; i < sizeof(amax) / sizeof(amax[0]); i++) {
			float x[256] = { amax[i], -amax[i] };
			_Alignas(64) int8_t tile[ACT_K_BYTES];
			int8_t want = amax[i] > ACT_AMAX_MIN ? 127 : 0, *q = tile + 12;

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

/* A type in the table and not in `types` above would go untested. */
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
	for (float x = -86.0f; x < 87.0f; x += 0.00137f) {
		double want = exp((double)x);

		assert_true(fabs((double)ref_exp(x) - want) <= 2 * 0x1p-23 * want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ref_matmul_is_right),
		cmocka_unit_test(test_pack_round_trip),
		cmocka_unit_test(test_tiny_block_quantizes_to_zero),
		cmocka_unit_test(test_every_type_is_walked),
		cmocka_unit_test(test_packed_bytes_refuses),
		cmocka_unit_test(test_ref_max_is_right),
		cmocka_unit_test(test_f16_is_exact),
		cmocka_unit_test(test_matmul),
		cmocka_unit_test(test_ref_chunks_meet_in_the_tree),
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_rope),
		cmocka_unit_test(test_attn),
		cmocka_unit_test(test_exp_is_within_two_ulp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
