/*
 * Why: a guess changes no answer, so nothing else would notice one that is made where there is no room for it (in a stream's
 * blocks, its completion ring, its context, the step), or a drafter that reads beyond a stream or never guesses at all.
 */
#include "daemon/op/op.h"
#include "daemon/spec/drafter.h"
#include "daemon/spec/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_TOKEN 5000
#define NGRAM   3
#define WINDOW  4096

/* ---- drafters ---- */

/* A small alphabet repeats itself. */
static void fill(int32_t *token, uint32_t n, uint32_t n_letter)
{
	for (uint32_t i = 0; i < n; i++)
		token[i] = (int32_t)((uint32_t)rand() % n_letter);
}

/* Of any drafter: no more than asked for, what it says is what it writes, the stream is only read, and the same again. */
static void a_drafter_keeps_to_its_room(void **state)
{
	static const uint32_t length[] = { 1, 2, 3, 4, 5, 17, 4095, 4096, 4097, N_TOKEN };

	(void)state;
	assert_true(n_drafter > 0);
	for (uint32_t d = 0; d < n_drafter; d++)
		for (uint32_t k = 0; k < sizeof(length) / sizeof(length[0]); k++)
			for (uint32_t most = 0; most <= REQUEST_DRAFT_MAX; most++) {
				uint32_t n = length[k], room = n + most, n_guess;
				int32_t *token = malloc(room * sizeof(*token)), *copy = malloc(n * sizeof(*copy)),
					again[REQUEST_DRAFT_MAX];

				fill(token, room, 2);
				memcpy(copy, token, n * sizeof(*copy));
				n_guess = drafters[d]->propose(token, n, token + n, most);
				assert_true(n_guess <= most);
				assert_memory_equal(token, copy, n * sizeof(*copy));
				for (uint32_t i = 0; i < n_guess; i++)
					assert_in_range(token[n + i], 0, 1);
				assert_int_equal(drafters[d]->propose(copy, n, again, most), n_guess);
				assert_memory_equal(again, token + n, n_guess * sizeof(again[0]));
				free(token);
				free(copy);
			}
}

/* By its definition: the last place but the end, no further back than the window, where the last three tokens stood. */
static uint32_t look_up(const int32_t *token, uint32_t n, uint32_t most, uint32_t *from)
{
	for (uint32_t at = n; at-- > NGRAM;) {
		if (at - NGRAM + WINDOW < n || n <= NGRAM)
			return 0;
		if (memcmp(token + at - NGRAM, token + n - NGRAM, NGRAM * sizeof(*token)))
			continue;
		*from = at;
		return n - at < most ? n - at : most;
	}
	return 0;
}

static void look_up_finds_the_latest_place(void **state)
{
	static int32_t token[N_TOKEN];
	uint32_t n_found = 0, from = 0;

	(void)state;
	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t n = 1 + (uint32_t)rand() % (i % 2 ? 40 : N_TOKEN), most = (uint32_t)rand() % 9, want;
		int32_t guess[8];

		fill(token, n, i % 4 < 2 ? 3 : 40);
		want = look_up(token, n, most, &from);
		assert_int_equal(drafter_lookup.propose(token, n, guess, most), want);
		assert_memory_equal(guess, token + from, want * sizeof(guess[0]));
		n_found += want > 0;
	}
	assert_in_range(n_found, 100, 1900); /* both ends were seen */
}

static void look_up_goes_back_as_far_as_its_window(void **state)
{
	static int32_t token[WINDOW + 1];
	int32_t guess[4];

	(void)state;
	for (int32_t i = 0; i <= WINDOW; i++)
		token[i] = i;
	memcpy(token + WINDOW - 2, token + 1, NGRAM * sizeof(*token));
	assert_int_equal(drafter_lookup.propose(token, WINDOW + 1, guess, 4), 4);
	assert_int_equal(guess[0], 4);
	memcpy(token + WINDOW - 2, token, NGRAM * sizeof(*token)); /* one further away */
	assert_int_equal(drafter_lookup.propose(token, WINDOW + 1, guess, 4), 0);
}

/* ---- room ---- */

#define BLOCK 32
#define N_CTX 256
#define N_ROW 64

static struct spec spec;
static struct batch batch;
static struct request request[3];
static int32_t tokens[3][N_CTX + REQUEST_DRAFT_MAX];

/* Streams of n_token that repeat themselves: ten tokens can be guessed. */
static void start(uint32_t n_seq, uint32_t n_token)
{
	const struct spec_options o = { .n_draft = 8, .n_ctx = N_CTX, .n_row = N_ROW, .block_len = BLOCK };

	spec_init(&spec, &o);
	batch.n_seq = n_seq;
	for (uint32_t i = 0; i < n_seq; i++) {
		for (uint32_t k = 0; k < n_token; k++)
			tokens[i][k] = (int32_t)k % 10;
		request[i] = (struct request){ .op = &op_generate,
					       .token = tokens[i],
					       .kept.n_prompt = 10,
					       .kept.n_token = n_token,
					       .kept.n_past = n_token - 1,
					       .kept.n_block = N_CTX / BLOCK,
					       .n_draft = 8,
					       .n_room = 100 };
		batch.seq[i] =
			(struct batch_seq){ .request = &request[i], .n_past = n_token - 1, .n_row = 1, .n_spare = 8 };
	}
	batch_layout(&batch);
	batch.layout_ns = 1;
}

