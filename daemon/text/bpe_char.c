/*
 * BPE over characters, with U+2581 for spaces and a token a byte for characters that have none: SentencePiece's texts with
 * merges by rank (Gemma 4, Sarvam); or over words between white space, in lower case (Jina's for Chinese). Where no token
 * reaches over the space between two words they merge one by one, which changes nothing and stays in the cache.
 */
#include "daemon/text/unicode.h"
#include "daemon/util/utf8.h"
#include "daemon/text/vocab.h"

static int put_piece(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, struct token_out *o)
{
	uint32_t id = n <= v->token_len_max && !v->lowercase ? vocab_find(v, p, n) : TOKEN_NONE;

	if (id != TOKEN_NONE && v->whole[id])
		return token_out_put(o, id);
	return bpe_merge(v, s, p, n, o);
}

static int put_line(const struct vocab *v, struct vocab_scratch *s, const char *p, uint32_t n, struct token_out *o)
{
	int r = 0;

	for (uint32_t at = 0, end; !r && at < n; at = end) {
		end = spm_stretch_end(v, p, at, n);
		r = put_piece(v, s, p + at, end - at, o);
	}
	return r;
}

/* Lines and the newlines between them are apart; Gemma takes newlines that are a token as that, whatever the merges say. */
static int put_lines(const struct vocab *v, struct vocab_scratch *s, const char *p, uint32_t n, bool newlines_whole,
		     struct token_out *o)
{
	int r = 0;

	for (uint32_t at = 0, end; !r && at < n; at = end) {
		uint32_t id = TOKEN_NONE;

		for (end = at + 1; end < n && (p[end] == '\n') == (p[at] == '\n');)
			end++;
		if (newlines_whole && p[at] == '\n' && end - at <= v->token_len_max)
			id = vocab_find(v, p + at, end - at);
		r = id != TOKEN_NONE ? token_out_put(o, id) : put_line(v, s, p + at, end - at, o);
	}
	return r;
}

static int gemma_text(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, bool lead,
		      struct token_out *o)
{
	(void)lead;
	return put_lines(v, s, p, (uint32_t)n, true, o);
}

static int sarvam_text(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, bool lead,
		       struct token_out *o)
{
	(void)lead;
	return put_lines(v, s, p, (uint32_t)n, false, o);
}

static bool is_white(const char *p, size_t len)
{
	uint32_t c = utf8_decode(p, len);

	return (c >= '\t' && c <= '\r') || c == ' ' || c == 0x85 || (c > 0x85 && unicode_kind(c) == UNICODE_SPACE);
}

static int words_text(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, bool lead,
		      struct token_out *o)
{
	size_t begin = 0;
	int r = 0;

	(void)lead;
	for (size_t at = 0, len; !r && at < n; at += len) {
		len = utf8_char_len(p + at, n - at);
		if (!len || !is_white(p + at, len)) {
			len = len ? len : 1;
			continue;
		}
		if (at > begin)
			r = put_piece(v, s, p + begin, at - begin, o);
		begin = at + len;
	}
	return r || begin == n ? r : put_piece(v, s, p + begin, n - begin, o);
}

static int words_init(struct vocab *v, const struct vocab_source *src, char *err, size_t err_len)
{
	v->lowercase = src->lowercase;
	return bpe_init_merges(v, src, err, err_len);
}

/* Files that say they want no bos are mistaken, and llama.cpp puts it all the same. */
static int gemma_init(struct vocab *v, const struct vocab_source *src, char *err, size_t err_len)
{
	v->add_bos = v->bos >= 0;
	return bpe_init_merges(v, src, err, err_len);
}

const struct tokenizer tokenizer_gemma = {
	.model = "gemma4",
	.pre = " gemma4 granite-embed-multi-311m ",
	.defaults = { .add_bos = true, .bos = -1, .eos = -1, .unk = -1, .pad = -1 },
	.indexed = 1u << TOKEN_NORMAL | 1u << TOKEN_USER,
	.byte_type = TOKEN_BYTE,
	.by_character = true,
	.spell = spell_space,
	.init = gemma_init,
	.text = gemma_text,
};

const struct tokenizer tokenizer_sarvam = {
	.pre = " sarvam-moe ",
	.defaults = { .bos = -1, .eos = -1, .unk = -1, .pad = -1 },
	.indexed = 1u << TOKEN_NORMAL | 1u << TOKEN_USER,
	.byte_type = TOKEN_BYTE,
	.by_character = true,
	.spell = spell_space,
	.init = bpe_init_merges,
	.text = sarvam_text,
};

const struct tokenizer tokenizer_words = {
	.model = "whitespace",
	.pre = " whitespace ",
	.defaults = { .bos = -1, .eos = -1, .unk = -1, .pad = -1 },
	.indexed = 1u << TOKEN_NORMAL | 1u << TOKEN_USER,
	.byte_type = TOKEN_BYTE,
	.by_character = true,
	.spell = spell_plain,
	.init = words_init,
	.text = words_text,
};
