#include "daemon/text/vocab_gguf.h"

#include "daemon/text/text.h"
#include "daemon/util/cleanup.h"
#include "daemon/gguf/gguf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(char *err, size_t err_len, const char *what)
{
	snprintf(err, err_len, "the model file %s: convert the model again", what);
	return -EINVAL;
}

/* A copy ends in a NUL, for callees that take C strings. *z stays NULL if the key is absent. */
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

	if (gguf_get_u32(g, key, &id))
		return otherwise;
	return id == UINT32_MAX ? -1
	       : id > INT32_MAX ? INT32_MAX
				: (int32_t)id; /* -1 by a converter that has no sign */
}

static bool get_bool(const struct gguf *g, const char *key, bool otherwise)
{
	uint32_t i;
	bool b;

	if (!gguf_get_bool(g, key, &b))
		return b;
	return gguf_get_u32(g, key, &i) ? otherwise : i != 0;
}

/* n 0 if the key is absent. */
static struct text_span get_bytes(const struct gguf *g, const char *key)
{
	struct gguf_arr a;

	if (gguf_get_arr(g, key, &a) || (a.type != GGUF_U8 && a.type != GGUF_I8) || a.n > INT32_MAX)
		return (struct text_span){ "", 0 };
	return (struct text_span){ (const char *)a.data, (uint32_t)a.n };
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

	if (gguf_get_arr(g, "tokenizer.ggml.scores", &a))
		return 0;
	if (a.n < n || (a.type != GGUF_F32 && a.type != GGUF_F64 && a.type != GGUF_I32))
		return -EINVAL;
	*score = calloc(n + 1, sizeof(**score));
	for (uint32_t i = 0; *score && i < n; i++)
		(*score)[i] = a.type == GGUF_I32 ? (float)gguf_arr_int(&a, i) : gguf_arr_f32(&a, i);
	return *score ? 0 : -ENOMEM;
}

static int get_types(const struct gguf *g, uint32_t n, int32_t **type)
{
	struct gguf_arr a;

	if (gguf_get_arr(g, "tokenizer.ggml.token_type", &a))
		return 0;
	if (a.n < n || (a.type != GGUF_I32 && a.type != GGUF_U32))
		return -EINVAL;
	*type = calloc(n + 1, sizeof(**type));
	for (uint32_t i = 0; *type && i < n; i++)
		(*type)[i] = (int32_t)gguf_arr_int(&a, i);
	return *type ? 0 : -ENOMEM;
}

static bool is_one_of(const char *z, const char *const *list, size_t n)
{
	for (size_t i = 0; z && i < n; i++)
		if (strcasestr(z, list[i]))
			return true;
	return false;
}

/* Added tokens' lstrip and rstrip have no key: only the model's name tells them. */
static int find_strips(const struct gguf *g, struct vocab_source *src)
{
	static const char *const phi[] = { "phi-3", "phi3", "phi 3" }, *const masked[] = { "nomic-bert-moe",
											   "jina-bert-v3" };
	_cleanup_free_ char *name = NULL, *arch = NULL;

	if (get_string(g, "general.name", &name) || get_string(g, "general.architecture", &arch))
		return -ENOMEM;
	/* Phi-4 is of that architecture too, and of another tokenizer. */
	src->strips_after = is_one_of(name, phi, 3) || (!strcmp(src->model, "llama") && is_one_of(arch, phi, 2));
	if (is_one_of(arch, masked, 2))
		src->strips_before = "<mask>";
	return 0;
}

int vocab_from_gguf(struct vocab **vocabp, const struct gguf *g, char *err, size_t err_len)
{
	_cleanup_free_ char *model = NULL, *pre = NULL;
	_cleanup_free_ struct text_span *token = NULL, *merge = NULL;
	_cleanup_free_ float *score = NULL;
	_cleanup_free_ int32_t *type = NULL;
	struct vocab_source src = { 0 };
	struct tokenizer_defaults d;
	int r;

	if (get_string(g, "tokenizer.ggml.model", &model) || get_string(g, "tokenizer.ggml.pre", &pre) ||
	    get_spans(g, "tokenizer.ggml.tokens", &token, &src.n_token) ||
	    get_spans(g, "tokenizer.ggml.merges", &merge, &src.n_merge))
		return -ENOMEM;
	if (!model)
		return refuse(err, err_len, "has no tokenizer");
	if ((r = get_scores(g, src.n_token, &score)) || (r = get_types(g, src.n_token, &type)))
		return r == -EINVAL ? refuse(err, err_len, "has scores or types for fewer tokens than there are") : r;
	src.model = model;
	src.pre = pre;
	src.token = token;
	src.merge = merge;
	src.score = score;
	src.type = type;
	d = tokenizer_defaults(model, pre);
	src.bos = get_id(g, "tokenizer.ggml.bos_token_id", d.bos);
	src.eos = get_id(g, "tokenizer.ggml.eos_token_id", d.eos);
	src.eot = get_id(g, "tokenizer.ggml.eot_token_id", -1);
	src.eom = get_id(g, "tokenizer.ggml.eom_token_id", -1);
	src.unk = get_id(g, "tokenizer.ggml.unknown_token_id", d.unk);
	src.pad = get_id(g, "tokenizer.ggml.padding_token_id", d.pad);
	if (d.cls_sep) {
		src.bos = get_id(g, "tokenizer.ggml.bos_token_id", get_id(g, "tokenizer.ggml.cls_token_id", d.bos));
		src.eos = get_id(g, "tokenizer.ggml.seperator_token_id", src.eos);
	}
	src.add_bos = d.cls_sep || get_bool(g, "tokenizer.ggml.add_bos_token", d.add_bos);
	src.add_eos = d.cls_sep || get_bool(g, "tokenizer.ggml.add_eos_token", d.add_eos);
	src.add_space_prefix = get_bool(g, "tokenizer.ggml.add_space_prefix", d.add_space_prefix);
	src.collapse_space = get_bool(g, "tokenizer.ggml.remove_extra_whitespaces", false);
	src.lowercase = get_bool(g, "tokenizer.ggml.normalizer.lowercase", d.cls_sep);
	src.strip_accents = get_bool(g, "tokenizer.ggml.normalizer.strip_accents", src.lowercase);
	src.charsmap = get_bytes(g, "tokenizer.ggml.precompiled_charsmap");
	src.strips_before = d.strips_before;
	if (find_strips(g, &src))
		return -ENOMEM;
	return vocab_new(vocabp, &src, err, err_len);
}
