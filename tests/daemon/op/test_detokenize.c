/*
 * Why: a client that keeps ids and asks for their text later gets what it once gave, or its files rot: of every tokenizer, whether it
 * puts a space in front, falls back to bytes or rewrites the text, and wherever the pieces of the answer are cut.
 */
#include "daemon/flow/grant.h"
#include "daemon/gguf/gguf.h"
#include "daemon/op/op.h"
#include "daemon/prompt/prompt.h"
#include "daemon/session/session.h"
#include "daemon/stream/stream.h"
#include "daemon/text/vocab_gguf.h"

#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define N_CTX    8192u
#define TEXT_MAX 65536u

static struct vocab *vocab;
static struct served served;
static struct session *session;
static struct prompt_reader reader;
static struct request r;
static int32_t token[N_CTX];
static uint8_t data[TEXT_MAX];

/* What a client has read. */
static struct {
	uint8_t byte[TEXT_MAX];
	uint32_t n, n_piece;
	int32_t res;
} got;

static void open_session(void)
{
	const struct abi_hello hello = { .sq_entries = 64, .cq_entries = 64, .arena_bytes = GYRE_ARENA_BYTES_MIN };
	int pair[2];

	served = (struct served){ .vocab = vocab,
				  .geometry = served_geometry(vocab_size(vocab), N_CTX, stream_pieces(vocab)) };
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(session_new(&session, &served, pair[0], 0, &hello), 0);
}

static void close_session(void)
{
	session = session_free(session);
	vocab = vocab_free(vocab);
}

/* As intake does: r with the tokens of data[n]. */
static int read_as(const struct op *op, uint16_t flags, const void *p, size_t n)
{
	memcpy(data, p, n);
	memset(&r, 0, sizeof(r));
	r = (struct request){ .session = session, .op = op, .token = token, .kept.flags = flags };
	session_link(session, &r);
	r.kept.res = prompt_read(&reader, &r, data, (uint32_t)n, 0);
	r.kept.state = REQUEST_ENDED;
	return r.kept.res;
}

/* As emit does, so many completions a step. */
static void run(uint32_t n_grant)
{
	got.n = got.n_piece = 0;
	while (r.kept.state != REQUEST_DONE) {
		uint32_t from = session->cq.head;

		r.grant = session->n_promised = n_grant;
		r.op->end(&r);
		session_unpromise(session, r.grant);
		for (; from != session->cq.tail; from++, got.n_piece++) {
			const struct gyre_cqe *cqe = &session->cq.cqe[from & (session->cq.entries - 1)];
			const uint8_t *slot = session->cq.result +
					      (size_t)(from & (session->cq.entries - 1)) * GYRE_RESULT_SLOT_BYTES;

			assert_int_equal(!(cqe->flags & GYRE_CQE_MORE),
					 r.kept.state == REQUEST_DONE && from + 1 == session->cq.tail);
			got.res = cqe->res;
			if (cqe->res < 0 || r.op != &op_detokenize)
				continue;
			assert_int_equal(cqe->res, cqe->n_bytes);
			assert_true(cqe->res == GYRE_RESULT_SLOT_BYTES || !(cqe->flags & GYRE_CQE_MORE));
			memcpy(got.byte + got.n, slot, (size_t)cqe->res);
			got.n += (uint32_t)cqe->res;
		}
		session->cq.head = from;
	}
	session_unlink(session, &r);
}

static uint32_t to_ids(const void *text, size_t n, uint16_t flags, uint32_t *id)
{
	uint32_t n_id;

	assert_int_equal(read_as(&op_tokenize, flags, text, n), 0);
	n_id = r.kept.n_token;
	memcpy(id, r.token, n_id * sizeof(*id));
	run(4);
	return n_id;
}

static void to_text(const uint32_t *id, uint32_t n, uint16_t flags, uint32_t n_grant)
{
	assert_int_equal(read_as(&op_detokenize, flags, id, n * sizeof(*id)), 0);
	run(n_grant);
}

