/* TOKENIZE: the ids of a text or a chat, in pieces of a result slot. No engine runs it. */
#include "daemon/op/op.h"
#include "daemon/prompt/prompt.h"
#include "daemon/stream/stream.h"
#include "daemon/util/minmax.h"

#include <errno.h>
#include <string.h>

#define PIECE ((uint32_t)(GYRE_RESULT_SLOT_BYTES / sizeof(uint32_t))) /* ids of a completion */

static int tokenize_validate(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	int r = validate_unused("tokenize", "max_tokens", sqe->max_tokens, w);

	if (r == 0)
		r = validate_unused("tokenize", "split", sqe->split, w);
	return r < 0 ? r : validate_prompt("tokenize", sqe, g, w);
}

static int tokenize_read(struct prompt_reader *p, struct request *r, const uint8_t *data, uint32_t n, uint32_t split)
{
	(void)split;
	return prompt_take(p, r, data, n);
}

/* As many pieces as are granted; the rest in the next step. The last one ends the request. */
static void put_ids(struct request *r)
{
	while (r->grant) {
		uint32_t left = r->kept.n_token - r->kept.n_emitted, n = min_u32(left, PIECE);
		uint8_t *result;
		struct gyre_cqe *cqe = stream_complete(r, &result);

		if (!cqe)
			return;
		memcpy(result, r->token + r->kept.n_emitted, n * sizeof(uint32_t));
		cqe->res = (int32_t)n;
		cqe->index = r->kept.n_emitted;
		cqe->flags = GYRE_CQE_EXT | (n < left ? GYRE_CQE_MORE : 0);
		r->kept.n_emitted += n;
		if (n == left) {
			stream_let_go(r);
			return;
		}
	}
}

static void tokenize_end(struct request *r)
{
	if (r->kept.res == 0)
		put_ids(r);
	else
		stream_end(r, r->kept.n_emitted);
}

const struct op op_tokenize = {
	.name = "tokenize",
	.flags = GYRE_SQE_CHAT | GYRE_SQE_SPECIAL | GYRE_SQE_NO_BOS,
	.validate = tokenize_validate,
	.read = tokenize_read,
	.rows = request_prompt_rows,
	.end = tokenize_end,
};
