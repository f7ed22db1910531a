/*
 * RWKV-6 (Peng et al. 2024, "Eagle and Finch"), in the pass of rwkv.c. How each token is mixed with the one before it, its content says:
 *   l = tanh(W1 . mix by lerp_x),  mixes w, k, v, r, g by lerp + W2 . l, of each its own part of l
 *   w = exp(-exp(decay + D2 . tanh(D1 . w))),  r = Wr . r,  k = Wk . k,  v = Wv . v,  g = Wg . g
 *   y = s.r + (r * first * k summed) v,  s = w s + v k,  what the output product takes: norm(y) * silu(g)
 * of each head; the channel mix is sigmoid(Wgate . mix) * Wvalue . max(Wkey . mix, 0)^2. Files may halve x every so many layers, so that it
 * stays in the range of f16.
 */
#include "daemon/model/hparams.h"
#include "daemon/model/rwkv.h"

#include <errno.h>
#include <string.h>

#define MIXES 5

enum { MIX_W = RWKV_MIX, MIX_K, MIX_V, MIX_R, MIX_G, GATE };

static const struct layer_tensor tensor[] = {
	TENSORS_RWKV,
	RWKV_VECTOR("time_mix_lerp_x.weight", lerp_x),
	RWKV("time_mix_lerp_fused.weight", lerp, .axis = PLAN_VECTOR, .width = VECTOR_EMBD5),
	RWKV_MATRIX("time_mix_w1.weight", lerp_w1, VECTOR_WKV_RANKS, VECTOR_EMBD),
	RWKV("time_mix_w2.weight", lerp_w2, .axis = PLAN_ROW, .n_row = VECTOR_EMBD, .width = VECTOR_WKV_RANK1,
	     .n_matrix = MIXES),
	RWKV_VECTOR("time_mix_first.weight", first),
	RWKV_VECTOR("time_mix_decay.weight", pair[0].bias),
	RWKV_MATRIX("time_mix_decay_w1.weight", pair[0].down, VECTOR_WKV_RANK0, VECTOR_EMBD),
	RWKV_MATRIX("time_mix_decay_w2.weight", pair[0].up, VECTOR_EMBD, VECTOR_WKV_RANK0),
	RWKV_SQUARE("time_mix_gate.weight", gate),
	RWKV_VECTOR("channel_mix_lerp_r.weight", channel_lerp[1]),
	RWKV_SQUARE("channel_mix_receptance.weight", channel_gate),
};

/* Low-rank columns: of the decay, then of the mixes; then a number of each head. */
static uint32_t mixes_at(const struct hparams *hp)
{
	return state_pad(hp->wkv.rank[0]);
}

static uint32_t bonus_at(const struct hparams *hp)
{
	return mixes_at(hp) + state_pad(MIXES * hp->wkv.rank[1]);
}

static uint32_t n_low(const struct hparams *hp)
{
	return bonus_at(hp) + hp->n_embd / hp->wkv.head_size;
}

/* The five mixes. */
static void mix_by_content(const struct seat *s, int lap, const struct rwkv_layer *l, uint32_t layer)
{
	const struct model *m = s->m;
	const struct rwkv_shift of_x = { .lerp = { l->lerp_x }, .n_mix = 1 };
	const struct rwkv_shift of_all = { .all = l->lerp, .n_mix = MIXES, .is_by_token = true, .is_last = true };
	uint32_t low = rwkv_at(m, RWKV_LOW) + mixes_at(&m->hp);

	rwkv_mix(s, lap, &of_x, layer);
	block_mix_multiply(
		s, lap,
		&(struct mix_product){ .w = l->lerp_w1, .src = rwkv_at(m, RWKV_MIX), .dst = low, .act = rwkv_tanh });
	for (uint32_t i = 0; i < MIXES; i++)
		block_mix_multiply(s, lap,
				   &(struct mix_product){ .w = l->lerp_w2,
							  .matrix = i,
							  .src = low + i * m->hp.wkv.rank[1],
							  .dst = rwkv_at(m, RWKV_MIX + i) });
	rwkv_mix(s, lap, &of_all, layer);
}

static void products(const struct seat *s, int lap, const struct rwkv_layer *l, uint32_t layer)
{
	const struct model *m = s->m;
	uint32_t low = rwkv_at(m, RWKV_LOW);
	const struct mix_product all[] = {
		{ .w = l->r, .src = rwkv_at(m, MIX_R), .dst = rwkv_at(m, RWKV_R) },
		{ .w = l->k, .src = rwkv_at(m, MIX_K), .dst = rwkv_at(m, RWKV_K) },
		{ .w = l->v, .src = rwkv_at(m, MIX_V), .dst = rwkv_at(m, RWKV_V) },
		{ .w = l->gate, .src = rwkv_at(m, MIX_G), .dst = rwkv_at(m, GATE) },
		{ .w = l->pair[0].down, .src = rwkv_at(m, MIX_W), .dst = low, .act = rwkv_tanh },
		{ .w = l->pair[0].up, .src = low, .dst = rwkv_at(m, MIX_W) },
	};

	mix_by_content(s, lap, l, layer);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		block_mix_multiply(s, lap, &all[i]);
}

static float *bonus_of(const struct rwkv_head *h)
{
	const struct model *m = h->s->m;

	return h->row + rwkv_at(m, RWKV_LOW) + bonus_at(&m->hp) + h->index;
}

static void before(const struct rwkv_head *h)
{
	const struct kernels *k = h->s->m->k;
	float *w = rwkv_of(h, MIX_W);

	k->add(w, rwkv_vector(h, h->l->pair[0].bias), h->n);
	k->exps(w, w, h->n, 1, 0);
	k->exps(w, w, h->n, -1, 0);
	*bonus_of(h) = rwkv_dot(k, rwkv_of(h, RWKV_R), rwkv_of(h, RWKV_K), rwkv_vector(h, h->l->first), h->n);
}

static struct recur inputs(const struct rwkv_head *h)
{
	return (struct recur){ .w = rwkv_of(h, MIX_W),
			       .v = rwkv_of(h, RWKV_V),
			       .b = rwkv_of(h, RWKV_K),
			       .q = rwkv_of(h, RWKV_R),
			       .alpha = bonus_of(h) };
}

static void after(const struct rwkv_head *h)
{
	float *y = rwkv_of(h, MIX_K);

	h->s->m->k->silu_mul(y, rwkv_of(h, GATE), y, h->n);
}

static const struct rwkv rwkv6 = {
	.mixer = { .state_bytes = rwkv_state_bytes },
	.products = products,
	.before = before,
	.inputs = inputs,
	.after = after,
	.form = RECUR_BONUS,
	.y = MIX_K,
	.n_low = n_low,
};

static const char *const obeys[] = { "wkv.head_size", "time_decay_extra_dim", "time_mix_extra_dim",
				     "rescale_every_n_layers", NULL };

static int rwkv6_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	int r = rwkv_read(hp, g, arch, e);

	if (r == 0)
		r = hparams_get_u32(g, arch, "time_decay_extra_dim", &hp->wkv.rank[0], 0, hp->n_embd, e);
	if (r == 0)
		r = hparams_get_u32(g, arch, "time_mix_extra_dim", &hp->wkv.rank[1], 0, hp->n_embd, e);
	memset(hp->kind, LAYER_STATE, hp->n_layer);
	return r;
}

const struct arch arch_rwkv6 = {
	.name = "rwkv6",
	.pass = &rwkv_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.mixer = &rwkv6.mixer,
	.norm = NORM_LAYER_BIAS,
	.has_embd_norm = true,
	.obeys = obeys,
	.imply = rwkv6_imply,
};
