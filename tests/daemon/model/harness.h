/*
 * Drives model_forward the way a scheduler would: sequences with scattered KV blocks and slots, prompts cut into chunks, strangers
 * riding along, guesses of which some are right. Shared by the tests of this folder.
 */
#ifndef GYRE_TESTS_MODEL_HARNESS_H
#define GYRE_TESTS_MODEL_HARNESS_H

#include "daemon/model/model.h"
#include "tests/util/teams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HARNESS_SEQ_MAX 20
#define HARNESS_ROWS    640
#define HARNESS_BLOCKS  32 /* per sequence: 1024 positions */

struct harness {
	struct weights *w;
	struct kernels k;
	struct model *m;
	struct team *t;
	struct batch *b;
	void *kv, *state;
	uint32_t n_block; /* of the pool */
	uint32_t block[HARNESS_SEQ_MAX][HARNESS_BLOCKS];
	uint32_t slot[HARNESS_SEQ_MAX];
	uint32_t n_past[HARNESS_SEQ_MAX], n_replay[HARNESS_SEQ_MAX];
};

struct harness_options {
	enum kernels_isa isa;
	int n_thread, n_node; /* n_node 0: one */
	uint32_t n_ctx;
	enum kvq_type kv_type;
};

static inline void harness_open_as(struct harness *h, const char *path, const struct harness_options *ho)
{
	int n_thread = ho->n_thread, n_node = ho->n_node ? ho->n_node : 1;
	struct layout layout = layout_even(n_thread, n_node);
	struct model_options o = { HARNESS_ROWS, HARNESS_ROWS, (uint32_t)n_thread, ho->n_ctx, ho->kv_type };
	struct error e = { "" };

	memset(h, 0, sizeof(*h));
	if (weights_load(&h->w, path, &(struct weights_options){ .plan = model_plan, .layout = &layout, .n_thread = 1 },
			 &e) < 0)
		fail_msg("%s: %s", path, e.text);
	kernels_select(&h->k, ho->isa);
	if (model_open(&h->m, h->w, &h->k, &o, &e) < 0)
		fail_msg("%s: %s", path, e.text);
	assert_int_equal(team_even(&h->t, n_thread, n_node), 0);
	h->b = calloc(1, sizeof(*h->b));
	assert_int_equal(batch_init(h->b, HARNESS_ROWS, HARNESS_ROWS, model_hparams(h->m)->n_vocab), 0);
	assert_int_equal(batch_init_hidden(h->b, model_hparams(h->m)->n_embd), 0);
}

static inline void harness_open(struct harness *h, const char *path, enum kernels_isa isa, int n_thread, uint32_t n_ctx)
{
	harness_open_as(h, path, &(struct harness_options){ .isa = isa, .n_thread = n_thread, .n_ctx = n_ctx });
}

/* NaN everywhere, so that a read of what nobody wrote shows. */
static inline void *harness_poisoned(size_t bytes)
{
	void *p = aligned_alloc(64, bytes ? bytes : 64);

	assert_non_null(p);
	return memset(p, 0xff, bytes);
}

/* Fresh memory of n_seq sequences, whose blocks interleave; every other slot is nobody's. */
static inline void harness_reset(struct harness *h, uint32_t n_seq, uint32_t n_tok)
{
	uint32_t n_block = (n_tok + KV_BLOCK - 1) / KV_BLOCK, n_slot = 2 * n_seq + 1;

	assert_true(n_seq <= HARNESS_SEQ_MAX && n_block <= HARNESS_BLOCKS);
	free(h->kv);
	free(h->state);
	h->n_block = n_block * n_seq;
	h->kv = harness_poisoned(model_kv_bytes(h->m) * h->n_block);
	h->state = harness_poisoned(model_slot_bytes(h->m) * n_slot);
	model_set_kv(h->m, h->kv, h->n_block);
	model_set_states(h->m, h->state, n_slot);
	for (uint32_t s = 0; s < n_seq; s++) {
		h->n_past[s] = h->n_replay[s] = 0;
		h->slot[s] = 2 * (n_seq - s) - 1;
		for (uint32_t i = 0; i < n_block; i++)
			h->block[s][i] = (n_block - 1 - i) * n_seq + s;
	}
	h->b->n_seq = h->b->n_row = h->b->n_logit = h->b->n_hidden = 0;
}

/* NaN in all that a block has. */
static inline void harness_poison(struct harness *h, uint32_t block)
{
	for (uint32_t i = 0; i < model_n_node(h->m); i++) {
		struct kv_mem m = model_kv_mem(h->m, i);

		for (const struct kv_part *p = m.part; p < m.part + m.n_part; p++)
			if (kv_is_paged(p))
				memset(kv_piece(&m, p, h->n_block, block), 0xff, p->bytes);
	}
}

/* Adds the next n tokens of a sequence to the step. */
static inline void harness_add(struct harness *h, uint32_t seq, const int32_t *token, uint32_t n, bool wants_logits)
{
	struct batch *b = h->b;

	b->seq[b->n_seq] = (struct batch_seq){ .block = h->block[seq],
					       .n_past = h->n_past[seq],
					       .row0 = b->n_row,
					       .n_row = n,
					       .slot = h->slot[seq],
					       .n_replay = h->n_replay[seq] };
	h->n_replay[seq] = 0;
	for (uint32_t i = 0; i < n; i++, b->n_row++) {
		b->token[b->n_row] = token[i];
		b->pos[b->n_row] = (int32_t)h->n_past[seq]++;
		b->row_seq[b->n_row] = b->n_seq;
		if (wants_logits)
			b->logit_row[b->n_logit++] = b->n_row;
	}
	b->n_seq++;
}

