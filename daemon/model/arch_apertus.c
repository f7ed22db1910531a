/*
 * Apertus (Swiss AI 2025): a llama that norms each head of its queries and keys before it turns them, and whose feed-forward has no gate:
 *   x += Wo . attention(rope(norm(Wq . n)), rope(norm(Wk . n)), Wv . n),  n = rms_norm(x) * attn_norm
 *   x += Wdown . xielu(Wup . n),                                          n = rms_norm(x) * ffn_norm
 * xielu (Huang and Schlag 2024) has numbers that each layer learned, which are among the metadata:
 *   xielu(x) = x > 0 ? p x^2 + beta x : n (exp(min(x, eps)) - 1 - x) + beta x,  p = softplus(alpha_p), n = beta + softplus(alpha_n)
 * Rotary pairs are (i, i + n_rot / 2).
 */
#include "daemon/model/decoder.h"
#include "daemon/model/f64.h"

#include <errno.h>

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_UNGATED,
	TENSOR("attn_q_norm.weight", heads.q_norm.w, .width = VECTOR_HEAD_DIM),
	TENSOR("attn_k_norm.weight", heads.k_norm.w, .width = VECTOR_HEAD_DIM),
};

/* A number of a layer, or one of all. */
static int get(const struct gguf *g, const char *key, uint32_t layer, uint32_t n_layer, float min, float max, float *v,
	       struct error *e)
{
	struct gguf_arr a;

	*v = max + 1;
	if (gguf_get_arr(g, key, &a) < 0)
		gguf_get_f32(g, key, v);
	else if (a.n >= n_layer && a.type == GGUF_F32)
		*v = gguf_arr_f32(&a, layer);
	return *v >= min && *v <= max ? 0
				      : error_set(e, -EINVAL, "%s is not a number in %g..%g for each layer", key,
						  (double)min, (double)max);
}

static float softplus(float x)
{
	return (float)f64_log(1 + f64_exp((double)x));
}

static int open_layer(const struct model *m, const struct gguf *g, uint32_t layer, struct xielu *x, struct error *e)
{
	const struct {
		const char *key;
		float min, max, *v;
	} want[] = {
		{ "xielu.alpha_n", -100, 100, &x->alpha_n },
		{ "xielu.alpha_p", -100, 100, &x->alpha_p },
		{ "xielu.beta", -100, 100, &x->beta },
		{ "xielu.eps", -1, 0, &x->eps },
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		int r = get(g, want[i].key, layer, m->hp.n_layer, want[i].min, want[i].max, want[i].v, e);

		if (r < 0)
			return r;
	}
	x->alpha_n = x->beta + softplus(x->alpha_n);
	x->alpha_p = softplus(x->alpha_p);
	return 0;
}

static int apertus_open(struct tensors *t, struct error *e)
{
	struct decoder_layer *layer = t->m->layer;
	int r = 0;

	for (uint32_t i = 0; i < t->m->hp.n_layer && r == 0; i++)
		r = open_layer(t->m, t->w->gguf, i, &layer[i].ffn.xielu, e);
	return r;
}

const struct arch arch_apertus = {
	.name = "apertus",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_XIELU,
	.open = apertus_open,
};
