/*
 * Metadata as tests write them, and values of the keys that some architectures obey (arch.h): each makes another model than a file without it.
 */
#ifndef GYRE_TESTS_MODEL_OWN_KEYS_H
#define GYRE_TESTS_MODEL_OWN_KEYS_H

#include "daemon/gguf/gguf.h"
#include "tests/util/tiny.h"

/* Scalars and arrays as a file has them. */
#define KEY_U32(name, v)                                      \
	{                                                     \
		"." name, GGUF_U32, &(const uint32_t){ v }, 4 \
	}
#define KEY_F32(name, v)                                   \
	{                                                  \
		"." name, GGUF_F32, &(const float){ v }, 4 \
	}
#define KEY_BOOL(name, v)                                     \
	{                                                     \
		"." name, GGUF_BOOL, &(const uint8_t){ v }, 1 \
	}
#define KEY_STR(name, text)                                           \
	{                                                             \
		"." name, GGUF_STR, &(const struct {                  \
			uint64_t n;                                   \
			char s[sizeof(text) - 1];                     \
		} __attribute__((packed))){ sizeof(text) - 1, text }, \
			8 + sizeof(text) - 1                          \
	}

struct pair {
	uint32_t type;
	uint64_t n;
	uint32_t v[2];
} __attribute__((packed));

#define KEY_PAIR(name, a, b)                                                                           \
	{                                                                                              \
		"." name, GGUF_ARR, &(const struct pair){ GGUF_U32, 2, { a, b } }, sizeof(struct pair) \
	}

struct four {
	uint32_t type;
	uint64_t n;
	uint32_t v[4];
} __attribute__((packed));

#define KEY_FOUR(name, ...)                                                                                   \
	{                                                                                                     \
		"." name, GGUF_ARR, &(const struct four){ GGUF_U32, 4, { __VA_ARGS__ } }, sizeof(struct four) \
	}

/* The scales and caps that hparams.c reads, where an architecture obeys them. */
static const char *const factor[] = { "embedding_scale", "residual_scale",         "logit_scale",
				      "attention.scale", "attn_logit_softcapping", "final_logit_softcapping" };

/* Keys of which each says something else, with a value that no architecture has when the file says nothing; `beside`: what the file must
 * say, too, for them to matter. */
#define BESIDE_MAX 2
static const struct own_key {
	struct tiny_kv kv, beside[BESIDE_MAX];
} own_keys[] = {
	{ KEY_BOOL("rope.scaling.finetuned", 0), { { .key = NULL } } },
	{ KEY_BOOL("ssm.dt_b_c_rms", 1), { { .key = NULL } } },
	{ KEY_U32("rescale_every_n_layers", 1), { { .key = NULL } } },
	{ KEY_U32("attention.sliding_window_pattern", 1), { KEY_U32("attention.sliding_window", 8) } },
	{ KEY_F32("rope.freq_base_swa", 500), { KEY_U32("attention.sliding_window", 8) } },
	{ KEY_F32("attention.temperature_scale", 0.125f), { KEY_U32("rope.scaling.original_context_length", 4) } },
	{ KEY_F32("rope.scaling.yarn_log_multiplier", 0.125f),
	  { KEY_STR("rope.scaling.type", "yarn"), KEY_F32("rope.scaling.factor", 4) } },
	{ KEY_U32("attention.shared_kv_layers", 1), { KEY_U32("attention.sliding_window", 8) } },
	{ KEY_U32("rope.dimension_count_swa", 8), { KEY_U32("attention.sliding_window", 8) } },
	/* These ask for other tensors: tests/golden/arch has models with them. */
	{ .kv = { .key = ".attention.key_length_swa" } },
	{ .kv = { .key = ".attention.value_length_swa" } },
	{ .kv = { .key = ".embedding_length_per_layer_input" } },
};

static inline bool own_key_is_factor(const char *name)
{
	for (size_t i = 0; i < sizeof(factor) / sizeof(factor[0]); i++)
		if (!strcmp(factor[i], name))
			return true;
	return false;
}

static inline const struct own_key *own_key_find(const char *name)
{
	for (size_t i = 0; i < sizeof(own_keys) / sizeof(own_keys[0]); i++)
		if (!strcmp(own_keys[i].kv.key + 1, name))
			return &own_keys[i];
	return NULL;
}

#endif
