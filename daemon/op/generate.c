/*
 * GENERATE: goes on with a prompt, a token at a time, until an end token, a stop string, max_tokens or the end of the context. A
 * token that ends the stream gets no completion of its own.
 */
#include "daemon/flow/fit.h"
#include "daemon/op/echo.h"
#include "daemon/op/op.h"
#include "daemon/prompt/prompt.h"
#include "daemon/session/session.h"
#include "daemon/stream/stream.h"
#include "daemon/util/minmax.h"

#define ANSWER 256u /* tokens of an answer: few run up to a larger max_tokens */

static int generate_validate(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	int r = validate_split("generate", sqe, w);

	return r < 0 ? r : validate_prompt("generate", sqe, g, w);
}

static int generate_read(struct prompt_reader *p, struct request *r, const uint8_t *data, uint32_t n, uint32_t split)
{
	int res = prompt_take(p, r, data, n);

	(void)split;
	if (res < 0)
		return res;
	if (request_is_fork(r))
		return 0;
	if (!r->kept.n_prompt)
		return prompt_is_empty(r);
	return fit_context(r);
}

static uint32_t generate_rows(const struct request *r)
{
	uint32_t n_done = r->kept.n_token - r->kept.n_prompt,
		 most = r->kept.max_tokens ? min_u32(ANSWER, r->kept.max_tokens) : ANSWER;

	return request_prompt_rows(r) + (most > n_done ? most - n_done : 1);
}

/* What follows the newest token, and each guess behind it; before that, what precedes the prompt's tokens if these are told. */
static struct op_span generate_wants_logits(const struct request *r)
{
	if (echo_is_due(r))
		return (struct op_span){ echo_wants_logits(r).begin, UINT32_MAX };
	return (struct op_span){ r->kept.n_token - 1, UINT32_MAX };
}

static void generate_end(struct request *r)
{
	stream_end(r, r->kept.n_emitted);
}

static void generate_take_token(struct request *r, const struct batch_token *t, uint64_t time_ns)
{
	const struct served *served = r->session->served;
	uint32_t id = (uint32_t)t->token;
	struct text_span text, shown;

	if (echo_is_due(r)) {
		echo_take_token(r, t, time_ns);
		return;
	}
	if (!(r->kept.flags & GYRE_SQE_IGNORE_EOS) && vocab_is_end(served->vocab, id)) {
		r->kept.hit_stop = true;
	} else {
		text = vocab_token_bytes(served->vocab, id, false, true);
		shown = vocab_token_bytes(served->vocab, id, false, r->kept.flags & GYRE_SQE_SPECIAL);
		r->kept.sum_logprob += t->logprob;
		stream_token(r, t, time_ns, text, shown.n < text.n);
	}
	if (!r->kept.hit_stop && (!r->kept.max_tokens || r->kept.n_emitted < r->kept.max_tokens) &&
	    r->kept.n_prompt + r->kept.n_emitted < served->geometry.n_ctx)
		return;
	request_end(r, 0);
	generate_end(r);
}

const struct op op_generate = {
	.name = "generate",
	.flags = GYRE_SQE_TOKENS | GYRE_SQE_CHAT | GYRE_SQE_SPECIAL | GYRE_SQE_NO_BOS | GYRE_SQE_WHOLE_CHARS |
		 GYRE_SQE_IGNORE_EOS | GYRE_SQE_KEEP | GYRE_SQE_FORK | GYRE_SQE_PIN | GYRE_SQE_ECHO,
	.validate = generate_validate,
	.read = generate_read,
	.rows = generate_rows,
	.wants_logits = generate_wants_logits,
	.is_drawn = true,
	.take_token = generate_take_token,
	.end = generate_end,
};