/* Of those that rewrite a text: what has come back does so once more as it is; of ASCII, for the pieces of other characters compose. */
static void check_rewritten(const char *path)
{
	static uint8_t first[TEXT_MAX];
	static uint32_t id[N_CTX];
	uint32_t n = got.n;

	for (uint32_t i = 0; i < n; i++)
		if (got.byte[i] >= 0x80)
			return;
	memcpy(first, got.byte, n);
	to_text(id, to_ids(first, n, 0, id), 0, 4);
	if (got.n != n || memcmp(first, got.byte, n))
		fail_msg("%s: '%.*s' came back as '%.*s'", path, (int)n, first, (int)got.n, got.byte);
}

static bool has_unknown(const uint32_t *id, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!vocab_token_bytes(vocab, id[i], false, false).n && (int32_t)id[i] != vocab_bos(vocab) &&
		    (int32_t)id[i] != vocab_eos(vocab))
			return true;
	return false;
}

static void check_text(const char *path, const uint8_t *text, size_t n, bool is_rewritten)
{
	static uint32_t id[N_CTX];
	uint32_t n_id = to_ids(text, n, 0, id);

	if (has_unknown(id, n_id))
		return;
	to_text(id, n_id, 0, 4);
	if (is_rewritten)
		check_rewritten(path);
	else if (got.n != n || memcmp(got.byte, text, n))
		fail_msg("%s: '%.*s' came back as '%.*s'", path, (int)n, text, (int)got.n, got.byte);
}

static void open_file(const char *path)
{
	char why[256] = "";
	struct error e;
	struct gguf *g;

	assert_int_equal(gguf_open(&g, path, &e), 0);
	if (vocab_from_gguf(&vocab, g, why, sizeof(why)))
		fail_msg("%s: %s", path, why);
	gguf_close(g);
	open_session();
}

static uint32_t check_file(const char *path)
{
	static const char *const rewrites[] = { "bert", "t5", "nfc", "whitespace" };
	char *txt = strdup(path), *line = NULL;
	uint32_t n_text = 0;
	bool is_rewritten = false;
	size_t room = 0;
	FILE *f;

	for (size_t i = 0; i < sizeof(rewrites) / sizeof(rewrites[0]); i++)
		is_rewritten |= strstr(path, rewrites[i]) != NULL;
	open_file(path);
	strcpy(strrchr(txt, '.'), ".txt");
	f = fopen(txt, "r");
	assert_non_null(f);
	while (getline(&line, &room, f) > 0) {
		static uint8_t text[TEXT_MAX];
		unsigned byte;
		size_t n = 0;

		for (const char *h = line + 2; sscanf(h, "%2x", &byte) == 1 && *h != ' ' && *h != '-'; h += 2)
			text[n++] = (uint8_t)byte;
		if (line[0] != 't' || n > N_CTX ||
		    memmem(text, n, "<dna>", 5)) /* a part of a word of letters is none */
			continue;
		check_text(path, text, n, is_rewritten);
		n_text++;
	}
	fclose(f);
	free(line);
	free(txt);
	close_session();
	return n_text;
}

