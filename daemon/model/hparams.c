#include "daemon/model/hparams.h"

#include "daemon/model/arch.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define KEY_BYTES 96

#define CTX_MAX (1u << 24) /* far above any model in use */

/* A head's keys and values have one size, so the smaller of what kernels take bounds it. */
#define HEAD_DIM_MAX ((uint32_t)(DIM_K_MAX < DIM_V_MAX ? DIM_K_MAX : DIM_V_MAX))

int hparams_check_heads(const struct head_shape *h, uint32_t value_dim, struct error *e)
{
	if (h->n_head % h->n_head_kv)
		return error_set(e, -EINVAL, "%u query heads cannot share %u key/value heads evenly", h->n_head,
				 h->n_head_kv);
	if (h->head_dim % 16 || h->head_dim > HEAD_DIM_MAX)
		return error_set(e, -ENOTSUP, "heads of %u dimensions: gyre runs multiples of 16 up to %u", h->head_dim,
				 HEAD_DIM_MAX);
	if (value_dim != h->head_dim)
		return error_set(e, -ENOTSUP, "value heads of %u dimensions beside key heads of %u are not supported",
				 value_dim, h->head_dim);
	if (h->n_rot % 2 || h->n_rot > h->head_dim)
		return error_set(e, -EINVAL, "%u of %u dimensions rotate: must be even and no more than there are",
				 h->n_rot, h->head_dim);
	return 0;
}

/* Whether the architecture has layers with tensors of an axis. */
static bool has_axis(const struct arch *arch, enum plan_axis axis)
{
	for (size_t i = 0; i < arch->n_tensor; i++)
		if (arch->tensor[i].axis == axis)
			return true;
	return false;
}

static int read_heads(struct hparams *hp, const struct gguf *g, const struct arch *of, struct error *e)
{
	const char *arch = of->name;
	uint32_t value_dim = 0, even;
	int r;

	r = hparams_get_of_some(g, arch, "attention.head_count", false, &hp->n_head, 0, e);
	if (r < 0)
		return r;
	r = hparams_get_of_some(g, arch, "attention.head_count_kv", of->has_layer_shapes, &hp->n_head_kv, hp->n_head,
				e);
	if (r < 0)
		return r;
	/* A head count that does not divide n_embd must come with an explicit length. */
	even = hp->n_embd % hp->n_head ? 0 : hp->n_embd / hp->n_head;
	r = hparams_get_count(g, arch, "attention.head_dim", &even, even, HPARAMS_DIM_MAX, e);
	if (r < 0)
		return r;
	r = hparams_get_u32(g, arch, "attention.key_length", &hp->head_dim, even, HPARAMS_DIM_MAX, e);
	if (r < 0)
		return r;
	r = hparams_get_u32(g, arch, "attention.value_length", &value_dim, hp->head_dim, HPARAMS_DIM_MAX, e);
	if (r < 0)
		return r;
	r = hparams_get_u32(g, arch, "rope.dimension_count", &hp->n_rot, hp->head_dim, HPARAMS_DIM_MAX, e);
	if (r < 0)
		return r;
	return hparams_check_heads(&(struct head_shape){ hp->n_head, hp->n_head_kv, hp->head_dim, hp->n_rot },
				   value_dim, e);
}

static float or_else(float v, float def)
{
	return v != 0 ? v : def;
}

