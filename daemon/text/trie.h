/*
 * A trie over the bytes of tokens. Nodes stand in level order, so the children of one are neighbours, ascending by their
 * label, and end where the next node's begin: nine bytes a node, and a step looks at one short stretch of labels.
 * Immutable once made. Of equal tokens the last counts.
 */
#ifndef GYRE_DAEMON_TEXT_TRIE_H
#define GYRE_DAEMON_TEXT_TRIE_H

#include <stdint.h>
#include <string.h>

struct vocab;

struct trie {
	uint32_t n_node;
	uint32_t *first; /* [n_node + 1] where a node's children begin */
	uint32_t *id;    /* [n_node] the token that ends here, TOKEN_NONE */
	uint8_t *label;  /* [n_node] the byte that leads here */
};

/* Of the tokens whose type is in types (bits 1 << enum token_type). 0 or -ENOMEM. */
int trie_init(struct trie *t, const struct vocab *v, uint32_t types);
void trie_deinit(struct trie *t);

/* From a node (the root is 0) by one byte; 0: no token goes on so. */
static inline uint32_t trie_step(const struct trie *t, uint32_t node, char c)
{
	uint32_t at = t->first[node], n = t->first[node + 1] - at;
	const uint8_t *hit;

	if (n > 16) { /* near the root */
		hit = memchr(t->label + at, (uint8_t)c, n);
		return hit ? (uint32_t)(hit - t->label) : 0;
	}
	for (uint32_t i = at; i < at + n; i++)
		if (t->label[i] == (uint8_t)c)
			return i;
	return 0;
}

#endif
