/*
 * PREFILL: reads a prompt, and answers with the last completion alone, or tells its tokens before (ECHO). It is there to be kept (KEEP, PIN), so that others go on from it
 * (FORK). The row of its last token is left to them: they ask for what follows it, and a state cannot go back to it.
 */
#include "daemon/op/echo.h"
#include "daemon/op/op.h"
#include "daemon/prompt/prompt.h"
#include "daemon/stream/stream.h"

static int prefill_validate(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	int r = validate_unused("prefill", "max_tokens", sqe->max_tokens, w);

	if (r == 0)
		r = validate_split("prefill", sqe, w);
	return r < 0 ? r : validate_prompt("prefill", sqe, g, w);
}

static int prefill_read(struct prompt_reader *p, struct request *r, const uint8_t *data, uint32_t n, uint32_t split)
{
	int res = prompt_take(p, r, data, n);

	(void)split;
	return res < 0 || r->kept.n_prompt || request_is_fork(r) ? res : prompt_is_empty(r);
}

static uint32_t prefill_rows(const struct request *r)
{
	return request_rows_left(r);
}

static struct op_span prefill_wants_logits(const struct request *r)
{
	return echo_is_due(r) ? echo_wants_logits(r) : (struct op_span){ UINT32_MAX, UINT32_MAX }; /* none */
}

static void prefill_end(struct request *r)
{
	stream_end(r, 0);
}

const struct op op_prefill = {
	.name = "prefill",
	.flags = GYRE_SQE_TOKENS | GYRE_SQE_CHAT | GYRE_SQE_SPECIAL | GYRE_SQE_NO_BOS | GYRE_SQE_KEEP | GYRE_SQE_FORK |
		 GYRE_SQE_PIN | GYRE_SQE_ECHO,
	.validate = prefill_validate,
	.read = prefill_read,
	.rows = prefill_rows,
	.wants_logits = prefill_wants_logits,
	.leaves_last = true,
	.take_token = echo_take_token,
	.end = prefill_end,
};
