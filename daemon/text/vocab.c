/* Making and asking a vocabulary. */
#include "daemon/text/vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRATCH_BYTES_MAX (64u << 20) /* candidates take 40 bytes per byte of text, and indices stay below 2^32 */

/* Token i as it appears in text. One that no rule decodes is its own text. Returns its length. */
static uint32_t decode(struct vocab *v, char *out, struct text_span t, uint32_t id)
{
	ssize_t n;

	if (v->type[id] == TOKEN_BYTE && spell_byte(out, t.p, t.n))
		return 1;
	if (v->type[id] == TOKEN_NORMAL && (n = v->kind->spell(out, t.p, t.n)) >= 0)
		return (uint32_t)n;
	if (v->type[id] == TOKEN_NORMAL)
		v->type[id] = TOKEN_RAW; /* Command R has U+200D both raw and byte-mapped; merges make the latter */
	if (t.n)
		memcpy(out, t.p, t.n);
	return t.n;
}

static int copy_tokens(struct vocab *v, const struct vocab_source *src)
{
	size_t bytes = 0;
	char *at;

	for (uint32_t i = 0; i < src->n_token; i++)
		bytes += src->token[i].n;
	v->arena = at = malloc(bytes + 1);
	v->token = calloc(src->n_token, sizeof(*v->token));
	v->type = calloc(src->n_token, 1);
	v->is_end = calloc(src->n_token, sizeof(bool));
	v->whole = calloc(src->n_token, sizeof(bool));
	v->strip = calloc(src->n_token, 1);
	v->score = v->kind->is_scored ? calloc(src->n_token, sizeof(float)) : NULL;
	if (!at || !v->token || !v->type || !v->is_end || !v->whole || !v->strip || (v->kind->is_scored && !v->score))
		return -ENOMEM;
	for (uint32_t i = 0; i < src->n_token; i++) {
		int32_t type = src->type ? src->type[i] : TOKEN_NORMAL;

		v->type[i] = type >= TOKEN_NORMAL && type <= TOKEN_BYTE ? (uint8_t)type : TOKEN_NORMAL;
	}
	special_marks(v, src);
	for (uint32_t i = 0; i < src->n_token; i++) {
		v->token[i] = (struct text_span){ at, decode(v, at, src->token[i], i) };
		at += v->token[i].n;
		if (v->score && src->score)
			v->score[i] =
				src->score[i] == src->score[i] ? src->score[i] : 0; /* a NaN has no place in an order */
	}
	return 0;
}

static void mark_ends(struct vocab *v, const struct vocab_source *src)
{
	const int32_t end[] = { v->eos, src->eot, src->eom };

	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++)
		if (end[i] >= 0 && end[i] < (int64_t)v->n_token)
			v->is_end[end[i]] = true;
}

/* An id that no text needs may be anything. */
static void warn_of_ids(struct vocab *v, const struct vocab_source *src)
{
	const struct {
		const char *name;
		int32_t id;
	} special[] = { { "bos", src->bos },
			{ "end-of-turn", src->eot },
			{ "end-of-message", src->eom },
			{ "unknown", src->unk },
			{ "padding", src->pad } };

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (special[i].id < -1 || special[i].id >= (int64_t)src->n_token)
			special_warn(v, "the %s token's id %d is outside the vocabulary of %u, and is not used",
				     special[i].name, special[i].id, src->n_token);
	if ((src->add_bos && src->bos < 0) || (src->add_eos && src->eos < 0))
		special_warn(v, "the file wants a %s token added and names none", src->bos < 0 ? "bos" : "eos");
}

static int check(const struct vocab_source *src, char *err, size_t err_len)
{
	const struct {
		int32_t id;
		bool is_used;
	} special[] = { { src->bos, src->add_bos }, { src->eos, true } };
	const struct tokenizer *kind = tokenizer_find(src->model, src->pre);
	char names[256];

	if (src->model && (!strcmp(src->model, "none") || !strcmp(src->model, "no_vocab")))
		return snprintf(err, err_len,
				"the file has no vocabulary (tokenizer.ggml.model is %s): use one converted with it",
				src->model),
		       -EINVAL;
	if (!kind)
		return snprintf(err, err_len,
				"tokenizer \"%s\" is not supported: use a model whose tokenizer.ggml.model is %s",
				src->model ? src->model : "(none)", tokenizer_names(names, sizeof(names))),
		       -EINVAL;
	if (!src->n_token || src->n_token > INT32_MAX / 4 || !src->token || src->n_merge > INT32_MAX / 4)
		return snprintf(err, err_len, "the vocabulary is empty: convert the model again"), -EINVAL;
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (special[i].is_used && (special[i].id < -1 || special[i].id >= (int64_t)src->n_token))
			return snprintf(err, err_len,
					"special token id %d is outside the vocabulary of %u: convert the model again",
					special[i].id, src->n_token),
			       -EINVAL;
	return 0;
}

