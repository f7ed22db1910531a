/*
 * PLaMo 2: of all ways to cut a text into tokens the one whose scores sum up highest, in units of 1e-4, found from the end.
 * Its own code walks a table of suffixes to list the tokens that begin at a place; a trie lists the same. Of equal sums the
 * longer first token counts. A character that no better path covers becomes the tokens of its bytes.
 *
 * Unlike llama.cpp, as PLaMo's own: a U+FEFF at the front stays. Bytes that form no character become their own tokens.
 */
#include "daemon/util/utf8.h"
#include "daemon/text/vocab.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define UNIT           1e4
#define WEIGHT_UNKNOWN -10000000
#define WEIGHT_NEVER   -20000000  /* a token at or below it is not used */
#define WEIGHT_MAX     1000000000 /* times the 2^26 bytes of the longest text it stays inside 63 bits */
#define NO_CHARACTER   INT64_MIN

struct tail {
	const struct vocab *v;
	const char *p; /* [n] */
	uint32_t n;
	uint32_t *first; /* [n] the token that begins the best path from a place; TOKEN_NONE: a character's bytes */
	int64_t *best;   /* [SCRATCH_RING] the weight of that path; NO_CHARACTER: none begins here */
};

/* first[] then is the length of the character that begins at a place, 0 inside of one. */
static void mark_characters(struct tail *t)
{
	for (uint32_t at = 0, len; at < t->n; at += len) {
		len = (uint32_t)utf8_char_len(t->p + at, t->n - at);
		len = len ? len : 1;
		t->first[at] = len;
		for (uint32_t i = 1; i < len; i++)
			t->first[at + i] = 0;
	}
}

static void step(struct tail *t, uint32_t at)
{
	const struct trie *trie = &t->v->trie;
	int64_t best = NO_CHARACTER;
	uint32_t node = 0, len = t->first[at];

	if (len) {
		best = t->best[(at + len) % SCRATCH_RING] + WEIGHT_UNKNOWN;
		t->first[at] = TOKEN_NONE;
	}
	for (uint32_t i = at; len && i < t->n && (node = trie_step(trie, node, t->p[i])); i++) {
		uint32_t id = trie->id[node];
		int64_t rest = t->best[(i + 1) % SCRATCH_RING];

		if (id == TOKEN_NONE || rest == NO_CHARACTER || t->v->weight[id] <= WEIGHT_NEVER ||
		    rest + t->v->weight[id] < best)
			continue;
		best = rest + t->v->weight[id];
		t->first[at] = id;
	}
	t->best[at % SCRATCH_RING] = best;
}

static int put_path(const struct tail *t, struct token_out *o)
{
	int r = 0;

	for (uint32_t at = 0, len; !r && at < t->n; at += len) {
		if (t->first[at] != TOKEN_NONE) {
			len = t->v->token[t->first[at]].n;
			r = token_out_put(o, t->first[at]);
			continue;
		}
		len = (uint32_t)utf8_char_len(t->p + at, t->n - at);
		len = len ? len : 1;
		for (uint32_t i = at; !r && i < at + len; i++)
			r = token_out_put(o, t->v->byte_id[(unsigned char)t->p[i]]);
	}
	return r;
}

static int plamo_text(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, bool lead,
		      struct token_out *o)
{
	struct tail t = { .v = v, .p = p, .n = (uint32_t)n, .first = scratch_path(s), .best = s->ring.weight };

	(void)lead;
	s->n_place = n > s->n_place ? n : s->n_place;
	mark_characters(&t);
	t.best[t.n % SCRATCH_RING] = 0;
	for (uint32_t at = t.n; at--;)
		step(&t, at);
	return put_path(&t, o);
}

static int32_t weight_of(float score)
{
	double w = round((double)score * UNIT);

	return w <= WEIGHT_NEVER ? WEIGHT_NEVER : w >= WEIGHT_MAX ? WEIGHT_MAX : (int32_t)w;
}

static int plamo_init(struct vocab *v, const struct vocab_source *src, char *err, size_t err_len)
{
	(void)src;
	for (int b = 0; b < 256; b++)
		if (v->byte_id[b] == TOKEN_NONE)
			return snprintf(err, err_len,
					"the vocabulary lacks a token for byte 0x%02x: convert the model again", b),
			       -EINVAL;
	if (v->token_len_max >= SCRATCH_RING)
		return snprintf(err, err_len, "a token of %u bytes is too long (at most %u): convert the model again",
				v->token_len_max, SCRATCH_RING - 1),
		       -EINVAL;
	v->weight = malloc(v->n_token * sizeof(*v->weight));
	if (!v->weight)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->n_token; i++)
		v->weight[i] = weight_of(v->score[i]);
	return trie_init(&v->trie, v, v->kind->indexed);
}

const struct tokenizer tokenizer_plamo = {
	.model = "plamo2",
	.defaults = { .bos = 1, .eos = 2, .unk = 0, .pad = 3 },
	.indexed = 1u << TOKEN_NORMAL | 1u << TOKEN_USER,
	.byte_type = TOKEN_BYTE,
	.is_scored = true,
	.spell = spell_plain,
	.init = plamo_init,
	.text = plamo_text,
};
