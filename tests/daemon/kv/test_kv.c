/*
 * Why: a block or a slot given to two sequences mixes two users' text, and one that never comes back starves the daemon within
 * hours. The pool must therefore account for each of them at any time, which kv_check proves after every operation here.
 */
#include "daemon/kv/kv.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_BLOCK     13
#define BLOCK_BYTES 192
#define N_SLOT      5
#define SLOT_BYTES  448

static uint8_t mem[N_BLOCK * BLOCK_BYTES + N_SLOT * SLOT_BYTES];
/* Parts of unequal size, as of a head whose values are wider than its keys, and the states of two layers. */
static const struct kv_part part[] = { { 0, KV_KEYS, 8, 0, 64, 0 },
				       { 1, KV_STATE, 0, 0, 128, 0 },
				       { 0, KV_VALUES, 8, 0, 128, 64 },
				       { 2, KV_STATE, 0, 0, 320, 128 } };
static const struct kv_mem node = {
	.base = mem, .slot = mem + N_BLOCK * BLOCK_BYTES, .part = part, .n_part = 4, .slot_bytes = SLOT_BYTES
};

static void each_block_is_given_once(void **state)
{
	struct kv kv;
	bool seen[N_BLOCK] = { false };
	uint32_t b;

	(void)state;
	assert_int_equal(kv_init(&kv, &node, 1, N_BLOCK, N_SLOT), 0);
	assert_int_equal(kv_n_free(&kv), N_BLOCK);
	for (int i = 0; i < N_BLOCK; i++) {
		assert_int_equal(kv_alloc(&kv, 0, &b), 0);
		assert_true(b < N_BLOCK && !seen[b]);
		seen[b] = true;
		assert_int_equal(kv_check(&kv, (uint64_t)i + 1, 0), 0);
	}
	assert_int_equal(kv_alloc(&kv, 0, &b), -ENOSPC);
	kv_put(&kv, 0, 5);
	assert_int_equal(kv_alloc(&kv, 0, &b), 0);
	assert_int_equal(b, 5);
	kv_deinit(&kv);
}

static void a_block_without_memory_is_given_to_nobody(void **state)
{
	struct kv kv;
	uint32_t b;

	(void)state;
	assert_int_equal(kv_init(&kv, &node, 1, N_BLOCK, N_SLOT), 0);
	kv_set_present(&kv, 5);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(kv_alloc(&kv, 0, &b), 0);
		assert_true(b < 5);
	}
	assert_int_equal(kv_alloc(&kv, 0, &b), -ENOSPC);
	kv_put(&kv, 0, 3);
	kv_put(&kv, 0, 0); /* whatever the order in which they come back */
	assert_int_equal(kv_alloc(&kv, 0, &b), 0);
	assert_int_equal(kv_alloc(&kv, 0, &b), 0);
	assert_int_equal(kv_alloc(&kv, 0, &b), -ENOSPC);
	kv_set_present(&kv, N_BLOCK);
	for (int i = 5; i < N_BLOCK; i++)
		assert_int_equal(kv_alloc(&kv, 0, &b), 0);
	assert_int_equal(kv_alloc(&kv, 0, &b), -ENOSPC);
	assert_int_equal(kv_check(&kv, N_BLOCK, 0), 0);
	kv_deinit(&kv);
}

static void a_block_is_free_when_its_last_holder_is_gone(void **state)
{
	struct kv kv;
	uint32_t b;

	(void)state;
	assert_int_equal(kv_init(&kv, &node, 1, N_BLOCK, N_SLOT), 0);
	assert_int_equal(kv_alloc(&kv, 0, &b), 0);
	assert_int_equal(kv_get(&kv, 0, b), 0);
	kv_put(&kv, 0, b);
	assert_int_equal(kv_n_free(&kv), N_BLOCK - 1);
	assert_int_equal(kv_check(&kv, 1, 0), 0);
	kv_put(&kv, 0, b);
	assert_int_equal(kv_n_free(&kv), N_BLOCK);
	assert_int_equal(kv_check(&kv, 0, 0), 0);
	kv_deinit(&kv);
}

