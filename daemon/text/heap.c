/* The queue of merges that may happen next, best first. One order serves both tokenizers: BPE leaves score 0, SPM rank 0. */
#include "daemon/text/vocab.h"

static bool before(const struct candidate *a, const struct candidate *b)
{
	if (a->score != b->score)
		return a->score > b->score;
	if (a->rank != b->rank)
		return a->rank < b->rank;
	return a->left < b->left;
}

void heap_push(struct vocab_scratch *s, struct candidate c)
{
	uint32_t i = s->n_heap++;

	while (i && before(&c, &s->heap[(i - 1) / 2])) {
		s->heap[i] = s->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->heap[i] = c;
}

struct candidate heap_pop(struct vocab_scratch *s)
{
	struct candidate top = s->heap[0], last = s->heap[--s->n_heap];
	uint32_t i = 0, child;

	while ((child = 2 * i + 1) < s->n_heap) {
		if (child + 1 < s->n_heap && before(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (!before(&s->heap[child], &last))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	return top;
}
