/*
 * Why: a guess changes no answer, so nothing else would notice one that is made where there is no room for it (in a stream's
 * blocks, its completion ring, its context, the step), a drafter that reads beyond a stream or never guesses at all, or one that
 * shows a user what another's streams drew.
 */
#include "daemon/op/op.h"
#include "daemon/spec/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- room ---- */

#define BLOCK 32
#define N_CTX 256
#define N_ROW 64

static struct spec spec;
static struct batch batch;
static struct user user[2] = { { .uid = 1000, .index = 0 }, { .uid = 1001, .index = 1 } };
static struct request request[3];
static uint64_t n_request;
static int32_t tokens[3][N_CTX + REQUEST_DRAFT_MAX];

static uint64_t row_ns = 1000000000000;

/* By default no row pays beside the one that is there. */
static uint64_t cost_ns(const void *of, uint32_t n_row)
{
	return 1000 + n_row * *(const uint64_t *)of;
}

/* Streams of n_token that repeat themselves: ten tokens can be guessed. */
static void start(uint32_t n_seq, uint32_t n_token)
{
	const struct spec_options o = { .n_draft = 8,
					.n_least = 8,
					.n_ctx = N_CTX,
					.n_row = N_ROW,
					.block_len = BLOCK,
					.cost = { cost_ns, &row_ns } };

	spec_deinit(&spec);
	assert_int_equal(spec_init(&spec, &o), 0);
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
					       .number = ++n_request,
					       .user = &user[0],
					       .n_room = 100 };
		batch.seq[i] =
			(struct batch_seq){ .request = &request[i], .n_past = n_token - 1, .n_row = 1, .n_spare = 8 };
	}
	batch_layout(&batch);
	batch.layout_ns = 1;
}

