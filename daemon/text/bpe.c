/* Byte-level BPE of one piece: the pair of lowest rank merges first, the leftmost of equals, until no pair merges. */
#include "daemon/text/vocab.h"

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

int bpe_piece(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, struct token_out *o)
{
	uint32_t id = n <= v->token_len_max ? vocab_find(v, p, n) : TOKEN_NONE;

	if (id != TOKEN_NONE && (v->pre.ignore_merges || v->whole[id]))
		return token_out_put(o, id);
	return bpe_merge(v, s, p, n, o);
}

int bpe_merge(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, struct token_out *o)
{
	int r = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t id = v->byte_id[(unsigned char)p[i]];

		/* Not the unknown token: SmolLM2's is <|endoftext|>, and the byte would be lost. */
		if (id == TOKEN_NONE)
			return -EINVAL;
		s->symbol[i] =
			(struct symbol){ .prev = i - 1, .next = i + 1 < n ? i + 1 : TOKEN_NONE, .id = id, .len = 1 };
	}
	s->n_heap = 0;
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
