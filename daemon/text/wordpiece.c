/*
 * WordPiece, as BERT was trained with it. A text is cleaned of control characters, decomposed, freed of its accents and put
 * into lower case; white space and punctuation part words, a Chinese character is one. A word then is the longest token
 * that begins it, and so on; one that no tokens spell is the unknown token, whole. Words begin with a space in the file's
 * spelling, the pieces that go on with a word do not.
 *
 * It is as BERT's own and Hugging Face's, unlike llama.cpp's: decompositions keep all their characters (llama.cpp keeps only the
 * first, so that Korean loses its vowels), of the marks only those without width go, and a word of more than a hundred
 * characters is unknown.
 */
#include "daemon/text/unicode.h"
#include "daemon/util/utf8.h"
#include "daemon/text/vocab.h"

#include <stdio.h>

#define WORD_MAX 100u /* characters, BERT's own limit */

struct word {
	const struct vocab *v;
	struct token_out *o;
	uint32_t n;   /* characters; WORD_MAX + 1: too long */
	uint32_t run; /* the first after the last starter: from here on canonical order may still move characters */
	uint32_t c[WORD_MAX];
	uint8_t combining[WORD_MAX];
};

/* Longest token first. Returns how many, 0 if something is left that no token begins. */
static uint32_t pieces(const struct vocab *v, const char *p, uint32_t n, uint32_t *id)
{
	uint32_t k = 0, end;

	for (uint32_t at = 0; at < n; at = end) {
		uint32_t node = 0;

		end = at;
		for (uint32_t i = at; i < n && (node = trie_step(&v->trie, node, p[i])); i++)
			if (v->trie.id[node] != TOKEN_NONE) {
				id[k] = v->trie.id[node];
				end = i + 1;
			}
		if (end == at)
			return 0;
		k++;
	}
	return k;
}

static int end_word(struct word *w)
{
	char text[1 + WORD_MAX * 4] = " ";
	uint32_t id[sizeof(text)], n = 1, n_id = 0;
	int r = 0;

	if (!w->n)
		return 0;
	if (w->n <= WORD_MAX) {
		for (uint32_t i = 0; i < w->n; i++)
			n += (uint32_t)utf8_encode(text + n, w->c[i]);
		n_id = pieces(w->v, text, n, id);
	}
	w->n = w->run = 0;
	if (!n_id)
		return token_out_put(w->o, (uint32_t)w->v->unk);
	for (uint32_t i = 0; !r && i < n_id; i++)
		r = token_out_put(w->o, id[i]);
	return r;
}

static void add_char(struct word *w, uint32_t c, uint8_t combining)
{
	uint32_t i = w->n;

	if (w->n >= WORD_MAX) {
		w->n = WORD_MAX + 1;
		return;
	}
	for (; combining && i > w->run && w->combining[i - 1] > combining; i--) {
		w->c[i] = w->c[i - 1];
		w->combining[i] = w->combining[i - 1];
	}
	w->c[i] = c;
	w->combining[i] = combining;
	w->n++;
	if (!combining)
		w->run = w->n;
}

static bool is_punct(uint32_t c)
{
	if (c < 0x80)
		return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
		       (c >= '{' && c <= '~');
	return unicode_kind(c) == UNICODE_PUNCT;
}

static bool is_chinese(uint32_t c)
{
	return c >= 0x3400 && ((c <= 0x4dbf) || (c >= 0x4e00 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
			       (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b81f) ||
			       (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0x2f800 && c <= 0x2fa1f));
}

/* c is cleaned, and decomposed where accents go; combining 0: it stays where it is. */
static int put_char(struct word *w, uint32_t c, uint8_t combining)
{
	int r;

	if (w->v->lowercase) {
		if (c == 0x130) /* the only one whose lower case is two characters */
			add_char(w, 'i', 0), c = 0x307;
		else
			c = c < 0x80 ? (c >= 'A' && c <= 'Z' ? c + 32 : c) : unicode_lower(c);
	}
	if (!is_punct(c)) {
		add_char(w, c, combining);
		return 0;
	}
	if ((r = end_word(w)))
		return r;
	add_char(w, c, 0);
	return end_word(w);
}

static int put_decomposed(struct word *w, uint32_t c)
{
	uint32_t d[UNICODE_DECOMPOSED_MAX];
	int r = 0, n = unicode_decompose(c, d);

	for (int i = 0; !r && i < n; i++) {
		if (d[i] < 0x300 || unicode_kind(d[i]) != UNICODE_ACCENT)
			r = put_char(w, d[i], d[i] < 0x300 ? 0 : unicode_combining(d[i]));
		else if (!unicode_combining(d[i]))
			w->run = w->n;
	}
	return r;
}

static int put_unicode(struct word *w, uint32_t c)
{
	enum unicode_kind kind = unicode_kind(c);
	bool chinese = is_chinese(c);
	int r;

	if (c == 0xfffd || kind == UNICODE_CONTROL)
		return 0;
	if (kind == UNICODE_SPACE)
		return end_word(w);
	if (chinese && (r = end_word(w)))
		return r;
	r = w->v->strip_accents ? put_decomposed(w, c) : put_char(w, c, 0);
	return r || !chinese ? r : end_word(w);
}

static int put_ascii(struct word *w, unsigned char c)
{
	if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
		return end_word(w);
	return c < ' ' || c == 0x7f ? 0 : put_char(w, c, 0);
}

/* Bytes that form no character are left out, as U+FFFD is. */
static int wordpiece_text(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, bool lead,
			  struct token_out *o)
{
	struct word w = { .v = v, .o = o };
	int r = 0;

	(void)s;
	(void)lead;
	for (size_t at = 0, len; !r && at < n; at += len ? len : 1) {
		len = utf8_char_len(p + at, n - at);
		if (len == 1)
			r = put_ascii(&w, (unsigned char)p[at]);
		else if (len)
			r = put_unicode(&w, utf8_decode(p + at, len));
	}
	return r ? r : end_word(&w);
}

static int wordpiece_init(struct vocab *v, const struct vocab_source *src, char *err, size_t err_len)
{
	v->lowercase = src->lowercase;
	v->strip_accents = src->strip_accents;
	if (v->unk < 0 || v->bos < 0 || v->eos < 0)
		return snprintf(err, err_len,
				"the vocabulary lacks [UNK], [CLS] or [SEP]: set tokenizer.ggml.unknown_token_id, "
				"cls_token_id and seperator_token_id"),
		       -EINVAL;
	return trie_init(&v->trie, v, v->kind->indexed);
}

const struct tokenizer tokenizer_wordpiece = {
	.model = "bert",
	.defaults = { .add_bos = true, .add_eos = true, .cls_sep = true, .bos = 101, .eos = 102, .unk = 100, .pad = 0 },
	.indexed = 1u << TOKEN_NORMAL | 1u << TOKEN_USER | 1u << TOKEN_UNUSED,
	.byte_type = TOKEN_BYTE,
	.spell = spell_space,
	.init = wordpiece_init,
	.text = wordpiece_text,
};