/* Of the sequence added last, the vectors of all rows are wanted. */
static inline void harness_want_hidden(struct harness *h)
{
	struct batch *b = h->b;

	for (uint32_t i = b->seq[b->n_seq - 1].row0; i < b->n_row; i++)
		b->hidden_row[b->n_hidden++] = i;
}

/* The next token of a sequence and n_draft guesses behind it, with logits of all. */
static inline void harness_add_guessed(struct harness *h, uint32_t seq, const int32_t *token, uint32_t n_draft)
{
	harness_add(h, seq, token, 1 + n_draft, true);
	h->b->seq[h->b->n_seq - 1].n_draft = n_draft;
	h->n_past[seq] -= n_draft;
}

/* After that step: the first n guesses were right. */
static inline void harness_accept(struct harness *h, uint32_t seq, uint32_t n)
{
	h->n_past[seq] += n;
	h->n_replay[seq] = n;
}

/* Each range beside the logits is theirs. */
static inline void harness_check_ranges(const struct harness *h)
{
	const struct batch *b = h->b;
	uint32_t n_vocab = model_hparams(h->m)->n_vocab;

	for (uint32_t i = 0; i < b->n_logit; i++)
		for (uint32_t k = 0; k < b->n_range; k++) {
			struct logit_range want;

			batch_sum_range(&want, &h->k, b->logits + (size_t)i * b->logit_stride + k * LOGIT_RANGE,
					logit_range_tokens(n_vocab, k));
			assert_memory_equal(&b->range[i * b->n_range + k], &want, sizeof(want));
		}
}

static inline void harness_step(struct harness *h)
{
	memset(h->b->range, 0xff, sizeof(*h->b->range) * h->b->n_logit * h->b->n_range);
	model_forward(h->m, h->t, h->b);
	harness_check_ranges(h);
	h->b->n_seq = h->b->n_row = h->b->n_logit = h->b->n_hidden = 0;
}

static inline void harness_close(struct harness *h)
{
	team_free(h->t);
	model_close(h->m);
	weights_free(h->w);
	free(h->kv);
	free(h->state);
	batch_deinit(h->b);
	free(h->b);
}

/* Logits [n][n_vocab] of every token of sequence 0, run in steps of `chunk` tokens, beside n_other strangers. */
static inline void harness_logits(struct harness *h, float *out, const int32_t *token, uint32_t n, uint32_t chunk,
				  uint32_t n_other)
{
	uint32_t n_vocab = model_hparams(h->m)->n_vocab;

	harness_reset(h, 1 + n_other, n);
	for (uint32_t at = 0, n_now; at < n; at += n_now) {
		uint32_t first = 0;

		n_now = n - at < chunk ? n - at : chunk;
		/* Half of the strangers come before, so that row and tile numbers move. */
		for (uint32_t s = 1; s <= n_other; s++) {
			uint32_t n_row = 1 + (s + at) % 3;

			if (s == 1 + n_other / 2) {
				first = h->b->n_logit;
				harness_add(h, 0, token + at, n_now, true);
			}
			if (h->n_past[s] + n_row <= n)
				harness_add(h, s, token + (s * 7 + at) % (n - 3), n_row, s % 2);
		}
		if (n_other == 0)
			harness_add(h, 0, token + at, n_now, true);
		harness_step(h);
		for (uint32_t i = 0; i < n_now; i++)
			memcpy(out + (size_t)(at + i) * n_vocab,
			       h->b->logits + (size_t)(first + i) * h->b->logit_stride, n_vocab * sizeof(float));
	}
}

/* The same of sequence 0 alone, whose first n_prompt tokens are its prompt; the others come with guesses of every number, of which none,
 * some or all are right. */
static inline void harness_logits_guessed(struct harness *h, float *out, const int32_t *token, uint32_t n,
					  uint32_t n_prompt)
{
	uint32_t n_vocab = model_hparams(h->m)->n_vocab, n_step = 0, n_hit;

	harness_reset(h, 1, n + REQUEST_DRAFT_MAX);
	harness_add(h, 0, token, n_prompt, true);
	for (uint32_t at = 0, n_now = n_prompt; at < n; at += n_now) {
		if (at) {
			int32_t guess[1 + REQUEST_DRAFT_MAX];
			uint32_t n_draft = n_step * 7 % (REQUEST_DRAFT_MAX + 1);

			n_hit = n_step * 5 % (n_draft + 1);
			n_hit = n_hit < n - at ? n_hit : n - at - 1;
			for (uint32_t i = 0; i <= n_draft; i++)
				guess[i] = i <= n_hit ? token[at + i] : (token[at] + 1 + (int32_t)i) % (int32_t)n_vocab;
			harness_add_guessed(h, 0, guess, n_draft);
			n_now = 1 + n_hit;
			n_step++;
		}
		harness_step(h);
		if (at)
			harness_accept(h, 0, n_hit);
		for (uint32_t i = 0; i < n_now; i++)
			memcpy(out + (size_t)(at + i) * n_vocab, h->b->logits + (size_t)i * h->b->logit_stride,
			       n_vocab * sizeof(float));
	}
}

#endif