static void a_block_is_charged_once_to_each_user_that_holds_it(void **state)
{
	struct kv kv;
	uint32_t b;

	(void)state;
	assert_int_equal(kv_init(&kv, &node, 1, N_BLOCK, N_SLOT), 0);
	assert_int_equal(kv_alloc(&kv, 3, &b), 0);
	assert_int_equal(kv_get(&kv, 3, b), 0);
	assert_int_equal(kv_get(&kv, KV_NOBODY, b), 0);
	assert_int_equal(kv_get(&kv, 7, b), 0);
	assert_int_equal(kv_get(&kv, 5, b), 0);
	assert_int_equal(kv_n_held(&kv, 3), 1);
	assert_int_equal(kv_n_held(&kv, 7), 1);
	assert_int_equal(kv_n_hold(&kv, b), 5);
	assert_int_equal(kv_n_user_hold(&kv, b), 4);
	kv_put(&kv, 3, b);
	assert_int_equal(kv_n_held(&kv, 3), 1);
	kv_put(&kv, 3, b); /* the first goes, others are charged as before */
	assert_int_equal(kv_n_held(&kv, 3), 0);
	assert_int_equal(kv_n_held(&kv, 7) + kv_n_held(&kv, 5), 2);
	assert_int_equal(kv_check(&kv, 3, 0), 0);
	kv_put(&kv, 5, b);
	kv_put(&kv, 7, b);
	assert_int_equal(kv_n_user_hold(&kv, b), 0);
	assert_int_equal(kv.book->n_idle, 1);
	assert_int_equal(kv_n_free(&kv), N_BLOCK - 1);
	kv_put(&kv, KV_NOBODY, b);
	assert_int_equal(kv.book->n_idle, 0);
	assert_int_equal(kv_check(&kv, 0, 0), 0);
	kv_deinit(&kv);
}

/* Of further charges there are as many as blocks; a user that has one already, and nobody, need none. */
static void charges_are_not_without_end(void **state)
{
	struct kv kv;
	uint32_t b;

	(void)state;
	assert_int_equal(kv_init(&kv, &node, 1, N_BLOCK, N_SLOT), 0);
	assert_int_equal(kv_alloc(&kv, 0, &b), 0);
	for (uint32_t i = 1; i <= N_BLOCK; i++)
		assert_int_equal(kv_get(&kv, i, b), 0);
	assert_int_equal(kv_get(&kv, N_BLOCK + 1, b), -ENOSPC);
	assert_int_equal(kv_get(&kv, 4, b), 0);
	assert_int_equal(kv_get(&kv, KV_NOBODY, b), 0);
	assert_int_equal(kv_check(&kv, N_BLOCK + 3, 0), 0);
	kv_put(&kv, 2, b);
	assert_int_equal(kv_get(&kv, N_BLOCK + 1, b), 0);
	assert_int_equal(kv_check(&kv, N_BLOCK + 3, 0), 0);
	kv_deinit(&kv);
}

static struct hold {
	uint32_t user, block;
} held[1000];

static uint32_t count_charged(const struct hold *h, uint32_t n, uint32_t user)
{
	uint32_t n_charged = 0;

	for (uint32_t b = 0; b < N_BLOCK; b++)
		for (uint32_t i = 0; i < n; i++)
			if (h[i].block == b && h[i].user == user) {
				n_charged++;
				break;
			}
	return n_charged;
}

static void random_use_stays_consistent(void **state)
{
	static const uint32_t user[] = { 0, 1, 2, KV_NOBODY, KV_USER_MAX - 1 };
	struct kv kv;
	uint32_t n = 0, x = 12345;

	(void)state;
	assert_int_equal(kv_init(&kv, &node, 1, N_BLOCK, N_SLOT), 0);
	for (int i = 0; i < 20000; i++) {
		uint32_t op = (x = x * 1664525u + 1013904223u) >> 24, by = user[(x >> 16) % 5];

		if (op < 90 && n < 900) {
			held[n].user = by;
			n += kv_alloc(&kv, by, &held[n].block) == 0;
		} else if (op < 140 && n > 0 && n < 900) {
			held[n] = (struct hold){ by, held[(x >> 8) % n].block };
			n += kv_get(&kv, by, held[n].block) == 0;
		} else if (n > 0) {
			uint32_t j = (x >> 8) % n;

			kv_put(&kv, held[j].user, held[j].block);
			held[j] = held[--n];
		}
		assert_int_equal(kv_check(&kv, n, 0), 0);
		if (by != KV_NOBODY)
			assert_int_equal(kv_n_held(&kv, by), count_charged(held, n, by));
	}
	kv_deinit(&kv);
}

