/*
 * RWKV-7 (Peng et al. 2025, "Goose"), in the pass of rwkv.c. With the mixes r, w, k, v, a, g of each token with the one before it,
 *   w = exp(-exp(-1/2) * sigmoid(w0 + W2 . tanh(W1 . w))),  a = sigmoid(a0 + A2 . A1 . a),  g = G2 . sigmoid(G1 . g)
 *   r = Wr . r,  k = Wk . k,  v = Wv . v, from the second layer on v += (v of the first - v) * sigmoid(v0 + V2 . V1 . v)
 *   kk = k * k_k / |k * k_k|,  k = k * (1 + (a - 1) * k_a)
 *   s = w s - (s.kk) (kk * a) + v k,  y = norm(s.r) + (r * k * r_k summed) v,  what the output product takes: y * g
 * of each head; the channel mix is Wvalue . max(Wkey . mix, 0)^2.
 */
#include "daemon/model/hparams.h"
#include "daemon/model/rwkv.h"

#include <string.h>

#define DECAY  0.60653066f /* exp(-1/2) */
#define L2_EPS 1e-24f      /* of |k * k_k|, squared */

enum { MIX_R = RWKV_MIX, MIX_W, MIX_K, MIX_V, MIX_A, MIX_G };
enum { PAIR_W, PAIR_A, PAIR_V, PAIR_G };

#define PAIR(letter, index, rank)                                                        \
	RWKV_MATRIX("time_mix_" letter "1.weight", pair[index].down, rank, VECTOR_EMBD), \
		RWKV_MATRIX("time_mix_" letter "2.weight", pair[index].up, VECTOR_EMBD, rank)

static const struct layer_tensor tensor[] = {
	TENSORS_RWKV,
	RWKV("time_mix_lerp_fused.weight", lerp, .axis = PLAN_VECTOR, .width = VECTOR_EMBD6),
	PAIR("w", PAIR_W, VECTOR_WKV_RANK0),
	RWKV_VECTOR("time_mix_w0.weight", pair[PAIR_W].bias),
	PAIR("a", PAIR_A, VECTOR_WKV_RANK1),
	RWKV_VECTOR("time_mix_a0.weight", pair[PAIR_A].bias),
	PAIR("g", PAIR_G, VECTOR_WKV_RANK3),
	RWKV_VECTOR("time_mix_k_k.weight", k_k),
	RWKV_VECTOR("time_mix_k_a.weight", k_a),
	RWKV_VECTOR("time_mix_r_k.weight", r_k),
	/* Of the first layer files have them, in another shape, and nothing asks for them. */
	RWKV("time_mix_v0.weight", pair[PAIR_V].bias, .axis = PLAN_VECTOR, .width = VECTOR_EMBD, .is_behind = true),
	RWKV("time_mix_v1.weight", pair[PAIR_V].down, .axis = PLAN_ROW, .n_row = VECTOR_WKV_RANK2, .width = VECTOR_EMBD,
	     .is_behind = true),
	RWKV("time_mix_v2.weight", pair[PAIR_V].up, .axis = PLAN_ROW, .n_row = VECTOR_EMBD, .width = VECTOR_WKV_RANK2,
	     .is_behind = true),
};

static uint32_t low_before(const struct hparams *hp, uint32_t pair)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pair; i++)
		n += state_pad(hp->wkv.rank[i]);
	return n;
}

static uint32_t n_low(const struct hparams *hp)
{
	return low_before(hp, RWKV_PAIR_MAX);
}

/* mix = up . act(down . mix) */
static void low_rank(const struct seat *s, int lap, const struct rwkv_layer *l, uint32_t pair, uint32_t mix,
		     void (*act)(const struct kernels *k, float *y, size_t n))
{
	uint32_t low = rwkv_at(s->m, RWKV_LOW) + low_before(&s->m->hp, pair), at = rwkv_at(s->m, mix);

	block_mix_multiply(s, lap, &(struct mix_product){ .w = l->pair[pair].down, .src = at, .dst = low, .act = act });
	block_mix_multiply(s, lap, &(struct mix_product){ .w = l->pair[pair].up, .src = low, .dst = at });
}

static void products(const struct seat *s, int lap, const struct rwkv_layer *l, uint32_t layer)
{
	const struct model *m = s->m;
	const struct rwkv_shift shift = { .all = l->lerp, .n_mix = RWKV_MIX_MAX, .is_last = true };
	const struct mix_product of_heads[] = {
		{ .w = l->r, .src = rwkv_at(m, MIX_R), .dst = rwkv_at(m, RWKV_R) },
		{ .w = l->k, .src = rwkv_at(m, MIX_K), .dst = rwkv_at(m, RWKV_K) },
		{ .w = l->v, .src = rwkv_at(m, MIX_V), .dst = rwkv_at(m, RWKV_V) },
	};

	rwkv_mix(s, lap, &shift, layer);
	for (size_t i = 0; i < sizeof(of_heads) / sizeof(of_heads[0]); i++)
		block_mix_multiply(s, lap, &of_heads[i]);
	low_rank(s, lap, l, PAIR_W, MIX_W, rwkv_tanh);
	low_rank(s, lap, l, PAIR_A, MIX_A, NULL);
	low_rank(s, lap, l, PAIR_G, MIX_G, rwkv_sigmoid);
	if (layer)
		low_rank(s, lap, l, PAIR_V, MIX_V, NULL);
}

