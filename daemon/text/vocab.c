/* Making and asking a vocabulary. */
#include "daemon/text/vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRATCH_BYTES_MAX (64u << 20) /* candidates take 40 bytes per byte of text, and indices stay below 2^32 */

/* Tokens that end a generation in some family, beside the model's own eos and eot. */
static const char *const END_TOKEN[] = {
	"<|im_end|>",    "<|eot_id|>",    "<|eom_id|>",          "<|end|>",
	"<end_of_turn>", "<|endoftext|>", "<|end_of_text|>",     "<|END_OF_TURN_TOKEN|>",
	"<EOT>",         "<|eot|>",       "<|end▁of▁sentence|>", "<｜end▁of▁sentence｜>",
	"<|return|>",
};

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* "<0xE2>" */
static bool decode_byte(char *out, struct text_span t)
{
	int hi, lo;

	if (t.n != 6 || memcmp(t.p, "<0x", 3) || t.p[5] != '>')
		return false;
	hi = hex_digit(t.p[3]);
	lo = hex_digit(t.p[4]);
	*out = (char)(hi << 4 | lo);
	return hi >= 0 && lo >= 0;
}

/* Token i as it appears in text. One that no rule decodes is its own text. Returns its length. */
static uint32_t decode(struct vocab *v, char *out, struct text_span t, uint32_t id)
{
	ssize_t n;

	if (v->type[id] == TOKEN_BYTE && decode_byte(out, t))
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
	v->score = v->kind->is_scored ? calloc(src->n_token, sizeof(float)) : NULL;
	if (!at || !v->token || !v->type || !v->is_end || !v->whole || (v->kind->is_scored && !v->score))
		return -ENOMEM;
	for (uint32_t i = 0; i < src->n_token; i++) {
		int32_t type = src->type ? src->type[i] : TOKEN_NORMAL;

		v->type[i] = type >= TOKEN_NORMAL && type <= TOKEN_BYTE ? (uint8_t)type : TOKEN_NORMAL;
		v->token[i] = (struct text_span){ at, decode(v, at, src->token[i], i) };
		at += v->token[i].n;
		if (v->score)
			v->score[i] =
				src->score[i] == src->score[i] ? src->score[i] : 0; /* a NaN has no place in an order */
	}
	return 0;
}

static void mark_ends(struct vocab *v, const struct vocab_source *src)
{
	if (src->eos >= 0)
		v->is_end[src->eos] = true;
	if (src->eot >= 0)
		v->is_end[src->eot] = true;
	for (uint32_t i = 0; i < v->n_added; i++)
		for (size_t k = 0; k < sizeof(END_TOKEN) / sizeof(END_TOKEN[0]); k++) {
			struct text_span t = v->token[v->added[i]];

			if (t.n == strlen(END_TOKEN[k]) && !memcmp(t.p, END_TOKEN[k], t.n))
				v->is_end[v->added[i]] = true;
		}
}

static int check(const struct vocab_source *src, char *err, size_t err_len)
{
	const int32_t special[] = { src->bos, src->eos, src->eot, src->unk, src->pad };
	const struct tokenizer *kind = tokenizer_find(src->model);
	char names[256];

	if (!kind)
		return snprintf(err, err_len,
				"tokenizer \"%s\" is not supported: use a model whose tokenizer.ggml.model is %s",
				src->model ? src->model : "(none)", tokenizer_names(names, sizeof(names))),
		       -EINVAL;
	if (!src->n_token || src->n_token > INT32_MAX / 4 || !src->token || (kind->is_scored && !src->score) ||
	    src->n_merge > INT32_MAX / 4)
		return snprintf(err, err_len, "the vocabulary is empty or lacks its scores: convert the model again"),
		       -EINVAL;
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (special[i] < -1 || special[i] >= (int64_t)src->n_token)
			return snprintf(err, err_len,
					"special token id %d is outside the vocabulary of %u: convert the model again",
					special[i], src->n_token),
			       -EINVAL;
	return 0;
}

static int fill(struct vocab *v, const struct vocab_source *src, char *err, size_t err_len)
{
	int r = copy_tokens(v, src);

	if (r || (r = vocab_index(v)) || (r = added_index(v)))
		return r;
	mark_ends(v, src);
	v->chat = chat_recognise(src->chat_template);
	return v->kind->init ? v->kind->init(v, src, err, err_len) : 0;
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
	v->kind = tokenizer_find(src->model);
	v->n_token = src->n_token;
	v->bos = src->bos;
	v->eos = src->eos;
	v->unk = src->unk;
	v->add_bos = src->add_bos && src->bos >= 0;
	v->add_eos = src->add_eos && src->eos >= 0;
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
	free(v->arena);
	free(v->token);
	free(v->type);
	free(v->score);
	free(v->is_end);
	free(v->whole);
	free(v->slot);
	free(v->merge);
	free(v->added);
	free(v);
	return NULL;
}

struct vocab_scratch *vocab_scratch_new(size_t max_bytes)
{
	struct vocab_scratch *s = max_bytes < SCRATCH_BYTES_MAX ? calloc(1, sizeof(*s)) : NULL;

	if (!s)
		return NULL;
	s->max_bytes = max_bytes;
	s->symbol = malloc((max_bytes + 1) * sizeof(*s->symbol));
	s->heap = malloc(2 * (max_bytes + 1) * sizeof(*s->heap));
	s->text = malloc(max_bytes + 1);
	if (!s->symbol || !s->heap || !s->text || pre_scratch_init(&s->pre))
		return vocab_scratch_free(s);
	return s;
}

void vocab_scratch_wipe(struct vocab_scratch *s)
{
	explicit_bzero(s->symbol, s->n_used * sizeof(*s->symbol));
	explicit_bzero(s->heap, 2 * s->n_used * sizeof(*s->heap));
	explicit_bzero(s->text, s->n_used);
	s->n_used = 0;
}

struct vocab_scratch *vocab_scratch_free(struct vocab_scratch *s)
{
	if (!s)
		return NULL;
	pre_scratch_deinit(&s->pre);
	free(s->symbol);
	free(s->heap);
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

uint32_t vocab_size(const struct vocab *v)
{
	return v->n_token;
}

int32_t vocab_bos(const struct vocab *v)
{
	return v->bos;
}

int32_t vocab_eos(const struct vocab *v)
{
	return v->eos;
}

bool vocab_is_end(const struct vocab *v, uint32_t id)
{
	return id < v->n_token && v->is_end[id];
}
