/*
 * Why: the trie says which block holds which text. One wrong answer is another user's words in a prompt, or words that nobody wrote; a piece
 * that is never given up is a pool that shrinks. Here a trie of a small pool is compared, after each step of many, with a list of all texts.
 */
#include "daemon/kv/prefix.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_BLOCK 14
#define N_SLOT  3
#define N_DEEP  5 /* pieces of a sequence */
#define N_USER  2
#define N_SEEN  64
#define N_SEQ   6 /* at once */

static _Alignas(64) uint8_t mem[N_BLOCK * 64 + N_SLOT * 64];
static const struct kv_part part[] = { { .kind = KV_KEYS, .bytes = 64 }, { .kind = KV_STATE, .bytes = 64 } };
static const struct kv_mem node = { mem, mem + N_BLOCK * 64, part, 2, 64 };
static struct kv kv;
static struct prefix p;
static uint64_t seen[N_SEEN];
static uint32_t seed;

static uint32_t below(uint32_t n)
{
	return ((seed = seed * 1664525u + 1013904223u) >> 8) % n;
}

static void open_trie(uint32_t n_node)
{
	assert_int_equal(kv_init(&kv, &node, 1, N_BLOCK, N_SLOT), 0);
	assert_int_equal(prefix_init(&p, &kv, n_node, seen, N_SEEN), 0);
}

static void close_trie(void)
{
	prefix_deinit(&p);
	kv_deinit(&kv);
}

/* What a sequence says: few texts, which part inside pieces, too. */
static void write_text(int32_t *token, uint32_t n)
{
	uint32_t kind = below(3), part_at = below(n), other = below(3);

	for (uint32_t i = 0; i < n; i++)
		token[i] = (int32_t)(i < part_at ? kind * 100 + i / 3 : other * 100 + i / 5 + 7);
}

static void a_run_must_be_worth_its_copy(void **state)
{
	int32_t token[PREFIX_LEN];
	uint32_t i, block, run;

	(void)state;
	open_trie(8);
	for (int k = 0; k < (int)PREFIX_LEN; k++)
		token[k] = k;
	i = prefix_add(&p, PREFIX_NONE, 1, token, 20);
	assert_int_equal(kv_alloc(&kv, 0, &block), 0);
	prefix_set_block(&p, i, block);
	kv_put(&kv, 0, block);
	prefix_note_block(&p, block);
	assert_int_equal(prefix_check(&p), 0);
	token[9] = 99;
	assert_int_equal(prefix_find_near(&p, PREFIX_NONE, 1, token, PREFIX_LEN, false, &run), i);
	assert_int_equal(run, 9);
	assert_int_equal(prefix_find_near(&p, PREFIX_NONE, 1, token, 6, false, &run), i);
	assert_int_equal(run, 6);
	assert_int_equal(prefix_find_near(&p, PREFIX_NONE, 2, token, PREFIX_LEN, false, &run), PREFIX_NONE);
	assert_int_equal(prefix_find_near(&p, PREFIX_NONE, 1, token, PREFIX_RUN - 1, false, &run), PREFIX_NONE);
	token[PREFIX_RUN - 1] = 99;
	assert_int_equal(prefix_find_near(&p, PREFIX_NONE, 1, token, PREFIX_LEN, false, &run), PREFIX_NONE);
	close_trie();
}

/* A hash that others look at is there as long as its piece. */
static void what_is_there_can_be_seen(void **state)
{
	int32_t token[PREFIX_LEN] = { 5, 6, 7 };
	uint64_t hash = hashchain_add(hashchain_begin(1), token, PREFIX_LEN);
	uint32_t i, block;

	(void)state;
	open_trie(8);
	i = prefix_add(&p, PREFIX_NONE, 1, token, PREFIX_LEN);
	assert_int_equal(kv_alloc(&kv, KV_NOBODY, &block), 0);
	prefix_set_block(&p, i, block);
	kv_put(&kv, KV_NOBODY, block);
	assert_true(seen[hash % N_SEEN] == hash);
	assert_true(prefix_evict_block(&p));
	assert_true(seen[hash % N_SEEN] == 0);
	assert_int_equal(p.n_used, 0);
	assert_int_equal(kv_n_free(&kv), N_BLOCK);
	close_trie();
}

