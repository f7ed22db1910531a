/*
 * Why: an operation is a file. As soon as a stage asks "is it a SCORE?", the next operation has to be taught to that stage too, and
 * whoever adds it has to find out where; so who names an operation is counted. And two stages that disagree about which rows have
 * logits write past each other's arrays.
 */
#include "daemon/flow/batch.h"
#include "daemon/flow/grant.h"
#include "daemon/flow/served.h"
#include "daemon/op/op.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct geometry g = { .arena_bytes = 65536, .n_vocab = 100, .n_ctx = 64, .text_max = 65536 };

/* ---- the table ---- */

/* Answered at once, or run by what follows; by an engine, or not. */
static void each_row_is_whole(void **state)
{
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < 256; i++) {
		const struct op *op = op_find((uint8_t)i);

		if (!op)
			continue;
		n++;
		assert_non_null(op->name);
		assert_non_null(op->validate);
		assert_non_null(op->end);
		assert_int_equal(!op->answer, op->read && op->rows);
		assert_int_equal(!op->wants_hidden, !op->take_hidden);
		assert_true(!(op->take_token || op->take_hidden) || op->wants_logits);
		assert_true(op->take_token || !op->is_drawn);
		assert_true(!op->is_drawn || op->wants_logits);
		for (uint32_t k = 0; k < i; k++)
			assert_true(!op_find((uint8_t)k) || strcmp(op_find((uint8_t)k)->name, op->name) != 0);
	}
	assert_int_equal(n, 8);
}

static void what_is_reserved_is_refused(void **state)
{
	struct gyre_sqe sqe = { .reserved = 1 }; /* whatever else is wrong */

	(void)state;
	for (uint32_t i = 0; i < 256; i++) {
		sqe.opcode = (uint8_t)i;
		assert_int_equal(op_check(&sqe, &g, NULL), op_find((uint8_t)i) ? -EINVAL : -EOPNOTSUPP);
	}
	assert_null(op_find(200));
}

/* ---- two formulas ---- */

#define N_ROW 64

/* A prompt, read in pieces of any length: rows of a batch with logits are those that were counted, and each of use comes once. */
static void logits_are_counted_as_they_are_laid_out(void **state)
{
	static int32_t token[N_ROW];
	struct batch b;

	(void)state;
	assert_int_equal(batch_init(&b, N_ROW, N_ROW, 16), 0);
	for (uint32_t round = 0; round < 2000; round++) {
		uint32_t n = 2 + (uint32_t)rand() % (N_ROW - 2), n_logit = 0, n_score = 1 + (uint32_t)rand() % (n - 1);
		struct request r = { .op = round % 2 ? &op_score : &op_generate,
				     .token = token,
				     .kept.n_prompt = n,
				     .kept.n_token = n };

		r.kept.n_score = round % 2 ? n_score : 0;
		while (r.kept.n_past < n) {
			uint32_t n_row = 1 + (uint32_t)rand() % (n - r.kept.n_past);
			uint32_t counted =
				op_span_overlap(r.op->wants_logits(&r), r.kept.n_past, r.kept.n_past + n_row);

			b.n_seq = 1;
			b.seq[0] = (struct batch_seq){ .request = &r, .n_past = r.kept.n_past, .n_row = n_row };
			batch_layout(&b);
			assert_int_equal(b.n_logit, counted);
			for (uint32_t i = 0; i < b.n_logit;
			     i++) /* each is wanted: of what follows it something is asked */
				assert_in_range(b.pos[b.logit_row[i]], round % 2 ? n - n_score - 1 : n - 1,
						round % 2 ? n - 2 : n - 1);
			n_logit += counted;
			r.kept.n_past += n_row;
			r.kept.n_scored += round % 2 ? counted : 0;
			/* Blocks were taken back: what has been scored is not scored again. */
			if (rand() % 8 == 0)
				r.kept.n_past = (uint32_t)rand() % (r.kept.n_past + 1);
			if (round % 2 == 0 && counted)
				break;
		}
		assert_int_equal(n_logit, round % 2 ? n_score : 1);
	}
	batch_deinit(&b);
}

static void a_grant_is_as_many_tokens_as_it_was_made_for(void **state)
{
	(void)state;
	for (uint32_t n_piece = 2; n_piece < 9; n_piece++) {
		for (uint32_t n = 0; n < 20; n++) {
			assert_int_equal(grant_tokens(n_piece, grant_for(n_piece, n)), n);
			assert_int_equal(grant_tokens(n_piece, grant_for(n_piece, n) + n_piece - 1), n);
		}
		for (uint32_t n = 0; n <= GRANT_END; n++)
			assert_int_equal(grant_tokens(n_piece, n), 0);
	}
}

/* ---- who names an operation ---- */

static const char *const may[] = { "client/submit.c", "daemon/op/table.c", "shm/abi.h" };

#define N_MAY (sizeof(may) / sizeof(may[0]))

static uint32_t n_named[N_MAY], n_file;

static bool has_word(const char *path, const char *word)
{
	FILE *f = fopen(path, "r");
	char line[4096];
	bool has = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		has |= strstr(line, word) != NULL;
	fclose(f);
	return has;
}

static int look(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	const char *dot = strrchr(path, '.');
	size_t i = 0;

	(void)st;
	(void)at;
	if (kind != FTW_F || !dot || (strcmp(dot, ".c") && strcmp(dot, ".h")))
		return 0;
	n_file++;
	if (!has_word(path, "GYRE_OP_"))
		return 0;
	while (i < N_MAY && strcmp(path, may[i]))
		i++;
	if (i == N_MAY)
		fail_msg("%s names an operation; who needs to know one asks its row (daemon/flow/op.h)", path);
	n_named[i]++;
	return 0;
}

static void nobody_else_names_an_operation(void **state)
{
	static const char *const tree[] = { "daemon", "shm", "client", "tools", "kernels" };

	(void)state;
	for (size_t i = 0; i < sizeof(tree) / sizeof(tree[0]); i++)
		assert_int_equal(nftw(tree[i], look, 16, FTW_PHYS), 0);
	assert_true(n_file > 200);
	for (size_t i = 0; i < N_MAY; i++)
		assert_int_equal(n_named[i], 1);
}

/* Its own file, how a client asks for it, where that is exported, and its page. */
static void each_has_its_places(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 256; i++) {
		const struct op *op = op_find((uint8_t)i);
		char path[128], word[64];

		if (!op)
			continue;
		snprintf(path, sizeof(path), "daemon/op/%s.c", op->name);
		snprintf(word, sizeof(word), "const struct op op_%s =", op->name);
		assert_true(has_word(path, word));
		snprintf(word, sizeof(word), "gyre_prep_%s", op->name);
		assert_true(has_word("client/gyre.h", word));
		assert_true(has_word("client/gyre.map", word));
		snprintf(path, sizeof(path), "client/man/gyre_prep_%s.3", op->name);
		assert_int_equal(access(path, R_OK), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_row_is_whole),
					    cmocka_unit_test(what_is_reserved_is_refused),
					    cmocka_unit_test(logits_are_counted_as_they_are_laid_out),
					    cmocka_unit_test(a_grant_is_as_many_tokens_as_it_was_made_for),
					    cmocka_unit_test(nobody_else_names_an_operation),
					    cmocka_unit_test(each_has_its_places) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
