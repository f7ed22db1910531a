/*
 * Byte-level BPE: a text is split into pieces by pattern, and in each the pair of lowest rank merges first, the leftmost of
 * equals, until no pair merges.
 */
#include "daemon/text/nfc.h"
#include "daemon/text/unicode.h"
#include "daemon/util/utf8.h"
#include "daemon/text/vocab.h"

#include <stdio.h>

#define SHORT_MAX 24u /* bytes: nearly all words */

struct run {
	const struct vocab *v;
	struct vocab_scratch *s;
	struct token_out *o;
};

static void offer(const struct vocab *v, struct vocab_scratch *s, uint32_t left)
{
	const struct symbol *l = &s->symbol[left];
	const struct merge_slot *m;

	if (l->next == TOKEN_NONE)
		return;
	m = vocab_find_merge(v, l->id, s->symbol[l->next].id);
	if (m)
		heap_push(s,
			  (struct candidate){
				  .rank = m->rank, .left = left, .id = m->id, .len = l->len + s->symbol[l->next].len });
}

static void merge(const struct vocab *v, struct vocab_scratch *s, const struct candidate *c)
{
	struct symbol *l = &s->symbol[c->left], *r;
	const struct merge_slot *m;

	/* Stale if a neighbour merged since; another pair may span the same bytes, so the pair is looked up again. */
	if (!l->len || l->next == TOKEN_NONE || l->len + s->symbol[l->next].len != c->len)
		return;
	r = &s->symbol[l->next];
	m = vocab_find_merge(v, l->id, r->id);
	if (!m || m->id != c->id)
		return;
	l->len += r->len;
	l->id = c->id;
	l->next = r->next;
	r->len = 0;
	if (l->next != TOKEN_NONE)
		s->symbol[l->next].prev = c->left;
	if (l->prev != TOKEN_NONE)
		offer(v, s, l->prev);
	offer(v, s, c->left);
}

/* The same without a heap: for the few symbols of a word, looking at all pairs each time is faster. */
static int merge_short(const struct vocab *v, uint32_t *id, uint32_t n, struct token_out *o)
{
	const struct merge_slot *pair[SHORT_MAX];
	int r = 0;

	for (uint32_t i = 0; i + 1 < n; i++)
		pair[i] = vocab_find_merge(v, id[i], id[i + 1]);
	while (n > 1) {
		uint32_t best = n - 1;

		for (uint32_t i = 0; i + 1 < n; i++)
			if (pair[i] && (best == n - 1 || pair[i]->rank < pair[best]->rank))
				best = i;
		if (best == n - 1)
			break;
		id[best] = pair[best]->id;
		n--;
		for (uint32_t i = best + 1; i < n; i++) {
			id[i] = id[i + 1];
			pair[i - 1] = pair[i];
		}
		if (best)
			pair[best - 1] = vocab_find_merge(v, id[best - 1], id[best]);
		if (best + 1 < n)
			pair[best] = vocab_find_merge(v, id[best], id[best + 1]);
	}
	for (uint32_t i = 0; i < n && !r; i++)
		r = token_out_put(o, id[i]);
	return r;
}

static int merge_long(const struct vocab *v, struct vocab_scratch *s, uint32_t n, struct token_out *o)
{
	int r = 0;

	s->n_heap = 0;
	s->n_used = n > s->n_used ? n : s->n_used;
	s->symbol[n - 1].next = TOKEN_NONE;
	for (uint32_t i = 0; i + 1 < n; i++)
		offer(v, s, i);
	while (s->n_heap) {
		struct candidate c = heap_pop(s);

		merge(v, s, &c);
	}
	for (uint32_t i = 0; !r && i != TOKEN_NONE; i = s->symbol[i].next)
		r = token_out_put(o, s->symbol[i].id);
	return r;
}

/*
 * The tokens that the symbols at p begin as: a byte's, or where the tokenizer says so a character's, which falls back to its
 * bytes'. Returns how many; *len: the bytes that they take of the n.
 */
static uint32_t first_symbols(const struct vocab *v, const char *p, size_t n, uint32_t *id, size_t *len)
{
	uint32_t k = 0;

	*len = v->kind->by_character ? utf8_char_len(p, n) : 0;
	if (*len && v->lowercase) {
		char low[4];
		size_t n_low = utf8_encode(low, unicode_lower(utf8_decode(p, *len)));

		*id = vocab_find(v, low, n_low);
		return 1;
	}
	if (*len && (*id = vocab_find(v, p, *len)) != TOKEN_NONE)
		return 1;
	for (*len = *len ? *len : 1; k < *len; k++)
		id[k] = v->byte_id[(unsigned char)p[k]];
	return k;
}

/* The token that stands for a byte or a character without one; TOKEN_NONE: it is left out, as the reference does with bytes. */
static uint32_t missing(const struct vocab *v)
{
	return v->kind->by_character && v->unk >= 0 ? (uint32_t)v->unk : TOKEN_NONE;
}

