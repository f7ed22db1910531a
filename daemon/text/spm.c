/*
 * SPM: characters merge into the neighbour with which they make the token of the highest score, the leftmost of equals.
 * A character that is no token becomes its bytes' tokens. Words are merged one by one where no token reaches over the space
 * between two: the same tokens, from heaps that stay in the cache.
 */
#include "daemon/util/utf8.h"
#include "daemon/text/vocab.h"

#include <string.h>

static void offer(const struct vocab *v, struct vocab_scratch *s, uint32_t left)
{
	const struct symbol *l = &s->symbol[left];
	uint32_t len, id;

	if (l->next == TOKEN_NONE)
		return;
	len = l->len + s->symbol[l->next].len;
	if (len > v->token_len_max)
		return;
	id = vocab_find(v, s->text + l->off, len);
	if (id != TOKEN_NONE)
		heap_push(s, (struct candidate){ .score = v->score[id], .left = left, .id = id, .len = len });
}

static void merge(const struct vocab *v, struct vocab_scratch *s, const struct candidate *c)
{
	struct symbol *l = &s->symbol[c->left], *r;

	if (!l->len || l->next == TOKEN_NONE || l->len + s->symbol[l->next].len != c->len)
		return;
	r = &s->symbol[l->next];
	l->len += r->len;
	l->next = r->next;
	r->len = 0;
	if (l->next != TOKEN_NONE)
		s->symbol[l->next].prev = c->left;
	if (l->prev != TOKEN_NONE)
		offer(v, s, l->prev);
	offer(v, s, c->left);
}

static bool has_bytes(const struct vocab *v, const char *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (v->byte_id[(unsigned char)p[i]] == TOKEN_NONE)
			return false;
	return true;
}

/*
 * A merged symbol, or a character by its bytes; the unknown token for one that has not all of them, once for several in a row.
 */
static int put(const struct vocab *v, const char *p, uint32_t n, bool *was_unknown, struct token_out *o)
{
	uint32_t id = vocab_find(v, p, n);
	bool is_unknown = id == TOKEN_NONE && !has_bytes(v, p, n), repeats = is_unknown && *was_unknown;
	int r = 0;

	*was_unknown = is_unknown;
	if (is_unknown)
		return v->unk < 0 || repeats ? 0 : token_out_put(o, (uint32_t)v->unk);
	if (id != TOKEN_NONE)
		return token_out_put(o, id);
	for (uint32_t i = 0; !r && i < n; i++)
		r = token_out_put(o, v->byte_id[(unsigned char)p[i]]);
	return r;
}

/* Symbols of text[at, end): at least one. */
static uint32_t split_chars(struct vocab_scratch *s, uint32_t at, uint32_t end)
{
	uint32_t k = 0;

	for (; at < end; k++) {
		size_t len = utf8_char_len(s->text + at, end - at);

		s->symbol[k] =
			(struct symbol){ .prev = k - 1, .next = k + 1, .off = at, .len = len ? (uint32_t)len : 1 };
		at += s->symbol[k].len;
	}
	s->symbol[k - 1].next = TOKEN_NONE;
	return k;
}

uint32_t spm_stretch_end(const struct vocab *v, const char *text, uint32_t at, uint32_t n)
{
	if (v->spans_words)
		return n;
	for (at++; at < n && !(text[at] == ' ' && text[at - 1] != ' ');)
		at++;
	return at;
}

static int put_stretch(const struct vocab *v, struct vocab_scratch *s, uint32_t at, uint32_t end, bool *was_unknown,
		       struct token_out *o)
{
	uint32_t n_char = split_chars(s, at, end);
	int r = 0;

	s->n_heap = 0;
	for (uint32_t i = 0; i < n_char; i++)
		offer(v, s, i);
	while (s->n_heap) {
		struct candidate c = heap_pop(s);

		merge(v, s, &c);
	}
	for (uint32_t i = 0; !r && i != TOKEN_NONE; i = s->symbol[i].next)
		r = put(v, s->text + s->symbol[i].off, s->symbol[i].len, was_unknown, o);
	return r;
}

static int spm_text(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, bool lead,
		    struct token_out *o)
{
	uint32_t all = (uint32_t)(n + lead);
	bool was_unknown = false;
	int r = 0;

	s->n_used = all > s->n_used ? all : s->n_used;
	s->text[0] = ' ';
	memcpy(s->text + lead, p, n);
	for (uint32_t at = 0, end; at < all && !r; at = end) {
		end = spm_stretch_end(v, s->text, at, all);
		r = put_stretch(v, s, at, end, &was_unknown, o);
	}
	return r;
}

const struct tokenizer tokenizer_spm = {
	.model = "llama",
	.defaults = { .add_bos = true, .add_space_prefix = true, .bos = 1, .eos = 2, .unk = 0, .pad = -1 },
	.indexed = 1u << TOKEN_NORMAL | 1u << TOKEN_USER,
	.byte_type = TOKEN_BYTE,
	.is_scored = true,
	.leads = true,
	.spell = spell_space,
	.text = spm_text,
};
