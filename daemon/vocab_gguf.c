#include "daemon/vocab_gguf.h"

#include "daemon/text/text.h"
#include "daemon/util/cleanup.h"
#include "daemon/weights/gguf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(char *err, size_t err_len, const char *what)
{
	snprintf(err, err_len, "the model file %s: convert the model again", what);
	return -EINVAL;
}

/* A copy ends in a NUL for what takes C strings. *z stays NULL if the key is absent. */
static int get_string(const struct gguf *g, const char *key, char **z)
{
	struct gguf_str s;

	if (gguf_get_str(g, key, &s))
		return 0;
	*z = strndup(s.p, s.n);
	return *z ? 0 : -ENOMEM;
}

static int32_t get_id(const struct gguf *g, const char *key, int32_t otherwise)
{
	uint32_t id;

	return !gguf_get_u32(g, key, &id) && id <= INT32_MAX ? (int32_t)id : otherwise;
}

static bool get_bool(const struct gguf *g, const char *key, bool otherwise)
{
	bool b;

	return gguf_get_bool(g, key, &b) ? otherwise : b;
}

/* *spans stays NULL, *n 0 if the key is absent. */
static int get_spans(const struct gguf *g, const char *key, struct text_span **spans, uint32_t *n)
{
	struct gguf_arr a;

	if (gguf_get_arr(g, key, &a) || a.type != GGUF_STR || a.n > INT32_MAX / 4)
		return 0;
	*spans = calloc(a.n + 1, sizeof(**spans));
	if (!*spans)
		return -ENOMEM;
	for (uint64_t i = 0; i < a.n; i++) {
		struct gguf_str s = gguf_arr_str(&a, i);

		(*spans)[i] = (struct text_span){ s.p, (uint32_t)s.n };
	}
	*n = (uint32_t)a.n;
	return 0;
}

static int get_scores(const struct gguf *g, uint32_t n, float **score)
{
	struct gguf_arr a;

	if (gguf_get_arr(g, "tokenizer.ggml.scores", &a) || a.n != n || (a.type != GGUF_F32 && a.type != GGUF_F64))
		return 0;
	*score = calloc(n + 1, sizeof(**score));
	for (uint32_t i = 0; *score && i < n; i++)
		(*score)[i] = gguf_arr_f32(&a, i);
	return *score ? 0 : -ENOMEM;
}

static int get_types(const struct gguf *g, uint32_t n, int32_t **type)
{
	struct gguf_arr a;

	if (gguf_get_arr(g, "tokenizer.ggml.token_type", &a) || a.n != n || (a.type != GGUF_I32 && a.type != GGUF_U32))
		return 0;
	*type = calloc(n + 1, sizeof(**type));
	for (uint32_t i = 0; *type && i < n; i++)
		(*type)[i] = (int32_t)gguf_arr_int(&a, i);
	return *type ? 0 : -ENOMEM;
}

int vocab_from_gguf(struct vocab **vocabp, const struct gguf *g, char *err, size_t err_len)
{
	_cleanup_free_ char *model = NULL, *pre = NULL, *chat_template = NULL;
	_cleanup_free_ struct text_span *token = NULL, *merge = NULL;
	_cleanup_free_ float *score = NULL;
	_cleanup_free_ int32_t *type = NULL;
	struct vocab_source src = { 0 };
	const struct vocab_defaults *d;

	if (get_string(g, "tokenizer.ggml.model", &model) || get_string(g, "tokenizer.ggml.pre", &pre) ||
	    get_string(g, "tokenizer.chat_template", &chat_template) ||
	    get_spans(g, "tokenizer.ggml.tokens", &token, &src.n_token) ||
	    get_spans(g, "tokenizer.ggml.merges", &merge, &src.n_merge) || get_scores(g, src.n_token, &score) ||
	    get_types(g, src.n_token, &type))
		return -ENOMEM;
	if (!model || !token)
		return refuse(err, err_len, "has no tokenizer");
	src.model = model;
	src.pre = pre;
	src.token = token;
	src.merge = merge;
	src.score = score;
	src.type = type;
	src.chat_template = chat_template;
	d = vocab_defaults(model);
	src.bos = get_id(g, "tokenizer.ggml.bos_token_id", d->bos);
	src.eos = get_id(g, "tokenizer.ggml.eos_token_id", d->eos);
	src.eot = get_id(g, "tokenizer.ggml.eot_token_id", -1);
	src.unk = get_id(g, "tokenizer.ggml.unknown_token_id", d->unk);
	src.pad = get_id(g, "tokenizer.ggml.padding_token_id", d->pad);
	src.add_bos = get_bool(g, "tokenizer.ggml.add_bos_token", d->add_bos);
	src.add_eos = get_bool(g, "tokenizer.ggml.add_eos_token", d->add_eos);
	src.add_space_prefix = get_bool(g, "tokenizer.ggml.add_space_prefix", d->add_space_prefix);
	return vocab_new(vocabp, &src, err, err_len);
}