int bpe_merge(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, struct token_out *o)
{
	uint32_t short_id[SHORT_MAX], k = 0;

	for (size_t at = 0, len; at < n; at += len) {
		uint32_t id[4], n_id = first_symbols(v, p + at, n - at, id, &len);

		for (uint32_t i = 0; i < n_id; i++) {
			if (id[i] == TOKEN_NONE)
				id[i] = missing(v);
			if (id[i] == TOKEN_NONE)
				continue;
			if (n <= SHORT_MAX)
				short_id[k] = id[i];
			else
				s->symbol[k] = (struct symbol){ .prev = k - 1, .next = k + 1, .id = id[i], .len = 1 };
			k++;
		}
	}
	if (!k)
		return 0;
	return n <= SHORT_MAX ? merge_short(v, short_id, k, o) : merge_long(v, s, k, o);
}

static int put_piece(const struct run *run, const char *p, size_t n)
{
	const struct vocab *v = run->v;
	uint32_t id = n <= v->token_len_max ? vocab_find(v, p, n) : TOKEN_NONE;

	if (id != TOKEN_NONE && (v->pre.row->ignore_merges || v->whole[id]))
		return token_out_put(run->o, id);
	return bpe_merge(v, run->s, p, n, run->o);
}

static int put_split(void *arg, const char *p, size_t n)
{
	return put_piece(arg, p, n);
}

_Static_assert(VOCAB_GROWTH == NFC_GROWTH, "what callers make room for");

/* *t in form C, as the model was trained on it: in s->text, where that differs. -ENOBUFS: it grows past what the scratch is for. */
static int rewrite(const struct vocab *v, struct vocab_scratch *s, struct text_span *t)
{
	char *grown = s->arena + t->n * (size_t)NFC_ROOM_BYTES;
	size_t n, n_touched = t->n * (size_t)(NFC_ROOM_BYTES + NFC_GROWTH);

	if (!v->pre.is_nfc || nfc_is_plain(t->p, t->n))
		return 0;
	n = nfc_write(grown, t->p, t->n, s->arena);
	if (n <= s->max_bytes) {
		memcpy(s->text, grown, n);
		s->n_used = n > s->n_used ? n : s->n_used;
		*t = (struct text_span){ s->text, (uint32_t)n };
	}
	explicit_bzero(s->arena, n_touched); /* merging is next to use it */
	return n <= s->max_bytes ? 0 : -ENOBUFS;
}

static int put_valid(struct run *run, const char *p, size_t n)
{
	struct text_span t = { p, (uint32_t)n };
	int r = rewrite(run->v, run->s, &t);

	return r ? r : pre_split(&run->v->pre, &run->s->pre, t.p, t.n, put_split, run);
}

/* The patterns need UTF-8, so a stretch of bytes that is none is a piece of its own. */
static int bpe_text(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, bool lead,
		    struct token_out *o)
{
	struct run run = { v, s, o };
	int r = 0;

	(void)lead;
	for (size_t at = 0, end; !r && at < n; at = end) {
		size_t len = utf8_char_len(p + at, n - at);
		bool valid = len > 0;

		for (end = at + (valid ? len : 1); end < n; end += valid ? len : 1) {
			len = utf8_char_len(p + end, n - end);
			if ((len > 0) != valid)
				break;
		}
		r = valid ? put_valid(&run, p + at, end - at) : put_piece(&run, p + at, end - at);
	}
	return r;
}

/* Finds the tokens that need no merging when a piece is exactly one of them: nearly every word of ordinary text. */
static int mark_whole(struct vocab *v)
{
	struct vocab_scratch *s = vocab_scratch_new_merging(v->token_len_max + 1);

	if (!s)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->n_token; i++) {
		uint32_t id = TOKEN_NONE;
		struct token_out o = { &id, 0, 1 };

		if (v->token[i].n && (v->type[i] == TOKEN_NORMAL) && vocab_find(v, v->token[i].p, v->token[i].n) == i)
			v->whole[i] = !bpe_merge(v, s, v->token[i].p, v->token[i].n, &o) && id == i;
	}
	vocab_scratch_free(s);
	return 0;
}

int bpe_init_merges(struct vocab *v, const struct vocab_source *src, char *err, size_t err_len)
{
	int r = vocab_index_merges(v, src->merge, src->n_merge);

	if (r == -EINVAL)
		snprintf(err, err_len, "a merge of the vocabulary is not two tokens: convert the model again");
	return r ? r : mark_whole(v);
}

static int bpe_init(struct vocab *v, const struct vocab_source *src, char *err, size_t err_len)
{
	int r;

	if (!src->merge)
		return snprintf(err, err_len, "the file has no tokenizer.ggml.merges: convert the model again"),
		       -EINVAL;
	r = pre_init(&v->pre, src->pre);
	if (r)
		return snprintf(err, err_len,
				"pre-tokenizer \"%s\" is not known: convert the model again, or set its "
				"tokenizer.ggml.pre to "
				"the name of an equal one (daemon/text/pre_table.c)",
				src->pre),
		       r;
	return bpe_init_merges(v, src, err, err_len);
}

const struct tokenizer tokenizer_bpe = {
	.model = "gpt2",
	.defaults = { .bos = -1, .eos = -1, .unk = -1, .pad = -1 },
	.indexed = 1u << TOKEN_NORMAL | 1u << TOKEN_USER,
	.byte_type = TOKEN_NORMAL,
	.spell = bytemap_decode,
	.init = bpe_init,
	.text = bpe_text,
};
