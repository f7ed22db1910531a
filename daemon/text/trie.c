#include "daemon/text/trie.h"

#include "daemon/text/vocab.h"

#include <stdlib.h>
#include <string.h>

/* The tokens sorted by bytes; those below a node are a range of them. */
struct builder {
	const struct vocab *v;
	uint32_t *order; /* [n] */
	uint32_t n;
	uint32_t *from, *to; /* [n_node] the range below a node */
};

static int compare_tokens(const void *a, const void *b, void *arg)
{
	const struct vocab *v = arg;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	struct text_span x = v->token[i], y = v->token[k];
	int d = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);

	return d ? d : x.n != y.n ? (x.n < y.n ? -1 : 1) : i < k ? -1 : i > k;
}

static int collect(struct builder *b, uint32_t types)
{
	b->order = malloc(((size_t)b->v->n_token + 1) * sizeof(*b->order));
	if (!b->order)
		return -ENOMEM;
	for (uint32_t id = 0; id < b->v->n_token; id++)
		if (b->v->token[id].n && (types >> b->v->type[id] & 1))
			b->order[b->n++] = id;
	qsort_r(b->order, b->n, sizeof(*b->order), compare_tokens, (void *)b->v);
	return 0;
}

/* Each token adds a node for every byte that it does not share with the one before it. */
static uint32_t count_nodes(const struct builder *b)
{
	uint32_t n = 1;

	for (uint32_t i = 0; i < b->n; i++) {
		struct text_span t = b->v->token[b->order[i]], prev = { "", 0 };
		uint32_t same = 0;

		if (i)
			prev = b->v->token[b->order[i - 1]];
		while (same < t.n && same < prev.n && t.p[same] == prev.p[same])
			same++;
		n += t.n - same;
	}
	return n;
}

/* The children of a node at this depth, as the next nodes. Returns how many nodes there are then. */
static uint32_t expand(struct trie *t, struct builder *b, uint32_t node, uint32_t depth, uint32_t n)
{
	uint32_t i = b->from[node], to = b->to[node];

	t->id[node] = TOKEN_NONE;
	for (; i < to && b->v->token[b->order[i]].n == depth; i++)
		t->id[node] = b->order[i];
	t->first[node] = n;
	while (i < to) {
		char c = b->v->token[b->order[i]].p[depth];

		t->label[n] = (uint8_t)c;
		b->from[n] = i;
		while (i < to && b->v->token[b->order[i]].p[depth] == c)
			i++;
		b->to[n++] = i;
	}
	return n;
}

static void build(struct trie *t, struct builder *b)
{
	uint32_t n = 1;

	t->label[0] = 0;
	b->from[0] = 0;
	b->to[0] = b->n;
	for (uint32_t node = 0, level_end = 1, depth = 0; node < t->n_node; node++) {
		if (node == level_end) {
			level_end = n;
			depth++;
		}
		n = expand(t, b, node, depth, n);
	}
	t->first[t->n_node] = n;
}

int trie_init(struct trie *t, const struct vocab *v, uint32_t types)
{
	struct builder b = { .v = v };
	int r = collect(&b, types);

	if (!r) {
		t->n_node = count_nodes(&b);
		t->first = malloc(((size_t)t->n_node + 1) * sizeof(*t->first));
		t->id = malloc(t->n_node * sizeof(*t->id));
		t->label = malloc(t->n_node);
		b.from = malloc(t->n_node * sizeof(*b.from));
		b.to = malloc(t->n_node * sizeof(*b.to));
		r = t->first && t->id && t->label && b.from && b.to ? 0 : -ENOMEM;
	}
	if (!r)
		build(t, &b);
	free(b.order);
	free(b.from);
	free(b.to);
	return r;
}

void trie_deinit(struct trie *t)
{
	free(t->first);
	free(t->id);
	free(t->label);
}
