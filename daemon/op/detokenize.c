/*
 * DETOKENIZE: the bytes of token ids, in pieces of a result slot: what TOKENIZE took apart. No engine runs it. The first token with
 * text opens it, so the space that an SPM vocabulary puts in front of a text is taken off again.
 */
#include "daemon/op/op.h"
#include "daemon/prompt/prompt.h"
#include "daemon/session/session.h"
#include "daemon/stream/stream.h"
#include "daemon/util/minmax.h"

#include <string.h>

static int detokenize_validate(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	int r = validate_unused("detokenize", "max_tokens", sqe->max_tokens, w);

	if (r == 0)
		r = validate_unused("detokenize", "split", sqe->split, w);
	return r < 0 ? r : validate_ids("detokenize", sqe, g, w);
}

static int detokenize_read(struct prompt_reader *p, struct request *r, const uint8_t *data, uint32_t n, uint32_t split)
{
	(void)p;
	(void)split;
	return prompt_take_ids(r, data, n);
}

/* What is left of token i, of which n_cut bytes have gone out. */
static struct text_span rest_of(const struct request *r, uint32_t i)
{
	struct text_span t = vocab_token_bytes(r->session->served->vocab, (uint32_t)r->token[i], !r->kept.has_text,
					       r->kept.flags & GYRE_SQE_SPECIAL);

	return (struct text_span){ t.p + r->kept.n_cut, t.n - r->kept.n_cut };
}

/* A control token in front, shown or not, opens no text. */
static bool opens_text(const struct request *r, uint32_t i)
{
	return vocab_token_bytes(r->session->served->vocab, (uint32_t)r->token[i], false, false).n > 0;
}

/* Up to `room` bytes of the tokens from n_emitted on; tokens without any behind them count as told. */
static uint32_t take_bytes(struct request *r, uint8_t *to, uint32_t room)
{
	uint32_t at = 0;

	for (; r->kept.n_emitted < r->kept.n_token; r->kept.n_emitted++) {
		struct text_span t = rest_of(r, r->kept.n_emitted);
		uint32_t n = min_u32(t.n, room - at);

		memcpy(to + at, t.p, n);
		at += n;
		if (n < t.n) {
			r->kept.n_cut += n;
			break;
		}
		r->kept.has_text |= opens_text(r, r->kept.n_emitted);
		r->kept.n_cut = 0;
	}
	return at;
}

/* As many pieces as are granted; the rest in the next step. The last one ends the request. */
static void put_bytes(struct request *r)
{
	while (r->grant) {
		uint32_t index = r->kept.n_emitted;
		uint8_t *result;
		struct gyre_cqe *cqe = stream_complete(r, &result);
		bool is_last;

		if (!cqe)
			return;
		cqe->n_bytes = (uint16_t)take_bytes(r, result, GYRE_RESULT_SLOT_BYTES);
		is_last = r->kept.n_emitted == r->kept.n_token;
		cqe->res = cqe->n_bytes;
		cqe->index = index;
		cqe->flags = GYRE_CQE_EXT | (is_last ? 0 : GYRE_CQE_MORE);
		if (is_last) {
			stream_let_go(r);
			return;
		}
	}
}

static void detokenize_end(struct request *r)
{
	if (r->kept.res == 0)
		put_bytes(r);
	else
		stream_end(r, r->kept.n_emitted);
}

const struct op op_detokenize = {
	.name = "detokenize",
	.flags = GYRE_SQE_SPECIAL,
	.validate = detokenize_validate,
	.read = detokenize_read,
	.rows = request_prompt_rows,
	.end = detokenize_end,
};
