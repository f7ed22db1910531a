/*
 * A scheduler's requests whose keys say what they are of: each position of the pool holds a digest of the tokens up to it, made from the
 * position before it as a model would, and each row looks at all that it sees. A state is the same digest.
 */
#ifndef GYRE_TESTS_SCHED_DIGEST_H
#define GYRE_TESTS_SCHED_DIGEST_H

#include "daemon/util/minmax.h"
#include "tests/daemon/sched/harness.h"

#define N_CTX  512
#define LEN    32
#define N_USER 3

static bool has_state, has_keys;
static uint32_t n_row_run;

static inline void open_cached(uint32_t n_block, uint32_t n_slot, uint32_t window, uint32_t n_piece, uint32_t len)
{
	harness_open(
		&(struct sched_harness){ .o = { .n_row = 64, .block_len = len, .gap_ns = UINT32_MAX, .window = window },
					 .n_request = 24,
					 .n_ctx = N_CTX,
					 .n_block = n_block,
					 .n_slot = n_slot,
					 .block_bytes = LEN * sizeof(uint32_t),
					 .slot_bytes = 64,
					 .pool_block = LEN,
					 .n_piece = n_piece });
	has_state = n_slot > 0;
	has_keys = len == LEN;
}

static inline void open_sched(uint32_t n_block, uint32_t n_slot, uint32_t window)
{
	open_cached(n_block, n_slot, window, 0, LEN);
}

static inline uint32_t next_digest(uint32_t digest, int32_t token)
{
	return (digest ^ (uint32_t)token) * 2654435761u + 12345;
}

static inline uint32_t *cell(const struct batch_seq *seq, uint32_t pos)
{
	return (uint32_t *)(void *)kv_piece(&node, &part[0], kv.book->n_block, seq->block[pos / LEN]) + pos % LEN;
}

/* Its keys, from those before them; and its state. */
static inline void run_row(const struct batch_seq *seq, uint32_t pos)
{
	const struct request *r = seq->request;
	uint32_t n = pos + 1, digest = 0, *state = (uint32_t *)(void *)kv_state(&node, &part[1], seq->slot);

	for (uint32_t p = 0; p < pos; p++) {
		digest = next_digest(digest, r->token[p]);
		if (has_keys && (!s.o.window || p + s.o.window >= n) && *cell(seq, p) != digest)
			fail_msg("position %u does not find %u", pos, p);
	}
	if (has_state && pos && *state != digest)
		fail_msg("position %u finds another state", pos);
	digest = next_digest(digest, r->token[pos]);
	if (has_keys)
		*cell(seq, pos) = digest;
	if (has_state)
		*state = digest;
	n_row_run++;
}

static inline void run_seq(const struct batch_seq *seq)
{
	struct request *r = seq->request;

	for (uint32_t i = 0; i < seq->n_row; i++)
		run_row(seq, seq->n_past + i);
	r->kept.n_past += seq->n_row;
	r->kept.n_replay = 0;
	if (r->kept.n_past == r->kept.n_token && r->kept.n_token - r->kept.n_prompt < r->kept.max_tokens)
		r->token[r->kept.n_token++] = (int32_t)below(1000);
	else if (r->kept.n_past == r->kept.n_token)
		r->kept.state = REQUEST_DONE;
}

static inline void step(void)
{
	sched_plan(&s, &q, &b);
	for (uint32_t i = 0; i < b.n_seq; i++)
		run_seq(&b.seq[i]);
	for (uint32_t i = 0; i < q.n_live; i++)
		if (q.live[i]->kept.state == REQUEST_ENDED)
			q.live[i]->kept.state = REQUEST_DONE;
	harness_end_step();
}

static inline struct request *add(uint32_t u, uint32_t n_prompt, uint32_t n_answer)
{
	struct request *r = harness_add(u, n_prompt, n_answer, 128, 1);

	for (uint32_t i = 0; i < n_prompt; i++)
		r->token[i] = (int32_t)below(1000);
	return r;
}

/* A request whose first n tokens are those of `from`. */
static inline struct request *add_from(const struct request *from, uint32_t u, uint32_t n, uint32_t n_more,
				       uint32_t n_answer)
{
	struct request *r = add(u, n + n_more, n_answer);

	memcpy(r->token, from->token, n * sizeof(r->token[0]));
	return r;
}

static inline void run_until(const struct request *r, uint32_t n_past)
{
	for (int n = 0; r->kept.n_past < n_past; n++) {
		assert_true(n < 2000);
		step();
	}
}

static inline void run_to_end(void)
{
	for (int n = 0; q.n_live; n++) {
		assert_true(n < 20000);
		step();
	}
	assert_int_equal(kv_n_free(&kv) + kv.book->n_idle, kv.book->n_block);
	assert_int_equal(kv_n_slot_free(&kv) + cache_n_slot(&s), kv.book->n_slot);
	assert_int_equal(kv_n_held(&kv, 0), 0);
}

#endif
