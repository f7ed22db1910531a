/*
 * Unigram, SentencePiece's first model (T5, XLM-R): of all ways to cut a text into tokens the one whose scores sum up
 * highest. Before, the text is rewritten by the file's character map, white space is collapsed if the file says so, and a
 * space is put in front. The path is found left to right: for each place the best last token that ends there.
 *
 * A character that no token spells is an unknown token, of ten less than the lowest score; several in a row are one. Where
 * the vocabulary has a token for each byte, they become those instead, as in SentencePiece.
 */
#include "daemon/util/utf8.h"
#include "daemon/text/vocab.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

#define UNKNOWN_PENALTY 10.0f
/* In place of a token: an unknown character, its length in the low bits. */
#define UNKNOWN 0xfffffff0u

static const char REPLACEMENT[] = "\xef\xbf\xbd";

/* The text as it is rewritten. */
struct normal {
	char *p;
	uint32_t n;
	bool collapse;
	bool gap; /* a space comes before the next character */
};

/* Appends a character's replacement. U+2581 reads as a space and does not collapse. */
static void put_normal(struct normal *out, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool mark = n - i >= SPELL_SPACE_LEN && !memcmp(p + i, SPELL_SPACE, SPELL_SPACE_LEN);

		if (p[i] == ' ' && out->collapse) {
			out->gap = out->gap || out->n;
			continue;
		}
		if (out->gap)
			out->p[out->n++] = ' ';
		out->gap = false;
		out->p[out->n++] = mark ? ' ' : p[i];
		i += mark ? SPELL_SPACE_LEN - 1 : 0;
	}
}

static uint32_t normalize(const struct vocab *v, char *to, const char *p, size_t n)
{
	struct normal out = { .p = to, .collapse = v->collapse_space };

	if (v->add_space_prefix && out.collapse)
		out.gap = true;
	else if (v->add_space_prefix)
		out.p[out.n++] = ' ';
	for (size_t at = 0, len; at < n; at += len) {
		struct text_span t;

		len = charsmap_match(&v->charsmap, p + at, n - at, &t);
		if (!len) {
			len = utf8_char_len(p + at, n - at);
			t = len ? (struct text_span){ p + at, (uint32_t)len } : (struct text_span){ REPLACEMENT, 3 };
			len = len ? len : 1;
		}
		put_normal(&out, t.p, t.n);
	}
	return out.n;
}

struct lattice {
	const struct vocab *v;
	const char *p; /* [n] */
	uint32_t n;
	uint32_t *last; /* [n + 1] the last token of the best path to a place */
	double *best;   /* [SCRATCH_RING] its score; only places that a token can reach from here are kept */
};

static void offer(struct lattice *l, uint32_t to, uint32_t id, double score)
{
	double *best = &l->best[to % SCRATCH_RING];

	if (score > *best) {
		*best = score;
		l->last[to] = id;
	}
}

/* All tokens that begin with the character at `at`. Returns the character's length. */
static uint32_t step(struct lattice *l, uint32_t at)
{
	const struct vocab *v = l->v;
	double here = l->best[at % SCRATCH_RING];
	uint32_t len = (uint32_t)utf8_char_len(l->p + at, l->n - at), node = 0;
	bool spelled = false;

	len = len ? len : 1;
	for (uint32_t i = at; i < l->n && (node = trie_step(&v->trie, node, l->p[i])); i++) {
		uint32_t id = v->trie.id[node];

		if (id == TOKEN_NONE)
			continue;
		offer(l, i + 1, id, here + (v->type[id] == TOKEN_USER ? 0 : (double)v->score[id]));
		spelled = spelled || i + 1 - at == len;
	}
	if (!spelled)
		offer(l, at + len, UNKNOWN + len, here + (double)v->unknown_score);
	for (uint32_t i = at; i < at + len; i++)
		l->best[i % SCRATCH_RING] = -DBL_MAX;
	return len;
}

static uint32_t length(const struct lattice *l, uint32_t id)
{
	return id > UNKNOWN ? id - UNKNOWN : l->v->token[id].n;
}