static uint32_t draft(void)
{
	uint32_t n = 0, n_row;

	batch_layout(&batch);
	n_row = batch.n_row;
	spec_draft(&spec, &batch);
	for (uint32_t i = 0; i < batch.n_seq; i++)
		n += batch.seq[i].n_draft;
	assert_int_equal(spec_n_guessed(&spec), n);
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
	assert_int_equal(spec_n_guessed(&spec), 0);
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

/* ---- how many ---- */

/* The stream draws `next`, whatever was guessed; the guesses are not looked at any more. */
static void draw(uint32_t i, int32_t next)
{
	struct request *r = &request[i];

	r->token[r->kept.n_token++] = next;
	r->kept.n_past++;
	batch.seq[i].n_past++;
	batch.seq[i].n_row = 1;
	batch.seq[i].n_draft = 0;
}

/* Guesses are held against what is drawn though none of them ever rode: when they come true, and rows are cheap, they ride. */
static void guesses_ride_when_they_pay(void **state)
{
	(void)state;
	start(1, 30);
	spec.o.n_least = 0;
	for (uint32_t i = 0; i < 60; i++) {
		assert_int_equal(draft(), 0);
		draw(0, (int32_t)(30 + i) % 10);
	}
	row_ns = 1;
	assert_int_equal(draft(), 8);
	/* Then it goes its own way: of what was right so often, none is. */
	for (uint32_t i = 0; i < 60; i++) {
		batch.seq[0].n_row = 1;
		batch.seq[0].n_draft = 0;
		draw(0, 500 + (int32_t)i);
	}
	row_ns = 1000000000000;
	for (uint32_t i = 0; i < 12; i++) {
		memcpy(tokens[0] + request[0].kept.n_token - 3, tokens[0] + 12, 3 * sizeof(int32_t));
		spec_draft(&spec, &batch);
		draw(0, 900 + (int32_t)i);
		draw(0, 0);
		draw(0, 0);
		draw(0, 0);
	}
	memcpy(tokens[0] + request[0].kept.n_token - 3, tokens[0] + 12, 3 * sizeof(int32_t));
	row_ns = 200; /* a fifth of the step: a token in two would do */
	batch_layout(&batch);
	spec_draft(&spec, &batch);
	assert_in_range(batch.seq[0].n_draft, 0, 1);
	row_ns = 1000000000000;
}

/* More streams than places: who was in no step for longest loses its own, and nobody gets another's guesses. */
static void a_place_is_one_stream_s(void **state)
{
	(void)state;
	start(1, 40);
	for (uint32_t i = 0; i < 2 * SPEC_STREAM_MAX; i++) {
		request[0].number = ++n_request;
		for (uint32_t k = 0; k < 40; k++)
			tokens[0][k] = (int32_t)(k % 10 + 10 * i);
		batch.seq[0].n_row = 1;
		batch.seq[0].n_draft = 0;
		assert_int_equal(draft() > 0, 1);
		for (uint32_t k = 0; k < batch.seq[0].n_draft; k++)
			assert_int_equal(tokens[0][40 + k], (40 + k) % 10 + 10 * i);
		spec.count[0] = spec.count[1] = (struct spec_count){ 0 };
	}
}

/* ---- what was expected ---- */

/* The step is sampled: n_hit guesses were right, and it took so long. */
static void sample(uint32_t n_hit, uint64_t ns)
{
	spec_feedback(&spec, &request[0], batch.seq[0].n_draft, n_hit);
	batch.time_ns = batch.layout_ns + ns;
}

static void what_was_expected_is_told_beside_what_came(void **state)
{
	const struct tally *t = &spec.tally;

	(void)state;
	row_ns = 0;
	start(1, 40);
	for (uint32_t i = 0; i < CHANCE_KINDS; i++) /* whatever is guessed is right */
		spec.chance[0].n[i] = spec.chance[0].n_hit[i] = 1e9f;
	assert_int_equal(draft(), 8);
	assert_int_equal(t->n_step, 0); /* it has not come to pass */
	sample(5, 1234);
	for (uint32_t i = 0; i < 6; i++)
		draw(0, (int32_t)(40 + i) % 10);
	batch_layout(&batch);
	row_ns = 1000000000000;
	spec.o.n_least = 0;
	spec_draft(&spec, &batch); /* no guess pays */
	assert_int_equal(t->n_step, 1);
	assert_int_equal(t->n_token, 6);
	assert_int_equal(t->ns, 1234);
	assert_in_range(t->expected_millitoken, 8990, 9000);
	assert_int_equal(t->expected_ns, 1000);
	assert_int_equal(t->plain_token, 1);
	assert_int_equal(t->plain_ns, 1000);
	sample(0, 99);
	batch.seq[0].n_row = 1;
	spec_draft(&spec, &batch);
	assert_int_equal(t->n_step, 1); /* it had none */
	assert_int_equal(t->ns, 1234);
}

/* ---- the store ---- */

/* A stream that never repeats itself draws what another of the user's drew. */
static uint32_t guesses_of_a_second_stream(uint32_t uid, uint32_t draft)
{
	start(1, 12);
	for (uint32_t i = 0; i < 12; i++)
		tokens[0][i] = (int32_t)i;
	for (uint32_t i = 0; i < 100; i++) {
		spec_draft(&spec, &batch);
		draw(0, 1000 + (int32_t)i);
	}
	request[1] = request[0];
	request[1].token = tokens[1];
	request[1].user = &user[uid];
	request[1].number = ++n_request;
	request[1].kept.sampling.draft = draft;
	request[1].kept.n_token = 20;
	request[1].kept.n_past = 19;
	for (uint32_t i = 0; i < 20; i++)
		tokens[1][i] = 1020 + (int32_t)i;
	batch.seq[0] = (struct batch_seq){ .request = &request[1], .n_past = 19, .n_row = 1, .n_spare = 8 };
	batch_layout(&batch);
	spec.count[0] = spec.count[1] = (struct spec_count){ 0 };
	spec_draft(&spec, &batch);
	for (uint32_t i = 0; i < batch.seq[0].n_draft; i++)
		assert_int_equal(tokens[1][20 + i], 1040 + i);
	return batch.seq[0].n_draft;
}

static void what_a_user_s_streams_drew_is_guessed_for_it_alone(void **state)
{
	(void)state;
	assert_int_equal(guesses_of_a_second_stream(0, GYRE_DRAFT_DEFAULT), 8);
	assert_int_equal(guesses_of_a_second_stream(1, GYRE_DRAFT_DEFAULT), 0);
}

/* A request says where its guesses may come from. */
static void a_request_chooses_its_drafters(void **state)
{
	static const struct {
		uint32_t draft;
		bool has_own, has_store;
	} want[] = { { GYRE_DRAFT_DEFAULT, true, true },
		     { GYRE_DRAFT_NONE, false, false },
		     { GYRE_DRAFT_LOOKUP, true, false },
		     { GYRE_DRAFT_AUTO, true, true } };

	(void)state;
	for (uint32_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		start(1, 40);
		request[0].kept.sampling.draft = want[i].draft;
		assert_int_equal(draft() > 0, want[i].has_own);
		assert_int_equal(guesses_of_a_second_stream(0, want[i].draft) > 0, want[i].has_store);
	}
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
	spec_deinit(&spec);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(guesses_fit_what_each_stream_has),
					    cmocka_unit_test(guesses_fit_the_step),
					    cmocka_unit_test(nobody_else_is_guessed_for),
					    cmocka_unit_test(off_is_off),
					    cmocka_unit_test(guesses_ride_when_they_pay),
					    cmocka_unit_test(a_place_is_one_stream_s),
					    cmocka_unit_test(what_was_expected_is_told_beside_what_came),
					    cmocka_unit_test(a_request_chooses_its_drafters),
					    cmocka_unit_test(what_a_user_s_streams_drew_is_guessed_for_it_alone) };

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
