/*
 * Why: what a client reads is all it knows of a stream. Nothing the model said may be cut without a word, whatever the length of
 * a token and however the stream ends; a completion that promised whole characters never ends inside one.
 */
#include "daemon/emit/emit.h"
#include "daemon/flow/grant.h"
#include "daemon/op/op.h"
#include "daemon/session/session.h"
#include "daemon/stream/hold.h"
#include "daemon/stream/stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define N_LONG 2000u

/* Tokens: <unk>, 256 bytes, then these. */
enum { BYTE = 1, ODD = 257, END, WORD, LONG, N_TOKEN };

static struct vocab *vocab;
static struct served served;
static char spelling[N_TOKEN][N_LONG + 1];
static struct emit emit;
static struct meter meter;
static struct batch batch;
static struct batch_token out;
static struct session *session;
static struct request r;

/* What a client has read. */
static struct {
	char text[8192];
	uint32_t n, n_token, n_half, n_why, flags;
	int32_t res;
	bool is_ended;
} got;

static void make_vocab(void)
{
	static struct text_span token[N_TOKEN];
	static float score[N_TOKEN];
	static int32_t type[N_TOKEN];
	struct vocab_source src = {
		.model = "llama", .n_token = N_TOKEN, .token = token, .score = score, .type = type
	};
	char why[256];

	strcpy(spelling[0], "<unk>");
	for (uint32_t i = 0; i < 256; i++)
		snprintf(spelling[BYTE + i], 8, "<0x%02X>", i);
	strcpy(spelling[ODD], "<|odd|>");
	strcpy(spelling[END], "</s>");
	strcpy(spelling[WORD], "word");
	for (uint32_t i = 0; i < N_LONG; i += 4)
		memcpy(spelling[LONG] + i, "\xf0\x9f\x98\x80", 4);
	for (uint32_t i = 0; i < N_TOKEN; i++) {
		token[i] = (struct text_span){ spelling[i], (uint32_t)strlen(spelling[i]) };
		type[i] = i == 0 ? 2 : i < ODD ? 6 : i <= END ? 3 : 1;
	}
	src.bos = src.eot = src.pad = -1;
	src.unk = 0;
	src.eos = END;
	assert_int_equal(vocab_new(&vocab, &src, why, sizeof(why)), 0);
}

static int setup(void **state)
{
	const struct abi_hello hello = { .sq_entries = 64, .cq_entries = 64, .arena_bytes = GYRE_ARENA_BYTES_MIN };
	int pair[2];

	(void)state;
	session = session_free(session); /* a case may have several turns */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(session_new(&session, &served, pair[0], 0, &hello), 0);
	served = (struct served){ .vocab = vocab, .geometry = served_geometry(N_TOKEN, 1000, stream_pieces(vocab)) };
	memset(&r, 0, sizeof(r));
	memset(&got, 0, sizeof(got));
	r = (struct request){
		.session = session, .op = &op_generate, .kept.state = REQUEST_RUNNING, .kept.n_prompt = 1
	};
	session_link(session, &r);
	emit_init(&emit, &meter, 1);
	batch.seq[0].request = &r;
	batch.out = &out;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	session = session_free(session);
	return 0;
}

static void read_one(const struct gyre_cqe *cqe, const uint8_t *slot)
{
	bool is_why = cqe->res < 0 && !(cqe->flags & GYRE_CQE_HALF); /* the bytes are words, and no text */

	assert_false(got.is_ended);
	assert_true(cqe->n_bytes <= GYRE_RESULT_TEXT_BYTES);
	got.n_why = is_why ? cqe->n_bytes : 0;
	if (is_why)
		assert_int_equal(!!cqe->n_bytes, cqe->res != -ECANCELED);
	else
		memcpy(got.text + got.n, cqe->flags & GYRE_CQE_EXT ? slot : cqe->bytes, cqe->n_bytes);
	got.n += cqe->n_bytes - got.n_why;
	got.n_token += (cqe->flags & GYRE_CQE_MORE) && cqe->token >= 0;
	got.is_ended = !(cqe->flags & GYRE_CQE_MORE);
	if (got.is_ended) {
		got.res = cqe->res;
		got.flags = cqe->flags;
		got.n_half = cqe->n_bytes - got.n_why;
		assert_int_equal(cqe->token, got.n_token);
		assert_int_equal(!!(cqe->flags & GYRE_CQE_HALF), got.n_half > 0);
	} else if (r.kept.flags & GYRE_SQE_WHOLE_CHARS) {
		assert_int_equal(hold_char((const uint8_t *)got.text, got.n), got.n);
	}
}