static uint8_t *piece(const struct kv_part *p, uint32_t i)
{
	return kv_is_paged(p) ? kv_piece(&node, p, N_BLOCK, i) : kv_state(&node, p, i);
}

static uint32_t n_piece(const struct kv_part *p)
{
	return kv_is_paged(p) ? N_BLOCK : N_SLOT;
}

/* Every byte of the pool is one block's or slot's, and one part's. */
static void pieces_fill_the_pool(void **state)
{
	static uint8_t n_owner[sizeof(mem)];

	(void)state;
	for (size_t p = 0; p < node.n_part; p++)
		for (uint32_t b = 0; b < n_piece(&part[p]); b++)
			for (size_t i = 0; i < part[p].bytes; i++)
				n_owner[piece(&part[p], b) + i - mem]++;
	for (size_t i = 0; i < sizeof(n_owner); i++)
		assert_int_equal(n_owner[i], 1);
}

static void check_poison(uint32_t block, uint32_t slot)
{
	for (size_t p = 0; p < node.n_part; p++)
		for (uint32_t i = 0; i < n_piece(&part[p]); i++)
			for (size_t k = 0; k < part[p].bytes; k++)
				assert_int_equal(piece(&part[p], i)[k],
						 i == (kv_is_paged(&part[p]) ? block : slot) ? 0xff : 0);
}

static void what_is_freed_is_poisoned_and_nothing_else(void **state)
{
	struct kv kv;
	uint32_t b, slot;

	(void)state;
	if (!GYRE_CHECK)
		skip();
	assert_int_equal(kv_init(&kv, &node, 1, N_BLOCK, N_SLOT), 0);
	assert_int_equal(kv_alloc(&kv, 0, &b), 0);
	assert_int_equal(kv_slot_alloc(&kv, &slot), 0);
	memset(mem, 0, sizeof(mem));
	kv_put(&kv, 0, b);
	check_poison(b, UINT32_MAX);
	memset(mem, 0, sizeof(mem));
	kv_slot_put(&kv, slot);
	check_poison(UINT32_MAX, slot);
	kv_deinit(&kv);
}

/* Of each part, on each node. */
static void a_copy_is_of_all_parts_and_of_nothing_else(void **state)
{
	static uint8_t mem2[sizeof(mem)];
	const struct kv_mem nodes[2] = { node,
					 { .base = mem2,
					   .slot = mem2 + N_BLOCK * BLOCK_BYTES,
					   .part = part,
					   .n_part = 4,
					   .slot_bytes = SLOT_BYTES } };
	static uint8_t was[2][sizeof(mem)];
	struct kv kv;
	uint32_t b[2], slot[2];

	(void)state;
	assert_int_equal(kv_init(&kv, nodes, 2, N_BLOCK, N_SLOT), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(kv_alloc(&kv, 0, &b[i]), 0);
		assert_int_equal(kv_slot_alloc(&kv, &slot[i]), 0);
	}
	for (size_t i = 0; i < sizeof(mem); i++) {
		was[0][i] = mem[i] = (uint8_t)(i % 251);
		was[1][i] = mem2[i] = (uint8_t)(i % 241);
	}
	kv_copy(&kv, b[1], b[0]);
	kv_slot_copy(&kv, slot[1], slot[0]);
	for (int i = 0; i < 2; i++)
		for (const struct kv_part *p = part; p < part + 4; p++) {
			struct kv_mem w = nodes[i];
			uint32_t to = kv_is_paged(p) ? b[1] : slot[1], from = kv_is_paged(p) ? b[0] : slot[0];

			w.base = was[i];
			w.slot = was[i] + N_BLOCK * BLOCK_BYTES;
			for (uint32_t k = 0; k < (kv_is_paged(p) ? N_BLOCK : N_SLOT); k++) {
				uint32_t source = k == to ? from : k;

				assert_memory_equal(
					kv_is_paged(p) ? kv_piece(&nodes[i], p, N_BLOCK, k) : kv_state(&nodes[i], p, k),
					kv_is_paged(p) ? kv_piece(&w, p, N_BLOCK, source) : kv_state(&w, p, source),
					p->bytes);
			}
		}
	kv_deinit(&kv);
}