/* Turns the path round: last[] then is the token that begins at a place. */
static void turn(struct lattice *l)
{
	uint32_t id = l->last[l->n];

	for (uint32_t at = l->n; at;) {
		uint32_t before;

		at -= length(l, id);
		before = l->last[at];
		l->last[at] = id;
		id = before;
	}
}

static int put_path(const struct lattice *l, struct token_out *o)
{
	bool was_unknown = false;
	int r = 0;

	for (uint32_t at = 0, len; !r && at < l->n; at += len) {
		uint32_t id = l->last[at];
		bool unknown = id > UNKNOWN;

		len = length(l, id);
		if (!unknown)
			r = token_out_put(o, id);
		else if (l->v->has_bytes)
			for (uint32_t i = 0; !r && i < len; i++)
				r = token_out_put(o, l->v->byte_id[(unsigned char)l->p[at + i]]);
		else if (!was_unknown)
			r = token_out_put(o, (uint32_t)l->v->unk);
		was_unknown = unknown;
	}
	return r;
}

/* Every piece between added tokens begins with a space, so lead is not asked. */
static int unigram_text(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, bool lead,
			struct token_out *o)
{
	struct lattice l = { .v = v, .last = scratch_path(s), .best = s->ring.score };
	char *to = scratch_normal(s);

	(void)lead;
	l.n = normalize(v, to, p, n);
	s->n_place = l.n + 1 > s->n_place ? l.n + 1 : s->n_place;
	l.p = to;
	for (uint32_t i = 0; i < SCRATCH_RING && i <= l.n; i++)
		l.best[i] = -DBL_MAX;
	l.best[0] = 0;
	for (uint32_t at = 0; at < l.n;)
		at += step(&l, at);
	turn(&l);
	return put_path(&l, o);
}

/* Infinite scores would make a path that none can beat, or none at all. */
static void bound_scores(struct vocab *v)
{
	float lowest = FLT_MAX;

	for (uint32_t i = 0; i < v->n_token; i++) {
		v->score[i] = v->score[i] > FLT_MAX ? FLT_MAX : v->score[i] < -FLT_MAX ? -FLT_MAX : v->score[i];
		if (v->type[i] == TOKEN_NORMAL && v->score[i] < lowest)
			lowest = v->score[i];
	}
	v->unknown_score = lowest - UNKNOWN_PENALTY;
}

static int unigram_init(struct vocab *v, const struct vocab_source *src, char *err, size_t err_len)
{
	int r;

	v->collapse_space = src->collapse_space;
	v->has_bytes = true;
	for (int b = 0; b < 256; b++)
		v->has_bytes = v->has_bytes && v->byte_id[b] != TOKEN_NONE;
	bound_scores(v);
	if (v->unk < 0 && !v->has_bytes)
		return snprintf(err, err_len,
				"the vocabulary has neither an unknown token nor one for each byte: set "
				"tokenizer.ggml.unknown_token_id"),
		       -EINVAL;
	if (v->token_len_max >= SCRATCH_RING)
		return snprintf(err, err_len, "a token of %u bytes is too long (at most %u): convert the model again",
				v->token_len_max, SCRATCH_RING - 1),
		       -EINVAL;
	r = charsmap_init(&v->charsmap, src->charsmap.p, src->charsmap.n);
	if (r == -EINVAL)
		snprintf(err, err_len, "tokenizer.ggml.precompiled_charsmap is malformed: convert the model again");
	return r ? r : trie_init(&v->trie, v, v->kind->indexed);
}

const struct tokenizer tokenizer_unigram = {
	.model = "t5",
	.defaults = { .add_eos = true, .bos = -1, .eos = 1, .unk = 2, .pad = 0 },
	.indexed = 1u << TOKEN_NORMAL | 1u << TOKEN_USER | 1u << TOKEN_UNUSED,
	.byte_type = TOKEN_BYTE,
	.is_scored = true,
	.leads = true,
	.spell = spell_space,
	.init = unigram_init,
	.text = unigram_text,
};
