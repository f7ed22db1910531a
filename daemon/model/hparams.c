#include "daemon/model/hparams.h"

#include <errno.h>
#include <stdio.h>

#define KEY_BYTES 96

/* Bounds far above any model in use, low enough that products of three of them stay inside 64 bits. */
#define DIM_MAX   (1u << 20)
#define LAYER_MAX 1024u
#define CTX_MAX   (1u << 24)

/* A number, or one for each layer that is the same for all: -ERANGE otherwise, and then *v is the first. */
static int get_equal(const struct gguf *g, const char *key, uint32_t *v)
{
	struct gguf_arr a;
	int r = gguf_get_arr(g, key, &a);

	if (r < 0)
		return gguf_get_u32(g, key, v);
	if (!a.n || a.type > GGUF_I32)
		return -EINVAL;
	if (gguf_arr_int(&a, 0) < 0 || gguf_arr_int(&a, 0) > UINT32_MAX)
		return -EINVAL;
	*v = (uint32_t)gguf_arr_int(&a, 0);
	for (uint64_t i = 1; i < a.n; i++)
		if (gguf_arr_int(&a, i) != (int64_t)*v)
			return -ERANGE;
	return 0;
}

/* def: what an absent key means; 0: it must be there. */
static int get_u32(const struct gguf *g, const char *arch, const char *name, uint32_t *v, uint32_t def, uint32_t max,
		   struct error *e)
{
	char key[KEY_BYTES];
	int r;

	snprintf(key, sizeof(key), "%s.%s", arch, name);
	r = get_equal(g, key, v);
	if (r == -ENOENT && def) {
		*v = def;
		return 0;
	}
	if (r == -ENOENT)
		return error_set(e, -EINVAL, "the file has no %s: not a complete %s model", key, arch);
	if (r == -ERANGE)
		return error_set(e, -ENOTSUP,
				 "%s differs between layers, which is not supported yet; use another model", key);
	if (r < 0)
		return error_set(e, -EINVAL, "%s is not an unsigned number", key);
	if (*v < 1 || *v > max)
		return error_set(e, -EINVAL, "%s is %u; 1..%u are possible", key, *v, max);
	return 0;
}

static int check_heads(const struct hparams *hp, uint32_t value_dim, struct error *e)
{
	if (hp->n_head % hp->n_head_kv)
		return error_set(e, -EINVAL, "%u query heads cannot share %u key/value heads evenly", hp->n_head,
				 hp->n_head_kv);
	if (hp->head_dim % 16 || hp->head_dim > 256)
		return error_set(e, -ENOTSUP, "heads of %u dimensions: gyre runs multiples of 16 up to 256",
				 hp->head_dim);
	if (value_dim != hp->head_dim)
		return error_set(e, -ENOTSUP, "value heads of %u dimensions beside key heads of %u are not supported",
				 value_dim, hp->head_dim);
	if (hp->n_rot % 2 || hp->n_rot > hp->head_dim)
		return error_set(e, -EINVAL, "%u of %u dimensions rotate: must be even and no more than there are",
				 hp->n_rot, hp->head_dim);
	return 0;
}

static int read_heads(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	uint32_t value_dim = 0, even;
	int r;

	r = get_u32(g, arch, "attention.head_count", &hp->n_head, 0, DIM_MAX, e);
	if (r < 0)
		return r;
	r = get_u32(g, arch, "attention.head_count_kv", &hp->n_head_kv, hp->n_head, DIM_MAX, e);
	if (r < 0)
		return r;
	/* A head count that does not divide n_embd must come with an explicit length. */
	even = hp->n_embd % hp->n_head ? 0 : hp->n_embd / hp->n_head;
	r = get_u32(g, arch, "attention.key_length", &hp->head_dim, even, DIM_MAX, e);
	if (r < 0)
		return r;
	r = get_u32(g, arch, "attention.value_length", &value_dim, hp->head_dim, DIM_MAX, e);
	if (r < 0)
		return r;
	r = get_u32(g, arch, "rope.dimension_count", &hp->n_rot, hp->head_dim, DIM_MAX, e);
	if (r < 0)
		return r;
	return check_heads(hp, value_dim, e);
}

int hparams_read(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	char key[KEY_BYTES];
	int r;

	r = keys_check(g, arch, e);
	if (r < 0)
		return r;
	r = get_u32(g, arch, "embedding_length", &hp->n_embd, 0, DIM_MAX, e);
	if (r < 0)
		return r;
	r = get_u32(g, arch, "block_count", &hp->n_layer, 0, LAYER_MAX, e);
	if (r < 0)
		return r;
	r = get_u32(g, arch, "feed_forward_length", &hp->n_ff, 0, DIM_MAX, e);
	if (r < 0)
		return r;
	r = get_u32(g, arch, "context_length", &hp->n_ctx_train, 0, CTX_MAX, e);
	if (r < 0)
		return r;
	snprintf(key, sizeof(key), "%s.attention.sliding_window", arch);
	r = gguf_get_u32(g, key, &hp->n_window);
	if (r < 0 && r != -ENOENT)
		return error_set(e, -EINVAL, "%s is not an unsigned number", key);
	snprintf(key, sizeof(key), "%s.attention.layer_norm_rms_epsilon", arch);
	if (gguf_get_f32(g, key, &hp->rms_eps) < 0 || !(hp->rms_eps >= 0 && hp->rms_eps < 1))
		return error_set(e, -EINVAL, "%s is missing or not a number in 0..1", key);
	return read_heads(hp, g, arch, e);
}