static void each_slot_is_given_once(void **state)
{
	struct kv kv;
	bool seen[N_SLOT] = { false };
	uint32_t slot;

	(void)state;
	assert_int_equal(kv_init(&kv, &node, 1, N_BLOCK, N_SLOT), 0);
	kv_set_slots_present(&kv, 2);
	for (uint32_t i = 0; i < N_SLOT; i++) {
		if (i == 2) {
			assert_int_equal(kv_slot_alloc(&kv, &slot), -ENOSPC); /* it has no memory yet */
			kv_set_slots_present(&kv, N_SLOT);
		}
		assert_int_equal(kv_slot_alloc(&kv, &slot), 0);
		assert_true(slot < N_SLOT && !seen[slot] && (i > 1 || slot < 2));
		seen[slot] = true;
		assert_int_equal(kv_check(&kv, 0, i + 1), 0);
		assert_int_equal(kv_n_slot_free(&kv), N_SLOT - i - 1);
	}
	assert_int_equal(kv_slot_alloc(&kv, &slot), -ENOSPC);
	kv_slot_put(&kv, 3);
	assert_int_equal(kv_check(&kv, 0, N_SLOT), -EUCLEAN);
	assert_int_equal(kv_check(&kv, 0, N_SLOT - 1), 0);
	assert_int_equal(kv_n_free(&kv), N_BLOCK);
	assert_int_equal(kv_slot_alloc(&kv, &slot), 0);
	assert_int_equal(slot, 3);
	kv_deinit(&kv);
}

static void check_sees_damage(void **state)
{
	struct kv kv;
	uint32_t b;

	(void)state;
	assert_int_equal(kv_init(&kv, &node, 1, N_BLOCK, N_SLOT), 0);
	assert_int_equal(kv_alloc(&kv, 0, &b), 0);
	assert_int_equal(kv_check(&kv, 2, 0), -EUCLEAN);
	kv.book->entry[kv.book->n_block + b]++;
	assert_int_equal(kv_check(&kv, 1, 0), -EUCLEAN);
	kv.book->entry[kv.book->n_block + b]--;
	kv.book->n_held[1]++;
	assert_int_equal(kv_check(&kv, 1, 0), -EUCLEAN);
	kv.book->n_held[1]--;
	kv.book->n_idle++;
	assert_int_equal(kv_check(&kv, 1, 0), -EUCLEAN);
	kv.book->n_idle--;
	kv.book->spare = 0;
	assert_int_equal(kv_check(&kv, 1, 0), -EUCLEAN);
	kv.book->spare = N_BLOCK;
	assert_int_equal(kv_check(&kv, 1, 0), 0);
	kv.book->entry[0] = kv.book->entry[1];
	assert_int_equal(kv_check(&kv, 1, 0), -EUCLEAN);
	kv.book->entry[0]--;
	kv.book->entry[2 * N_BLOCK] = 1; /* a slot twice in the free stack */
	assert_int_equal(kv_check(&kv, 1, 0), -EUCLEAN);
	kv_deinit(&kv);
}

static void a_pool_of_nothing_is_refused(void **state)
{
	struct kv kv;

	(void)state;
	assert_int_equal(kv_init(&kv, &node, 1, 0, N_SLOT), -EINVAL);
	kv_deinit(&kv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_block_is_given_once),
		cmocka_unit_test(a_block_without_memory_is_given_to_nobody),
		cmocka_unit_test(a_block_is_free_when_its_last_holder_is_gone),
		cmocka_unit_test(random_use_stays_consistent),
		cmocka_unit_test(pieces_fill_the_pool),
		cmocka_unit_test(what_is_freed_is_poisoned_and_nothing_else),
		cmocka_unit_test(a_block_is_charged_once_to_each_user_that_holds_it),
		cmocka_unit_test(charges_are_not_without_end),
		cmocka_unit_test(a_copy_is_of_all_parts_and_of_nothing_else),
		cmocka_unit_test(each_slot_is_given_once),
		cmocka_unit_test(check_sees_damage),
		cmocka_unit_test(a_pool_of_nothing_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