/* Of a layer that has no heads, or a feed-forward of no columns, these bits go. */
static int drop_absent(struct hparams *hp, const struct gguf *g, const struct arch *arch, struct error *e)
{
	const struct {
		const char *name;
		bool is_read;
		uint8_t bits;
	} of_layers[] = {
		{ "attention.head_count", hp->n_head, LAYER_ATTENTION | LAYER_WINDOW | LAYER_TURN },
		{ "attention.head_count_kv", hp->n_head, LAYER_ATTENTION | LAYER_WINDOW | LAYER_TURN },
		{ "feed_forward_length", true, LAYER_FF | LAYER_EXPERTS },
	};
	uint32_t n[LAYER_MAX];

	for (size_t k = 0; k < sizeof(of_layers) / sizeof(of_layers[0]); k++) {
		int r = hparams_get_layers(g, arch->name, of_layers[k].name, n, hp->n_layer, HPARAMS_DIM_MAX, e);

		if (r < 0 && r != -ENOENT)
			return r;
		for (uint32_t i = 0; i < hp->n_layer; i++)
			if (!of_layers[k].is_read || (r == 0 && !n[i]))
				hp->kind[i] &= (uint8_t)~of_layers[k].bits;
	}
	return 0;
}

static int read_factors(struct hparams *hp, const struct gguf *g, const struct arch *arch, struct error *e)
{
	const struct {
		const char *name;
		float *v;
	} want[] = {
		{ "embedding_scale", &hp->embd_scale },
		{ "residual_scale", &hp->residual_scale },
		{ "logit_scale", &hp->logit_scale },
		{ "attention.scale", &hp->attn_scale },
		{ "attn_logit_softcapping", &hp->attn_cap },
		{ "final_logit_softcapping", &hp->logit_cap },
		{ "attention.temperature_scale", &hp->temp_scale },
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]) && r == 0; i++)
		if (keys_is_obeyed(arch, want[i].name))
			r = hparams_get_factor(g, arch->name, want[i].name, want[i].v, e);
	if (r < 0)
		return r;
	memset(hp->kind, LAYER_ATTENTION | LAYER_WINDOW | LAYER_TURN | LAYER_TEMPER, hp->n_layer);
	r = hparams_read_experts(hp, g, arch, e);
	if (r == 0)
		r = drop_absent(hp, g, arch, e);
	if (r == 0 && arch->imply)
		r = arch->imply(hp, g, arch->name, e);
	if (r < 0)
		return r;
	hp->embd_scale = or_else(hp->embd_scale, 1);
	hp->residual_scale = or_else(hp->residual_scale, 1);
	hp->logit_scale = or_else(hp->logit_scale, 1);
	hp->attn_scale = or_else(hp->attn_scale, hp->head_dim ? 1.0f / sqrtf((float)hp->head_dim) : 1);
	return 0;
}

enum head_shapes hparams_shape(const struct hparams *hp, uint32_t layer)
{
	return hp->window_heads.head_dim && hp->kind[layer] & LAYER_WINDOW ? HEADS_WINDOW_LAYERS : HEADS_LAYERS;
}

struct head_shape hparams_heads(const struct hparams *hp, enum head_shapes shape)
{
	if (shape == HEADS_WINDOW_LAYERS)
		return hp->window_heads;
	return (struct head_shape){ hp->n_head, hp->n_head_kv, hp->head_dim, hp->n_rot };
}

struct hparams hparams_of_layer(const struct hparams *hp, uint32_t layer)
{
	struct head_shape h = hparams_heads(hp, hparams_shape(hp, layer));
	struct hparams own = *hp;

	own.n_head_kv = h.n_head_kv;
	own.head_dim = h.head_dim;
	own.n_ff = hp->ff[layer] ? hp->ff[layer] : hp->n_ff;
	return own;
}

uint32_t hparams_window(const struct hparams *hp, uint32_t layer)
{
	return hp->kind[layer] & LAYER_WINDOW ? hp->n_window : 0;
}

void hparams_set_period(struct hparams *hp, uint32_t period, uint8_t bits)
{
	for (uint32_t i = 0; i < hp->n_layer; i++)
		if ((i + 1) % period == 0)
			hp->kind[i] &= (uint8_t)~bits;
}

int hparams_read_pattern(struct hparams *hp, const struct gguf *g, const char *arch, uint32_t period, uint8_t bits,
			 struct error *e)
{
	static const char name[] = "attention.sliding_window_pattern";
	uint32_t has_window[LAYER_MAX];
	char key[KEY_BYTES];
	struct gguf_arr a;
	int r;