static int fill(struct vocab *v, const struct vocab_source *src, char *err, size_t err_len)
{
	int r = copy_tokens(v, src);

	if (r || (r = vocab_index(v)) || (r = vocab_index_added(v)))
		return r;
	warn_of_ids(v, src);
	mark_ends(v, src);
	special_strip(v, src);
	return v->kind->init ? v->kind->init(v, src, err, err_len) : 0;
}

static int32_t id_in(const struct vocab_source *src, int32_t id)
{
	return id < (int64_t)src->n_token && id >= 0 ? id : -1;
}

int vocab_new(struct vocab **vocabp, const struct vocab_source *src, char *err, size_t err_len)
{
	struct vocab *v;
	int r = check(src, err, err_len);

	if (r)
		return r;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->kind = tokenizer_find(src->model, src->pre);
	v->n_token = src->n_token;
	v->bos = id_in(src, src->bos);
	v->eos = src->eos;
	v->unk = id_in(src, src->unk);
	v->add_bos = src->add_bos && v->bos >= 0;
	v->add_eos = src->add_eos && v->eos >= 0;
	v->add_space_prefix = src->add_space_prefix && v->kind->leads;
	if ((r = fill(v, src, err, err_len))) {
		vocab_free(v);
		return r;
	}
	*vocabp = v;
	return 0;
}

struct vocab *vocab_free(struct vocab *v)
{
	if (!v)
		return NULL;
	pre_deinit(&v->pre);
	trie_deinit(&v->trie);
	charsmap_deinit(&v->charsmap);
	free(v->arena);
	free(v->token);
	free(v->type);
	free(v->score);
	free(v->weight);
	free(v->is_end);
	free(v->whole);
	free(v->strip);
	free(v->slot);
	free(v->merge);
	free(v->added);
	free(v);
	return NULL;
}

struct vocab_scratch *vocab_scratch_new_merging(size_t max_bytes)
{
	struct vocab_scratch *s = max_bytes < SCRATCH_BYTES_MAX ? calloc(1, sizeof(*s)) : NULL;

	if (!s)
		return NULL;
	s->max_bytes = max_bytes;
	s->arena = malloc(SCRATCH_PLACES(max_bytes) * SCRATCH_PER_BYTE);
	s->text = malloc(SCRATCH_PLACES(max_bytes));
	if (!s->arena || !s->text)
		return vocab_scratch_free(s);
	s->symbol = (struct symbol *)s->arena;
	s->heap = (struct candidate *)(s->symbol + SCRATCH_PLACES(max_bytes));
	return s;
}

struct vocab_scratch *vocab_scratch_new(size_t max_bytes)
{
	struct vocab_scratch *s = vocab_scratch_new_merging(max_bytes);

	return s && pre_scratch_init(&s->pre) ? vocab_scratch_free(s) : s;
}

void vocab_scratch_wipe(struct vocab_scratch *s)
{
	explicit_bzero(s->symbol, s->n_used * sizeof(*s->symbol));
	explicit_bzero(s->heap, 2 * s->n_used * sizeof(*s->heap));
	explicit_bzero(s->text, s->n_used);
	explicit_bzero(scratch_path(s), s->n_place * sizeof(uint32_t));
	explicit_bzero(scratch_normal(s), s->n_place);
	s->n_used = s->n_place = 0;
}

struct vocab_scratch *vocab_scratch_free(struct vocab_scratch *s)
{
	if (!s)
		return NULL;
	pre_scratch_deinit(&s->pre);
	free(s->arena);
	free(s->text);
	free(s);
	return NULL;
}

struct text_span vocab_token_bytes(const struct vocab *v, uint32_t id, bool first, bool special)
{
	struct text_span t = { "", 0 };

	if (id >= v->n_token ||
	    (!special && (v->type[id] == TOKEN_CONTROL || v->type[id] == TOKEN_UNKNOWN || v->type[id] == TOKEN_UNUSED)))
		return t;
	t = v->token[id];
	if (first && v->add_space_prefix && v->type[id] == TOKEN_NORMAL && t.n && t.p[0] == ' ')
		return (struct text_span){ t.p + 1, t.n - 1 };
	return t;
}

const char *vocab_warning(const struct vocab *v)
{
	return v->warning;
}

uint32_t vocab_size(const struct vocab *v)
{
	return v->n_token;
}

int32_t vocab_bos(const struct vocab *v)
{
	return v->bos;
}

bool vocab_adds_bos(const struct vocab *v)
{
	return v->add_bos;
}

int32_t vocab_eos(const struct vocab *v)
{
	return v->eos;
}

bool vocab_is_end(const struct vocab *v, uint32_t id)
{
	return id < v->n_token && v->is_end[id];
}
