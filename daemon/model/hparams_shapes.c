/* Layers that differ: heads of those with a window, and feed-forwards. */
#include "daemon/model/hparams.h"

#include <errno.h>

/* KV heads by layer: one number for the layers with a window, one for the others. */
static int read_head_count(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	uint32_t n[LAYER_MAX], *to;
	int r = hparams_get_layers(g, arch, "attention.head_count_kv", n, hp->n_layer, HPARAMS_DIM_MAX, e);

	hp->window_heads.n_head_kv = hp->n_head_kv;
	if (r == -ENOENT)
		return 0;
	for (uint32_t i = 0; i < hp->n_layer && r == 0; i++) {
		to = hp->kind[i] & LAYER_WINDOW ? &hp->window_heads.n_head_kv : &hp->n_head_kv;
		*to = n[i];
	}
	for (uint32_t i = 0; i < hp->n_layer && r == 0; i++)
		if (!n[i] || n[i] != (hp->kind[i] & LAYER_WINDOW ? hp->window_heads.n_head_kv : hp->n_head_kv))
			r = error_set(
				e, -ENOTSUP,
				"%s.attention.head_count_kv differs between layers of one kind (%u of layer %u), which "
				"gyre does not run; use another model",
				arch, n[i], i);
	return r;
}

static int read_ff(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	int r = hparams_get_layers(g, arch, "feed_forward_length", hp->ff, hp->n_layer, HPARAMS_DIM_MAX, e);

	for (uint32_t i = 0; i < hp->n_layer && r == 0; i++)
		if (!hp->ff[i])
			r = error_set(e, -EINVAL, "%s.feed_forward_length of layer %u is 0", arch, i);
	return r;
}

int hparams_read_shapes(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	struct head_shape *h = &hp->window_heads;
	uint32_t value_dim = 0;
	int r = read_head_count(hp, g, arch, e);

	h->n_head = hp->n_head;
	if (r == 0)
		r = hparams_get_u32(g, arch, "attention.key_length_swa", &h->head_dim, hp->head_dim, HPARAMS_DIM_MAX,
				    e);
	if (r == 0)
		r = hparams_get_u32(g, arch, "attention.value_length_swa", &value_dim, h->head_dim, HPARAMS_DIM_MAX, e);
	if (r == 0)
		r = hparams_get_u32(g, arch, "rope.dimension_count_swa", &h->n_rot, h->head_dim, HPARAMS_DIM_MAX, e);
	if (r == 0)
		r = hparams_check_heads(h, value_dim, e);
	if (r == 0)
		r = hparams_check_heads(&(struct head_shape){ hp->n_head, hp->n_head_kv, hp->head_dim, hp->n_rot },
					hp->head_dim, e);
	return r == 0 ? read_ff(hp, g, arch, e) : r;
}
