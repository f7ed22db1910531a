/*
 * RWKV: at each place the longest token, by bytes. Neither control tokens, which a text must not be able to write, nor those that
 * only fill the vocabulary up.
 */
#include "daemon/text/vocab.h"

#include <stdio.h>

static int rwkv_text(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, bool lead,
		     struct token_out *o)
{
	int r = 0;

	(void)s;
	(void)lead;
	for (size_t at = 0; !r && at < n;) {
		uint32_t node = 0, id = (uint32_t)v->unk;
		size_t len = 1;

		for (size_t i = at; i < n && (node = trie_step(&v->trie, node, p[i])); i++)
			if (v->trie.id[node] != TOKEN_NONE) {
				id = v->trie.id[node];
				len = i + 1 - at;
			}
		r = token_out_put(o, id);
		at += len;
	}
	return r;
}

static int rwkv_init(struct vocab *v, const struct vocab_source *src, char *err, size_t err_len)
{
	int r = trie_init(&v->trie, v, v->kind->indexed);

	(void)src;
	for (int b = 0; !r && v->unk < 0 && b < 256; b++) {
		uint32_t node = trie_step(&v->trie, 0, (char)b);

		if (!node || v->trie.id[node] == TOKEN_NONE) {
			snprintf(err, err_len, "the vocabulary lacks a token for byte 0x%02x: convert the model again",
				 b);
			r = -EINVAL;
		}
	}
	return r;
}

const struct tokenizer tokenizer_rwkv = {
	.model = "rwkv",
	.defaults = { .bos = -1, .eos = -1, .unk = -1, .pad = -1 },
	.indexed = 1u << TOKEN_NORMAL | 1u << TOKEN_USER | 1u << TOKEN_BYTE | 1u << TOKEN_RAW,
	.byte_type = TOKEN_BYTE,
	.spell = spell_escaped,
	.init = rwkv_init,
	.text = rwkv_text,
};
