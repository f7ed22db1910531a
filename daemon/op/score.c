/*
 * SCORE: how likely each token of data[split..) is, given all before it; of a FORK, each of data, given the other's tokens. A completion a token, as GENERATE has them, then the last
 * with the sum. Nothing is drawn, and no stop string ends it.
 */
#include "daemon/op/op.h"
#include "daemon/prompt/prompt.h"
#include "daemon/session/session.h"
#include "daemon/stream/stream.h"

#include <errno.h>

static int score_validate(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	int r = validate_unused("score", "max_tokens", sqe->max_tokens, w);

	if (r < 0)
		return r;
	if (sqe->flags & GYRE_SQE_FORK) /* all of data is scored */
		return validate_prompt("score", sqe, g, w);
	if (sqe->split > sqe->data_len)
		return words_set(w, -EINVAL, "split is %u, behind the text's end at %u", sqe->split, sqe->data_len);
	if ((sqe->flags & GYRE_SQE_TOKENS) && sqe->split % 4)
		return words_set(w, -EINVAL, "split is %u: token ids are 4 bytes each", sqe->split);
	return validate_prompt("score", sqe, g, w);
}

/* Two texts, tokenized apart: what is scored does not depend on how the two would join. */
static int read_texts(struct prompt_reader *p, struct request *r, const uint8_t *data, uint32_t n, uint32_t split)
{
	int n_id = prompt_take_text(p, r, data, split, !request_is_fork(r));

	if (n_id >= 0)
		n_id = prompt_take_text(p, r, data + split, n - split, false);
	if (n_id < 0)
		return n_id;
	r->kept.n_score = (uint32_t)n_id;
	return 0;
}

static int read_ids(struct request *r, const uint8_t *data, uint32_t n, uint32_t split)
{
	int res = prompt_take_ids(r, data, n);

	if (res == 0)
		r->kept.n_score = (n - split) / 4;
	return res;
}

static int score_read(struct prompt_reader *p, struct request *r, const uint8_t *data, uint32_t n, uint32_t split)
{
	int res;

	if (request_is_fork(r))
		split = 0;
	res = r->kept.flags & GYRE_SQE_TOKENS ? read_ids(r, data, n, split) : read_texts(p, r, data, n, split);

	if (res < 0)
		return res;
	if (!r->kept.n_prompt && !request_is_fork(r))
		return prompt_is_empty(r);
	if (!r->kept.n_score)
		return request_explain(r, -EINVAL, "there is nothing to score");
	if (r->kept.n_score == r->kept.n_prompt && !request_is_fork(r))
		return request_explain(r, -EINVAL, "there is nothing before it that it could follow");
	return 0;
}

/* What precedes each token that has not been scored; nothing follows the last. */
static struct op_span score_wants_logits(const struct request *r)
{
	return (struct op_span){ r->kept.n_prompt - r->kept.n_score + r->kept.n_scored - 1, r->kept.n_prompt - 1 };
}

static void score_end(struct request *r)
{
	stream_end(r, r->kept.n_scored);
}

static void score_take_token(struct request *r, const struct batch_token *t, uint64_t time_ns)
{
	const struct vocab *v = r->session->served->vocab;

	stream_token(r, t, time_ns, vocab_token_bytes(v, (uint32_t)t->token, false, true), false);
	r->kept.sum_logprob += t->logprob;
	if (++r->kept.n_scored < r->kept.n_score)
		return;
	request_end(r, 0);
	score_end(r);
}

const struct op op_score = {
	.name = "score",
	.flags = GYRE_SQE_TOKENS | GYRE_SQE_SPECIAL | GYRE_SQE_NO_BOS | GYRE_SQE_WHOLE_CHARS | GYRE_SQE_KEEP |
		 GYRE_SQE_FORK,
	.validate = score_validate,
	.read = score_read,
	.rows = request_rows_left,
	.wants_logits = score_wants_logits,
	.leaves_last = true,
	.take_token = score_take_token,
	.end = score_end,
};