	snprintf(key, sizeof(key), "%s.%s", arch, name);
	if (gguf_get_arr(g, key, &a) < 0) {
		r = hparams_get_u32(g, arch, name, &period, period, LAYER_MAX, e);
		if (r == 0)
			hparams_set_period(hp, period, bits);
		return r;
	}
	r = hparams_get_layers(g, arch, name, has_window, hp->n_layer, 1, e);
	for (uint32_t i = 0; r == 0 && i < hp->n_layer; i++)
		if (!has_window[i])
			hp->kind[i] &= (uint8_t)~bits;
	return r;
}

int hparams_read_ssm(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	const struct {
		const char *name;
		uint32_t *v, def, max;
	} want[] = {
		{ "ssm.conv_kernel", &hp->ssm.conv_kernel, 0, CONV_TAP_MAX },
		{ "ssm.inner_size", &hp->ssm.inner_size, 0, HPARAMS_DIM_MAX },
		{ "ssm.state_size", &hp->ssm.state_size, 0, HPARAMS_DIM_MAX },
		{ "ssm.time_step_rank", &hp->ssm.time_step_rank, 0, HPARAMS_DIM_MAX },
		{ "ssm.group_count", &hp->ssm.group_count, 1, HPARAMS_DIM_MAX },
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]) && r == 0; i++)
		r = hparams_get_u32(g, arch, want[i].name, want[i].v, want[i].def, want[i].max, e);
	return r;
}

static int read_sizes(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	const struct {
		const char *name;
		uint32_t *v, max;
	} want[] = {
		{ "embedding_length", &hp->n_embd, HPARAMS_DIM_MAX },
		{ "block_count", &hp->n_layer, LAYER_MAX },
		{ "context_length", &hp->n_ctx_train, CTX_MAX },
	};

	int r = 0;

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]) && r == 0; i++)
		r = hparams_get_u32(g, arch, want[i].name, want[i].v, 0, want[i].max, e);
	if (r < 0)
		return r;
	r = hparams_get_count(g, arch, "pooling_type", &hp->pooling_type, 0, UINT32_MAX, e);
	if (r < 0)
		return r;
	r = hparams_get_count(g, arch, "nextn_predict_layers", &hp->n_nextn, 0, hp->n_layer - 1, e);
	hp->n_layer -= r == 0 ? hp->n_nextn : 0; /* block_count counts them too */
	return r == 0 ? hparams_get_count(g, arch, "attention.sliding_window", &hp->n_window, 0, UINT32_MAX, e) : r;
}

/* Of an architecture that may have none, 0. */
static int read_ff(struct hparams *hp, const struct gguf *g, const struct arch *arch, struct error *e)
{
	static const char name[] = "feed_forward_length";

	if (!has_axis(arch, PLAN_FF) && !arch->has_layer_shapes && hparams_has_none(g, arch->name, name))
		return 0;
	return hparams_get_of_some(g, arch->name, name, arch->has_layer_shapes, &hp->n_ff, 0, e);
}

int hparams_read(struct hparams *hp, const struct gguf *g, const struct arch *arch, struct error *e)
{
	const char *name = arch->name;
	char key[KEY_BYTES];
	int r = keys_check(g, arch, e);

	if (r == 0)
		r = read_sizes(hp, g, name, e);
	if (r < 0)
		return r;
	snprintf(key, sizeof(key), "%s.attention.layer_norm_%sepsilon", name, arch->norm == NORM_RMS ? "rms_" : "");
	if (gguf_get_f32(g, key, &hp->norm_eps) < 0 || !(hp->norm_eps >= 0 && hp->norm_eps < 1))
		return error_set(e, -EINVAL, "%s is missing or not a number in 0..1", key);
	r = read_ff(hp, g, arch, e);
	if (r == 0 && has_axis(arch, PLAN_HEAD))
		r = read_heads(hp, g, arch, e);
	return r == 0 ? read_factors(hp, g, arch, e) : r;
}