static void a_text_comes_back(void **state)
{
	uint32_t n_text = 0;
	glob_t files;

	(void)state;
	assert_int_equal(glob("tests/golden/vocabs/*.gguf", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++)
		n_text += check_file(files.gl_pathv[i]);
	assert_true(n_text > 50 * files.gl_pathc);
	globfree(&files);
}

/* ---- a vocabulary that puts a space in front of a text, and has long tokens ---- */

#define N_LONG 3000u

enum { BYTE = 3, SPACED = 259, WORD, LONG, N_TOKEN };

static void open_spm(void)
{
	static char spelling[N_TOKEN][N_LONG + 1];
	static struct text_span piece[N_TOKEN];
	static float score[N_TOKEN];
	static int32_t type[N_TOKEN];
	struct vocab_source src = { .model = "llama",
				    .n_token = N_TOKEN,
				    .token = piece,
				    .score = score,
				    .type = type,
				    .bos = 1,
				    .eos = 2,
				    .eot = -1,
				    .eom = -1,
				    .pad = -1,
				    .add_bos = true,
				    .add_space_prefix = true };
	char why[256];

	strcpy(spelling[0], "<unk>");
	strcpy(spelling[1], "<s>");
	strcpy(spelling[2], "</s>");
	for (uint32_t i = 0; i < 256; i++)
		snprintf(spelling[BYTE + i], 8, "<0x%02X>", i);
	strcpy(spelling[SPACED], "\xe2\x96\x81hello");
	strcpy(spelling[WORD], "world");
	memset(spelling[LONG], 'x', N_LONG);
	for (uint32_t i = 0; i < N_TOKEN; i++) {
		piece[i] = (struct text_span){ spelling[i], (uint32_t)strlen(spelling[i]) };
		type[i] = i == 0 ? 2 : i < BYTE ? 3 : i < SPACED ? 6 : 1;
	}
	assert_int_equal(vocab_new(&vocab, &src, why, sizeof(why)), 0);
	open_session();
}

static void expect(const uint32_t *id, uint32_t n, uint16_t flags, const char *text)
{
	to_text(id, n, flags, 4);
	assert_int_equal(got.n, strlen(text));
	assert_memory_equal(got.byte, text, got.n);
}

static void a_space_in_front_is_taken_off_once(void **state)
{
	static const uint32_t plain[] = { SPACED, SPACED, WORD }, begun[] = { 1, SPACED, SPACED, 2 };

	(void)state;
	open_spm();
	expect(plain, 3, 0, "hello helloworld");
	expect(begun, 4, 0, "hello hello");
	expect(begun, 4, GYRE_SQE_SPECIAL, "<s>hello hello</s>");
	expect(begun, 1, 0, "");
	expect(begun, 0, 0, "");
	close_session();
}

/* Tokens reach over the ends of pieces, one over three; and tokens without text end the answer with its last byte. */
static void pieces_are_cut_anywhere(void **state)
{
	static char text[TEXT_MAX];
	static uint32_t id[N_CTX];
	uint32_t n_text = 0, n = 0;

	(void)state;
	open_spm();
	for (uint32_t i = 0; i < 2000; i++) {
		bool is_long = i % 500 == 1;

		id[n++] = is_long ? LONG : WORD;
		if (is_long)
			memset(text + n_text, 'x', N_LONG);
		else
			memcpy(text + n_text, "world", 5);
		n_text += is_long ? N_LONG : 5;
	}
	for (; n_text % GYRE_RESULT_SLOT_BYTES; text[n_text++] = 'w')
		id[n++] = BYTE + 'w';
	id[n++] = 2;
	for (uint32_t n_grant = 1; n_grant < 9; n_grant += 3) {
		to_text(id, n, 0, n_grant);
		assert_int_equal(got.n, n_text);
		assert_memory_equal(got.byte, text, n_text);
		assert_int_equal(got.n_piece, n_text / GYRE_RESULT_SLOT_BYTES);
	}
	close_session();
}

static void an_id_that_is_none_is_refused(void **state)
{
	static const uint32_t id[] = { WORD, N_TOKEN };

	(void)state;
	open_spm();
	assert_int_equal(read_as(&op_detokenize, 0, id, sizeof(id)), -EINVAL);
	run(4);
	assert_int_equal(got.res, -EINVAL);
	assert_non_null(strstr(r.kept.why.text, "token 2 of the prompt has the id 262"));
	close_session();
}

static int setup(void **state)
{
	(void)state;
	return prompt_reader_init(&reader, TEXT_MAX * VOCAB_GROWTH);
}

static int teardown(void **state)
{
	(void)state;
	prompt_reader_deinit(&reader);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_text_comes_back),
					    cmocka_unit_test(a_space_in_front_is_taken_off_once),
					    cmocka_unit_test(pieces_are_cut_anywhere),
					    cmocka_unit_test(an_id_that_is_none_is_refused) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
