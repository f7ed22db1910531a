/*
 * Writes a random model of any architecture as a GGUF file, with any mixture of tensor types: quantized blocks are random bits
 * with sane scales. What a layer has is read from the architecture's own table, so that a new one is tested as all others are.
 * For tests that compare gyre with itself.
 */
#ifndef GYRE_TESTS_UTIL_TINY_H
#define GYRE_TESTS_UTIL_TINY_H

#include "kernels/quant.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* A metadata entry as in the file; it takes the place of the one of its name. */
struct tiny_kv {
	const char *key; /* ".name": the architecture's */
	uint32_t type;   /* enum gguf_type */
	const void *value;
	size_t n;
};

struct tiny {
	uint32_t n_embd, n_layer, n_head, n_head_kv, head_dim, n_ff, n_vocab, n_ctx;
	uint32_t type_embd, type_q, type_k, type_v, type_o, type_gate, type_up, type_down, type_output;
	/* Of each layer, or of all but the first where the architecture has both kinds; 0: none, or a few where it always has some. Each is as
	 * wide as a feed-forward. */
	uint32_t n_expert, n_expert_used;
	uint32_t n_token;          /* a byte-level vocabulary of so many tokens, at least 259; 0: none */
	uint32_t n_long;           /* bytes of its last token; 0: a short word */
	const char *chat_template; /* of that vocabulary; NULL: ChatML */
	const char *arch;          /* NULL: llama */
	bool is_tied;
	const char *skip;  /* a tensor to leave out, or NULL */
	const char *bend;  /* a tensor to write one row too short, or NULL */
	const char *row;   /* a vector to write as a matrix of one row, or NULL */
	const char *extra; /* a vector of 16 that the architecture does not have, or NULL */
	const struct tiny_kv *kv;
	size_t n_kv;
	const char *
		bad; /* a tensor with a NaN: of a vector the first number, else the scale of row bad_row's first block; or NULL */
	uint32_t bad_row;
};

/* What the tests of the whole daemon serve: four types of products, bytes as tokens. */
#define TINY_SERVED_VOCAB 272
#define TINY_SERVED_CTX   1024

extern const struct tiny tiny_served;

/* The name of the i-th architecture that gyre runs; NULL past the end. */
const char *tiny_arch(size_t i);
/* Whether a layer of the model has the k-th tensor of its architecture's table. */
bool tiny_has(const struct tiny *o, uint32_t layer, size_t k);
/* Whether layers differ in the number that a key says, "attention.head_count_kv", for some have none. */
bool tiny_differs(const struct tiny *o, const char *key);
/* 0, or -1 when the file cannot be written. */
int tiny_write(const char *path, const struct tiny *o);

#endif
