/*
 * Why it matters: a request's tokens are to be the same on every machine. Within a machine every level is held to the bits of ref/; what
 * holds ref/ of one machine to that of another is this: a digest of each operation's results, taken once and the same everywhere.
 */
#include "tests/kernels/data.h"

#include <math.h>
#include <stdio.h>

#define N_COL 1024
#define N_TOK 5

static float x[N_TOK * N_COL], u[N_COL];

/* FNV-1a over the bits; the sign and payload of a NaN are the machine's, so all are one. */
static uint64_t add_floats(uint64_t h, const float *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ (isnan(y[i]) ? 0x7fc00000 : f32_bits(y[i]))) * 0x100000001b3u;
	return h;
}

static uint64_t add_bytes(uint64_t h, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

static uint64_t digest_tiles(const struct kernels *k)
{
	uint64_t h = 0;

	for (int kind = 0; kind < ACT_KIND_MAX; kind++) {
		size_t bytes = act_tile_bytes((enum act_kind)kind, N_TOK, N_COL);
		uint8_t *tile = aligned(bytes);

		k->act_pack[kind](tile, x, N_COL, N_TOK, N_COL);
		h = add_bytes(h, tile, bytes);
		free(tile);
	}
	return h;
}

static uint64_t digest_products(const struct kernels *k)
{
	uint64_t h = 0;

	for (size_t i = 0; i < N_TYPE; i++) {
		enum act_kind act = k->act[types[i].type];
		struct chunks chunks = { 3, { 0, 256, 768, N_COL } };
		uint8_t *raw, *w = make_weights(&types[i], 2 * PANEL_ROWS, N_COL, FILL_RANDOM, &raw),
			      *tile = aligned(act_tile_bytes(act, N_TOK, N_COL));
		float y[N_TOK * 2 * PANEL_ROWS];

		k->act_pack[act](tile, x, N_COL, N_TOK, N_COL);
		k->matmul[types[i].type](y, 2 * PANEL_ROWS, w, tile, N_TOK, &chunks, 0, 2);
		h = add_floats(h, y, N_TOK * 2 * PANEL_ROWS);
		free(raw), free(w), free(tile);
	}
	return h;
}

static uint64_t digest_vectors(const struct kernels *k)
{
	static float y[N_COL];
	float one[2];
	uint64_t h = 0;

	k->rms_norm(y, x, u, N_COL, 1e-5f), h = add_floats(h, y, N_COL);
	k->silu_mul(y, x, u, N_COL), h = add_floats(h, y, N_COL);
	k->add(y, u, N_COL), h = add_floats(h, y, N_COL);
	for (int neox = 0; neox < 2; neox++)
		k->rope(y, u, u + 32, N_COL / 64, 64, 64, neox), h = add_floats(h, y, N_COL);
	one[0] = k->max(x, N_COL), one[1] = k->sum_exp(x, N_COL, one[0]), h = add_floats(h, one, 2);
	k->exps(y, x, N_COL, 0.7f, one[0]), h = add_floats(h, y, N_COL);
	return (h ^ k->argmax(x, N_COL)) * 0x100000001b3u;
}

static uint64_t digest_curves(const struct kernels *k)
{
	static float y[N_COL];
	uint64_t h = 0;

	k->gelu_mul(y, x, u, N_COL), h = add_floats(h, y, N_COL);
	k->scale(y, N_COL, 0.3f), h = add_floats(h, y, N_COL);
	k->cap(y, N_COL, 0.7f), h = add_floats(h, y, N_COL);
	return h;
}

static uint64_t digest_activations(const struct kernels *k)
{
	static const struct xielu xielu = { 0.8f, 0.9f, 0.5f, -1e-6f };
	static float y[N_COL];
	uint64_t h = 0;

	k->gelu(y, x, N_COL), h = add_floats(h, y, N_COL);
	k->relu2(y, x, N_COL), h = add_floats(h, y, N_COL);
	k->xielu(y, x, N_COL, &xielu), h = add_floats(h, y, N_COL);
	return h;
}

/* Four queries and 48 positions, with a cap and without, merged with a sink. */
static uint64_t digest_attention(const struct kernels *k)
{
	enum { DIM = 80, N_POS = 48, N_Q = 4 };
	static float o[N_Q * DIM], y[DIM], scratch[ATTN_SCRATCH];
	float m[N_Q], l[N_Q];
	const int32_t first[N_Q] = { 0, 3, 20, 47 }, end[N_Q] = { 48, 40, 33, 48 };
	const uint32_t blocks[] = { 1, 0 };
	const float *q[N_Q] = { x, x + 100, x + 200, x + 300 };
	uint64_t h = 0;

	for (int type = 0; type < KVQ_TYPE_MAX; type++) {
		size_t bytes = kvq_bytes((enum kvq_type)type, DIM);
		uint8_t *mem = aligned(4 * bytes);
		struct attn_kv kv = { .k = mem, .v = mem + 2 * bytes, .k_stride = bytes, .v_stride = bytes };

		kv.blocks = blocks, kv.dim_k = kv.dim_v = DIM;
		memset(mem, 0, 4 * bytes);
		for (int p = 0; p < N_POS; p++) {
			uint8_t *at = mem + blocks[p / KV_BLOCK] * bytes;

			k->kvq_store[type](at, at + 2 * bytes, x + 5 * p, x + N_COL + 7 * p, p % KV_BLOCK, DIM, DIM);
		}
		h = add_bytes(h, mem, 4 * bytes);
		for (int cap = 0; cap < 2; cap++) {
			struct attn_tile tile = { q, first, end, N_Q, 0.125f, cap ? 3.0f : 0.0f };

			k->attn_chunk[type](&(struct attn_partial){ o, m, l }, &tile, &kv, 0, scratch);
			h = add_floats(add_floats(add_floats(h, o, N_Q * DIM), m, N_Q), l, N_Q);
			k->attn_merge(y, o, DIM, m, l, N_Q, DIM, 0.5f);
			h = add_floats(h, y, DIM);
		}
		free(mem);
	}
	return h;
}

static uint64_t digest_layer_norm(const struct kernels *k)
{
	static float y[N_COL];
	uint64_t h = 0;

	k->layer_norm(y, x, u, x + N_COL, N_COL, 1e-5f), h = add_floats(h, y, N_COL);
	k->layer_norm(y, x, u, NULL, N_COL - 7, 1e-5f), h = add_floats(h, y, N_COL);
	return h;
}

/* Recurrences of two tokens, a convolution, and what is made of their inputs. */
static uint64_t digest_mix(const struct kernels *k)
{
	enum { N_KEY = 64, AT_V = N_KEY, AT_Q = 2 * N_KEY, AT_A = 3 * N_KEY, AT_C = 4 * N_KEY, AT_ALPHA = 5 * N_KEY };
	static float y[N_COL], s[N_KEY * LANES];
	const float *const tap[] = { x, x + 3, x + 64, u };
	uint64_t h = 0;

	for (int form = 0; form < RECUR_FORM_MAX; form++) {
		struct recur r = { .s = s, .rate = x, .n_key = N_KEY, .n_tok = 2, .stride = 400 };

		memcpy(s, x + N_COL, sizeof(s));
		r.w = u, r.v = u + AT_V, r.b = x + N_COL, r.q = u + AT_Q, r.alpha = u + AT_ALPHA;
		r.a = form == RECUR_TWO ? u + AT_A : NULL, r.c = form == RECUR_TWO ? u + AT_C : NULL;
		r.y = y, r.y_stride = LANES;
		k->recur[form](&r);
		h = add_floats(add_floats(h, y, 2 * LANES), s, N_KEY * LANES);
	}
	k->conv1d(y, tap, u, x, 200, 4), h = add_floats(h, y, 200);
	k->softplus(y, 200), h = add_floats(h, y, 200);
	k->l2_norm(y, x, N_COL, 1e-6f), h = add_floats(h, y, N_COL);
	k->silu(y, N_COL), h = add_floats(h, y, N_COL);
	k->sigmoid(y, 100), k->mul(y, u, N_COL), h = add_floats(h, y, N_COL);
	k->sigmoid_mul(y, x, N_COL), h = add_floats(h, y, N_COL);
	k->oai_mul(y, x, u, N_COL), h = add_floats(h, y, N_COL);
	k->mul_scaled(y, x, u, N_COL, k->sum_squares(u, N_COL - 3)), h = add_floats(h, y, N_COL);
	return h;
}

static const struct {
	const char *operations;
	uint64_t (*digest)(const struct kernels *k);
	uint64_t want;
} digests[] = {
	{ "activation tiles", digest_tiles, 0xd24c84b3b0826a34 },
	{ "products", digest_products, 0x3b273ff85b246d52 },
	{ "vectors", digest_vectors, 0x252fb45a65edf4c9 },
	{ "gelu, scale and cap", digest_curves, 0x1c4e3c8dde7dd06e },
	{ "recurrences and convolutions", digest_mix, 0xe9be0d6cc727e025 },
	{ "layer norm", digest_layer_norm, 0xdb6f89af57a640b2 },
	{ "activations", digest_activations, 0xba6d38bb874dda7d },
	{ "attention", digest_attention, 0x096bdfde63e3ab68 },
};

static void bits_are_those_of_every_machine(void **state)
{
	struct kernels k;

	(void)state;
	for (size_t i = 0; i < N_TOK * N_COL; i++)
		x[i] = uniform() * (i % 7 ? 3.0f : 30.0f);
	for (size_t i = 0; i < N_COL; i++)
		u[i] = uniform();
	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
		uint64_t of_all = rng_state;

		for (int isa = ISA_REF; kernels_isa_name((enum kernels_isa)isa); isa++) {
			uint64_t h;

			if (!kernels_can_run((enum kernels_isa)isa))
				continue; /* test_kernels says so */
			rng_state = of_all;
			kernels_select(&k, (enum kernels_isa)isa);
			h = digests[i].digest(&k);
			if (h != digests[i].want)
				fail_msg("%s on %s: %#llx, not %#llx", digests[i].operations, k.isa,
					 (unsigned long long)h, (unsigned long long)digests[i].want);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bits_are_those_of_every_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
