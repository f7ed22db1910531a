/*
 * Why it matters: every ISA must return the bits of ref/, or a request's tokens would depend on the machine it ran on. So
 * each operation runs on every ISA of this machine with adversarial data between canaries, and memcmp is the only judge.
 */
#include "tests/kernels/data.h"
#include "tests/kernels/models/models.h"
#include "tests/kernels/proofs.h"

#include <math.h>

#define ACT_K_BYTES 404 /* one token's ACT_Q8_K block */

static void matmul_case(const struct kernels *ref, const struct kernels *k, const struct type_data *td, enum fill f,
			int n_tok, const struct chunks *chunks, size_t n_panel)
{
	enum { STRIDE = 67 };
	static const float x_scales[] = { 1.0f, 1e6f, 2 * ACT_AMAX_MIN, 0x1p-130f };
	uint32_t type = td->type;
	const struct quant_info *q = quant_info(type);
	enum act_kind act = k->act[type];
	size_t n_col = chunks->cut[chunks->n], tile = act_tile_bytes(act, n_tok, n_col);
	size_t x_stride = n_col + 3, first = n_panel > 2 ? 1 : 0, last = n_panel - (n_panel > 3 ? 1 : 0);
	float *x = malloc(sizeof(float) * (size_t)n_tok * x_stride), y0[ACT_TILE * STRIDE], y1[ACT_TILE * STRIDE];
	uint8_t *raw, *w = make_weights(td, n_panel * PANEL_ROWS - rng() % PANEL_ROWS, n_col, f, &raw),
		      *x0 = aligned(tile), *x1 = aligned(tile), *x_ref = aligned(tile);
	enum fill fx = (enum fill)(rng() % FILL_TINY);
	float x_scale = x_scales[rng() % 4];
	bool mixed = rng() & 1;

	for (size_t i = 0; i < (size_t)n_tok * x_stride; i++)
		x[i] = x_scale * fill_float(mixed ? (enum fill)(rng() % FILL_TINY) : fx);
	ref->act_pack[ref->act[type]](x_ref, x, x_stride, n_tok, n_col);
	ref->act_pack[act](x0, x, x_stride, n_tok, n_col);
	memset(x1 + tile, 0x5a, 64);
	for (size_t begin = 0, len; begin < n_col; begin += len) { /* by columns, as workers divide it */
		len = q->block_len + rng() % (n_col - begin) / q->block_len * q->block_len;
		k->act_pack[act](x1 + act_tile_bytes(act, n_tok, begin), x + begin, x_stride, n_tok, len);
	}
	assert_memory_equal(x0, x1, tile);
	for (int i = 0; i < 64; i++)
		assert_int_equal(x1[tile + (size_t)i], 0x5a);
	set_canaries(y0, ACT_TILE * STRIDE);
	set_canaries(y1, ACT_TILE * STRIDE);
	ref->matmul[type](y0, STRIDE, w, x_ref, n_tok, chunks, first, last);
	k->matmul[type](y1, STRIDE, w, x1, n_tok, chunks, first, last);
	if (memcmp(y0, y1, sizeof(y0)))
		fail_msg("%s on %s differs from ref: fill %d, %d tokens, %zu columns, %u chunks, %zu panels", q->name,
			 k->isa, (int)f, n_tok, n_col, chunks->n, n_panel);
	free(x), free(raw), free(w), free(x0), free(x1), free(x_ref);
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
	static const struct xielu xielu = { 0.8f, 0.9f, 0.5f, -1e-6f };
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
			ref->layer_norm(y0, x, w, u, n, 1e-5f), k->layer_norm(y1, x, w, u, n, 1e-5f);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->layer_norm(x0, x0, w, NULL, n, 1e-6f), k->layer_norm(x1, x1, w, NULL, n, 1e-6f);
			assert_memory_equal(x0, x1, sizeof(x0));
			memcpy(x0, x, sizeof(x0)), memcpy(x1, x, sizeof(x1));
			m0 = ref->sum_squares(x, n), m1 = k->sum_squares(x, n);
			assert_memory_equal(&m0, &m1, 4);
			ref->mul_scaled(y0, x, w, n, 0.7f), k->mul_scaled(y1, x, w, n, 0.7f);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->silu_mul(y0, x, u, n), k->silu_mul(y1, x, u, n);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->gelu_mul(y0, x, u, n), k->gelu_mul(y1, x, u, n);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->oai_mul(y0, x, u, n), k->oai_mul(y1, x, u, n);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->oai_mul(y0, u, x, n), k->oai_mul(y1, u, x, n);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->gelu(y0, x, n), k->gelu(y1, x, n);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->relu2(y0, x, n), k->relu2(y1, x, n);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->xielu(y0, x, n, &xielu), k->xielu(y1, x, n, &xielu);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->add(y0, w, n), k->add(y1, w, n);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->scale(y0, n, 0.3f), k->scale(y1, n, 0.3f);
			assert_memory_equal(y0, y1, sizeof(y0));
			ref->cap(y0, n, 0.7f), k->cap(y1, n, 0.7f);
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

static const struct proof products[] = {
	{ .operation = "matmul", .check = check_matmul },
	{ .operation = "matmul of chunks", .check = check_matmul_chunks },
};
static const struct proof vectors[] = {
	{ .operation = "vectors", .check = check_vector },
	{ .operation = "max and exps", .check = check_max },
	{ .operation = "rope", .check = check_rope },
};
#define N_PRODUCT (sizeof(products) / sizeof(products[0]))
#define N_VECTOR  (sizeof(vectors) / sizeof(vectors[0]))

/* test_kernels [PATTERN]: cases whose names match, as in "*avx512vnni". */
int main(int argc, char **argv)
{
	struct CMUnitTest tests[4 + ISA_MAX * (2 * N_PRODUCT + N_VECTOR)] = {
		cmocka_unit_test(test_pack_round_trip),
		cmocka_unit_test(test_tiny_block_quantizes_to_zero),
		cmocka_unit_test(test_every_type_is_walked),
		cmocka_unit_test(test_packed_bytes_refuses),
	};
	size_t n = proofs_add(tests, 4, products, N_PRODUCT);

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	n = proofs_add(tests, n, vectors, N_VECTOR);
	for (const struct model_level *m = model_levels; m->name; m++)
		n = proofs_add_level(tests, n, products, N_PRODUCT, ISA_BASE, m->name, m->override);

	return _cmocka_run_group_tests("kernels", tests, n, NULL, NULL);
}