/* ---- against a list ---- */

/* A piece that is known: the whole text up to its end. */
struct known {
	uint64_t salt, at; /* at: when it was last let go of */
	uint32_t n;        /* tokens, whole pieces */
	int32_t token[N_DEEP * PREFIX_LEN];
	uint32_t block;
};

/* A sequence that runs: it holds the blocks of its pieces. */
struct seq {
	uint32_t user, n_piece, piece;
	int32_t token[N_DEEP * PREFIX_LEN];
	uint32_t block[N_DEEP];
};

static struct known known[N_BLOCK];
static struct seq seq[N_SEQ];
static uint64_t now;

static struct known *find_known(uint64_t salt, const int32_t *token, uint32_t n)
{
	for (uint32_t b = 0; b < N_BLOCK; b++)
		if (known[b].n == n && known[b].salt == salt && !memcmp(known[b].token, token, n * sizeof(*token)))
			return &known[b];
	return NULL;
}

static bool is_held(uint32_t block)
{
	return kv_n_user_hold(&kv, block) > 0;
}

/* The list gives up what was let go of first, and the trie gives up the same. */
static bool evict(void)
{
	struct known *oldest = NULL;

	for (uint32_t b = 0; b < N_BLOCK; b++)
		if (known[b].n && !is_held(b) && (!oldest || known[b].at < oldest->at))
			oldest = &known[b];
	if (!oldest) {
		assert_false(prefix_evict_block(&p));
		return false;
	}
	assert_true(prefix_evict_block(&p));
	assert_int_equal(kv_n_hold(&kv, (uint32_t)(oldest - known)), 0);
	for (uint32_t b = 0; b < N_BLOCK; b++) /* nothing is behind it that was used later */
		if (known[b].n > oldest->n && known[b].salt == oldest->salt)
			assert_memory_not_equal(known[b].token, oldest->token, oldest->n * sizeof(oldest->token[0]));
	oldest->n = 0;
	return true;
}

/* The next piece of a sequence: found, or computed and left there. */
static void go_on(struct seq *q)
{
	uint32_t d = q->n_piece, piece, *block = &q->block[d];
	const int32_t *token = q->token + d * PREFIX_LEN;
	struct known *k = find_known(q->user, q->token, (d + 1) * PREFIX_LEN);

	piece = prefix_find(&p, q->piece, q->user, token);
	assert_true((piece != PREFIX_NONE) == (k != NULL));
	if (k) {
		*block = p.node[piece].block;
		assert_int_equal(*block, k - known);
		assert_int_equal(kv_get(&kv, q->user, *block), 0);
	} else {
		while (kv_alloc(&kv, q->user, block) < 0)
			if (!evict())
				return;
		piece = prefix_add(&p, q->piece, q->user, token, PREFIX_LEN);
		assert_true(piece != PREFIX_NONE);
		prefix_set_block(&p, piece, *block);
		k = &known[*block];
		k->salt = q->user;
		k->n = (d + 1) * PREFIX_LEN;
		memcpy(k->token, q->token, k->n * sizeof(k->token[0]));
	}
	prefix_note_block(&p, *block);
	q->piece = piece;
	q->n_piece++;
}

static void end(struct seq *q)
{
	while (q->n_piece) {
		uint32_t block = q->block[--q->n_piece];

		kv_put(&kv, q->user, block);
		prefix_note_block(&p, block);
		if (!is_held(block))
			known[block].at = ++now;
	}
	q->piece = PREFIX_NONE;
	q->user = below(N_USER);
	write_text(q->token, N_DEEP * PREFIX_LEN);
}