static uint32_t draft(void)
{
	uint32_t n = 0, n_row = batch.n_row;

	spec_draft(&spec, &batch);
	for (uint32_t i = 0; i < batch.n_seq; i++)
		n += batch.seq[i].n_draft;
	assert_int_equal(spec.n_guessed, n);
	assert_int_equal(batch.n_row, n_row + n);         /* they ride, */
	assert_int_equal(batch.n_logit, batch.n_seq + n); /* and are verified */
	return n;
}

static void guesses_fit_what_each_stream_has(void **state)
{
	(void)state;
	start(1, 40);
	assert_int_equal(draft(), 8);
	start(1, 40);
	request[0].n_draft = 0; /* a new stream begins with one */
	assert_int_equal(draft(), 1);
	start(1, 40);
	request[0].kept.n_block = 2; /* 64 positions: rows 39 to 63 */
	assert_int_equal(draft(), 8);
	start(1, 60);
	request[0].kept.n_block = 2;
	assert_int_equal(draft(), 4);
	start(1, 40);
	request[0].n_room = 4; /* four tokens, one of them its own */
	assert_int_equal(draft(), 3);
	start(1, N_CTX - 4);
	assert_int_equal(draft(), 3);
	start(1, 40);
	request[0].kept.max_tokens = 33; /* 30 are there, and one comes anyway */
	assert_int_equal(draft(), 2);
	start(1, 40);
	batch.seq[0].n_spare = 5;
	assert_int_equal(draft(), 5);
}

static void guesses_fit_the_step(void **state)
{
	(void)state;
	start(3, 40);
	spec.o.n_row = 13;
	assert_int_equal(draft(), 10);
	start(3, 40);
	spec.o.n_row = 3;
	assert_int_equal(draft(), 0);
	start(3, 40);
	batch.n_logit_max = 12;
	assert_int_equal(draft(), 9);
	batch.n_logit_max = N_ROW;
}

static void nobody_else_is_guessed_for(void **state)
{
	(void)state;
	start(3, 40);
	request[0].op = &op_score;
	request[0].kept.n_prompt = 40;
	request[0].kept.n_score = 1;
	batch.seq[1].n_past = 30; /* still reads its prompt */
	batch.seq[1].n_row = 9;
	batch.seq[2].n_past = 38;
	batch.seq[2].n_row = 2;
	batch_layout(&batch);
	batch.layout_ns = 1;
	spec_draft(&spec, &batch);
	assert_int_equal(spec.n_guessed, 0);
	assert_int_equal(batch.n_row, 12);
	assert_int_equal(batch.layout_ns, 1); /* and the rows are not laid out again */
}

static void off_is_off(void **state)
{
	(void)state;
	start(1, 40);
	spec.o.n_draft = 0;
	assert_int_equal(draft(), 0);
}

/* ---- feedback ---- */

static void their_number_follows_the_acceptance(void **state)
{
	struct request r = { .n_draft = 1 };

	(void)state;
	start(1, 40);
	for (uint32_t i = 2; i < 12; i++) {
		spec_feedback(&spec, &r, r.n_draft, r.n_draft);
		assert_int_equal(r.n_draft, i < 8 ? i : 8);
	}
	spec_feedback(&spec, &r, 8, 3); /* some: it stays */
	assert_int_equal(r.n_draft, 8);
	for (uint32_t want = 4; want; want /= 2) {
		spec_feedback(&spec, &r, 8, 0);
		assert_int_equal(r.n_draft, want);
	}
	spec_feedback(&spec, &r, 1, 0); /* never to none: that would be for good */
	assert_int_equal(r.n_draft, 1);
	spec_feedback(&spec, &r, 0, 0); /* none were made */
	assert_int_equal(r.n_draft, 1);
	assert_int_equal(spec.n_hit, 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 * 3 + 3);
}

static int group_setup(void **state)
{
	(void)state;
	return batch_init(&batch, N_ROW, N_ROW, 16);
}

static int group_teardown(void **state)
{
	(void)state;
	batch_deinit(&batch);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_drafter_keeps_to_its_room),
					    cmocka_unit_test(look_up_finds_the_latest_place),
					    cmocka_unit_test(look_up_goes_back_as_far_as_its_window),
					    cmocka_unit_test(guesses_fit_what_each_stream_has),
					    cmocka_unit_test(guesses_fit_the_step),
					    cmocka_unit_test(nobody_else_is_guessed_for),
					    cmocka_unit_test(off_is_off),
					    cmocka_unit_test(their_number_follows_the_acceptance) };

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