/* As a client: takes all, and its space is free again. */
static void read_all(void)
{
	uint32_t from = session->cq.head;

	for (; from != session->cq.tail; from++) {
		uint32_t slot = from & (session->cq.entries - 1);

		read_one(&session->cq.cqe[slot], session->cq.result + (size_t)slot * GYRE_RESULT_SLOT_BYTES);
	}
	session->cq.head = from;
}

static void step(uint32_t n_token, uint32_t n_ended)
{
	batch.n_token = n_token;
	batch.n_ended = n_ended;
	batch.ended[0] = &r;
	r.grant = grant_for(served.geometry.n_piece, 1);
	session->n_promised = r.grant;
	emit_batch(&emit, &batch);
	session_unpromise(session, r.grant);
	read_all();
}

static void say(int token)
{
	out = (struct batch_token){ .token = token };
	step(1, 0);
}

static void say_bytes(const char *p)
{
	for (; *p; p++)
		say(BYTE + (uint8_t)*p);
}

static void end(int res)
{
	request_end(&r, res);
	step(0, 1);
}

static void stop_at(const char *text)
{
	r.kept.sampling.stop_len[r.kept.sampling.n_stop] = (uint8_t)strlen(text);
	memcpy(r.kept.sampling.stop[r.kept.sampling.n_stop++], text, strlen(text));
}

static void assert_said(const char *text)
{
	assert_int_equal(got.n, strlen(text));
	assert_memory_equal(got.text, text, got.n);
}

static void a_long_token_goes_out_whole(void **state)
{
	static char want[N_LONG + 8];

	(void)state;
	for (int i = 0; i < 4; i++) { /* with and without characters, with and without something held back */
		setup(state);
		r.kept.flags = i & 1 ? GYRE_SQE_WHOLE_CHARS : 0;
		if (i & 2) {
			stop_at("ab\xf0\x9f\x98\x81");
			say_bytes("ab");
		}
		say(LONG);
		say_bytes("!");
		end(0);
		snprintf(want, sizeof(want), "%s%s!", i & 2 ? "ab" : "", spelling[LONG]);
		assert_said(want);
		assert_int_equal(got.n_token, i & 2 ? 4 : 2);
		assert_int_equal(got.flags, GYRE_CQE_PROMPT);
		teardown(state);
	}
	setup(state);
}

/* Also where the token is scored. */
static void a_long_score_goes_out_whole(void **state)
{
	(void)state;
	r.op = &op_score;
	r.kept.n_score = 2;
	r.kept.flags = GYRE_SQE_WHOLE_CHARS;
	stop_at("\xf0"); /* is nothing to a score */
	say(LONG);
	say(BYTE + 0xc3);
	assert_true(got.is_ended);
	assert_int_equal(got.n, N_LONG + 1);
	assert_int_equal(got.n_half, 1);
}

static void a_stop_string_ends_inside_a_long_token(void **state)
{
	(void)state;
	stop_at("\x98\x80\xf0\x9f\x98\x80!");
	say_bytes("a");
	say(LONG);
	assert_false(got.is_ended);
	say_bytes("!");
	assert_true(got.is_ended);
	assert_int_equal(got.flags, GYRE_CQE_PROMPT | GYRE_CQE_STOP);
	assert_int_equal(got.n, 1 + N_LONG - 6);
}

/* Half a character at each end: it comes with the last completion, and is called what it is. */
static void half_a_character_is_said_at_every_end(void **state)
{
	(void)state;
	for (int i = 0; i < 7; i++) {
		bool is_whole = i != 6;

		setup(state);
		r.kept.flags = is_whole ? GYRE_SQE_WHOLE_CHARS | (i == 3 ? GYRE_SQE_IGNORE_EOS : 0) : 0;
		if (i == 0)
			r.kept.max_tokens = 3;
		if (i == 1)
			served.geometry.n_ctx = 4;
		if (i == 2 || i == 3)
			stop_at(i == 2 ? "STOP" : "</s>");
		say_bytes("a\xf0\x9f");
		if (i == 2)
			say_bytes("STOP");
		if (i == 3)
			say(END); /* stopped at, not ended by */
		if (i == 4)
			say(END);
		if (i >= 5)
			end(i == 5 ? -ECANCELED : -ETIME);
		assert_true(got.is_ended);
		assert_said("a\xf0\x9f");
		assert_int_equal(got.n_half, is_whole ? 2 : 0);
		assert_int_equal(!!(got.flags & GYRE_CQE_STOP), i == 2 || i == 3 || i == 4);
		teardown(state);
	}
	setup(state);
}