static uint64_t check_all(void)
{
	uint64_t n_hold = 0;
	uint32_t n_known = 0;

	for (uint32_t b = 0; b < N_BLOCK; b++)
		n_known += known[b].n > 0;
	for (uint32_t i = 0; i < N_SEQ; i++)
		n_hold += seq[i].n_piece;
	assert_int_equal(p.n_block, n_known);
	assert_int_equal(kv_check(&kv, n_hold + n_known, p.n_slot), 0);
	assert_int_equal(prefix_check(&p), 0);
	return n_hold;
}

static void a_list_of_all_texts_says_the_same(void **state)
{
	uint32_t n_hit = 0;

	(void)state;
	seed = 7;
	open_trie(2 * N_BLOCK);
	memset(known, 0, sizeof(known));
	memset(seq, 0, sizeof(seq));
	for (uint32_t i = 0; i < N_SEQ; i++)
		end(&seq[i]);
	for (int i = 0; i < 60000; i++) {
		struct seq *q = &seq[below(N_SEQ)];
		uint32_t n_used = p.n_used;

		if (q->n_piece == N_DEEP || below(6) == 0)
			end(q);
		else
			go_on(q);
		n_hit += q->n_piece && p.n_used == n_used;
		check_all();
	}
	assert_true(n_hit > 5000);
	for (uint32_t i = 0; i < N_SEQ; i++)
		end(&seq[i]);
	while (evict())
		check_all();
	assert_int_equal(p.n_used, 0);
	assert_int_equal(kv_n_free(&kv), N_BLOCK);
	close_trie();
}

/* With fewer places than blocks and states, what is old makes room; what is in use, and what is in front of it, stays. */
static void places_run_out(void **state)
{
	(void)state;
	seed = 3;
	open_trie(6);
	for (int i = 0; i < 20000; i++) {
		int32_t token[N_DEEP * PREFIX_LEN];
		uint32_t piece = PREFIX_NONE, n = 1 + below(N_DEEP), slot = 0;

		write_text(token, N_DEEP * PREFIX_LEN);
		for (uint32_t d = 0; d < n; d++) {
			uint32_t next = prefix_add(&p, piece, 1, token + d * PREFIX_LEN,
						   d + 1 < n ? PREFIX_LEN : 1 + below(32));

			if (next == PREFIX_NONE)
				break;
			piece = next;
		}
		if (piece == PREFIX_NONE)
			continue;
		if (kv_slot_alloc(&kv, &slot) == 0) {
			prefix_copy_slot(&p, piece, slot, 0);
			kv_slot_put(&kv, slot);
		}
		prefix_trim(&p, piece);
		assert_int_equal(kv_check(&kv, 0, p.n_slot), 0);
		assert_int_equal(prefix_check(&p), 0);
	}
	assert_true(p.n_evicted > 1000);
	while (prefix_evict_slot(&p))
		assert_int_equal(prefix_check(&p), 0);
	assert_int_equal(p.n_used, 0);
	close_trie();
}

static void check_sees_damage(void **state)
{
	int32_t token[PREFIX_LEN] = { 5, 6, 7 };
	uint32_t i, block;

	(void)state;
	open_trie(8);
	i = prefix_add(&p, PREFIX_NONE, 1, token, PREFIX_LEN);
	assert_int_equal(kv_alloc(&kv, KV_NOBODY, &block), 0);
	prefix_set_block(&p, i, block);
	kv_put(&kv, KV_NOBODY, block);
	assert_int_equal(prefix_check(&p), 0);
	p.token[0]++;
	assert_int_equal(prefix_check(&p), -EUCLEAN);
	p.token[0]--;
	p.n_idle++;
	assert_int_equal(prefix_check(&p), -EUCLEAN);
	p.n_idle--;
	p.node[i].n_child = 1;
	assert_int_equal(prefix_check(&p), -EUCLEAN);
	p.node[i].n_child = 0;
	p.of_block[block] = PREFIX_NONE;
	assert_int_equal(prefix_check(&p), -EUCLEAN);
	close_trie();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_must_be_worth_its_copy),
		cmocka_unit_test(what_is_there_can_be_seen),
		cmocka_unit_test(a_list_of_all_texts_says_the_same),
		cmocka_unit_test(places_run_out),
		cmocka_unit_test(check_sees_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