static void mix_values(const struct rwkv_head *h)
{
	const struct kernels *k = h->s->m->k;
	float *v = rwkv_of(h, RWKV_V), *mix = rwkv_of(h, MIX_V), *first = rwkv_of(h, RWKV_V_FIRST);

	if (h->l == h->s->m->layer) {
		memcpy(first, v, h->n * sizeof(*v));
		return;
	}
	k->add(mix, rwkv_vector(h, h->l->pair[PAIR_V].bias), h->n);
	k->sigmoid(mix, h->n);
	rwkv_lerp(k, v, v, first, mix, h->n);
}

/* Keys, what is taken from the state by them (MIX_K), and what is put back (MIX_A). */
static void finish_keys(const struct rwkv_head *h)
{
	const struct kernels *k = h->s->m->k;
	float *key = rwkv_of(h, RWKV_K), *kk = rwkv_of(h, MIX_K), *a = rwkv_of(h, MIX_A), rest[RWKV_HEAD_MAX];

	memcpy(kk, key, h->n * sizeof(*kk));
	k->mul(kk, rwkv_vector(h, h->l->k_k), h->n);
	k->l2_norm(kk, kk, h->n, L2_EPS);
	/* k - k k_a, from which a leads back to k. */
	memcpy(rest, key, h->n * sizeof(*rest));
	k->mul(rest, rwkv_vector(h, h->l->k_a), h->n);
	k->scale(rest, h->n, -1);
	k->add(rest, key, h->n);
	rwkv_lerp(k, key, rest, key, a, h->n);
	k->mul(a, kk, h->n);
	k->scale(kk, h->n, -1);
}

static void before(const struct rwkv_head *h)
{
	const struct kernels *k = h->s->m->k;
	float *w = rwkv_of(h, MIX_W), *a = rwkv_of(h, MIX_A);

	k->add(w, rwkv_vector(h, h->l->pair[PAIR_W].bias), h->n);
	k->sigmoid(w, h->n);
	k->exps(w, w, h->n, -DECAY, 0);
	k->add(a, rwkv_vector(h, h->l->pair[PAIR_A].bias), h->n);
	k->sigmoid(a, h->n);
	mix_values(h);
	finish_keys(h);
}

static struct recur inputs(const struct rwkv_head *h)
{
	return (struct recur){ .w = rwkv_of(h, MIX_W),
			       .v = rwkv_of(h, RWKV_V),
			       .b = rwkv_of(h, RWKV_K),
			       .q = rwkv_of(h, RWKV_R),
			       .a = rwkv_of(h, MIX_K),
			       .c = rwkv_of(h, MIX_A) };
}

static void after(const struct rwkv_head *h)
{
	const struct kernels *k = h->s->m->k;
	float *y = rwkv_of(h, MIX_R), *v = rwkv_of(h, MIX_V);

	memcpy(v, rwkv_of(h, RWKV_V), h->n * sizeof(*v));
	k->scale(v, h->n, rwkv_dot(k, rwkv_of(h, RWKV_R), rwkv_of(h, RWKV_K), rwkv_vector(h, h->l->r_k), h->n));
	k->add(y, v, h->n);
	k->mul(y, rwkv_of(h, MIX_G), h->n);
}

static const struct rwkv rwkv7 = {
	.mixer = { .state_bytes = rwkv_state_bytes },
	.products = products,
	.before = before,
	.inputs = inputs,
	.after = after,
	.form = RECUR_TWO,
	.y = MIX_R,
	.n_low = n_low,
};

static const char *const obeys[] = { "wkv.head_size",
				     "attention.decay_lora_rank",
				     "attention.iclr_lora_rank",
				     "attention.value_residual_mix_lora_rank",
				     "attention.gate_lora_rank",
				     NULL };

static int rwkv7_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	int r = rwkv_read(hp, g, arch, e);

	for (uint32_t i = 0; i < RWKV_PAIR_MAX && r == 0; i++)
		r = hparams_get_u32(g, arch, obeys[1 + i], &hp->wkv.rank[i], 0, hp->n_embd, e);
	memset(hp->kind, LAYER_STATE, hp->n_layer);
	return r;
}

const struct arch arch_rwkv7 = {
	.name = "rwkv7",
	.pass = &rwkv_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.mixer = &rwkv7.mixer,
	.norm = NORM_LAYER_BIAS,
	.has_embd_norm = true,
	.obeys = obeys,
	.imply = rwkv7_imply,
};