/* What was held back for a stop string that did not come goes out before the last. */
static void what_was_held_for_a_stop_string_goes_out(void **state)
{
	(void)state;
	r.kept.flags = GYRE_SQE_WHOLE_CHARS;
	stop_at("a\xc3\xa9z");
	say_bytes("xa\xc3");
	assert_said("x");
	end(-ETIME);
	assert_int_equal(got.res, -ETIME);
	assert_said("xa\xc3");
	assert_int_equal(got.n_half, 1);
}

static void a_control_token_is_met_by_its_text(void **state)
{
	static const char *const stop[] = { "<|odd|>", "d<|odd|>", "<|odd|>x", "odd" };
	static const char *const want[] = { "word", "wor", "word", "word" };

	(void)state;
	for (int i = 0; i < 4; i++) {
		setup(state);
		stop_at(stop[i]);
		say(WORD);
		say(ODD);
		if (i == 2)
			say_bytes("x");
		assert_true(got.is_ended);
		assert_int_equal(got.flags, GYRE_CQE_PROMPT | GYRE_CQE_STOP);
		assert_said(want[i]);
		teardown(state);
	}
	setup(state);
	stop_at("dword"); /* as shown */
	say(WORD);
	say(ODD);
	say(WORD);
	assert_true(got.is_ended);
	assert_said("wor");
}

/* With GYRE_SQE_SPECIAL it is shown, and stopped at like any text; without a stop string it is not. */
static void a_shown_control_token_is_text(void **state)
{
	(void)state;
	r.kept.flags = GYRE_SQE_SPECIAL;
	stop_at("odd|>w");
	say(ODD);
	say(WORD);
	assert_true(got.is_ended);
	assert_said("<|");
	teardown(state);
	setup(state);
	say(ODD);
	say(WORD);
	end(0);
	assert_said("word");
	assert_int_equal(got.n_token, 2);
}

/* As another process would find it: with what is held back, half a character and half a stop string. */
static void move_to_another_process(void)
{
	const struct request_kept kept = r.kept;

	memset(&r, 0xee, sizeof(r));
	r = (struct request){ .session = session, .op = op_find(kept.opcode), .kept = kept };
}

static void a_stream_goes_on_from_what_is_kept(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		setup(state);
		r.kept.opcode = GYRE_OP_GENERATE;
		r.kept.flags = GYRE_SQE_WHOLE_CHARS;
		r.kept.max_tokens = i == 0 ? 7 : 0;
		stop_at("STOP");
		say_bytes("a\xc3");
		move_to_another_process();
		say_bytes("\xa9ST");
		move_to_another_process();
		if (i == 0)
			say_bytes("AR");
		if (i == 1)
			say_bytes("OP");
		if (i == 2)
			end(-ECANCELED);
		assert_true(got.is_ended);
		assert_said(i == 0 ? "a\xc3\xa9STAR" : i == 1 ? "a\xc3\xa9" : "a\xc3\xa9ST");
		assert_int_equal(got.n_token, i == 2 ? 5 : 7);
		assert_int_equal(got.res, i == 2 ? -ECANCELED : 0);
		teardown(state);
	}
	setup(state);
}

static int group_setup(void **state)
{
	(void)state;
	make_vocab();
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	vocab_free(vocab);
	return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { CASE(a_long_token_goes_out_whole),
					    CASE(a_long_score_goes_out_whole),
					    CASE(a_stop_string_ends_inside_a_long_token),
					    CASE(half_a_character_is_said_at_every_end),
					    CASE(what_was_held_for_a_stop_string_goes_out),
					    CASE(a_control_token_is_met_by_its_text),
					    CASE(a_shown_control_token_is_text),
					    CASE(a_stream_goes_on_from_what_is_kept) };

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
