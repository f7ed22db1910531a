#include "daemon/intake/prompt.h"
#include "daemon/util/minmax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int prompt_reader_init(struct prompt_reader *p, const struct vocab *v, size_t bytes_max)
{
	memset(p, 0, sizeof(*p));
	p->vocab = v;
	p->scratch = vocab_scratch_new(bytes_max);
	return p->scratch ? 0 : -ENOMEM;
}

void prompt_reader_deinit(struct prompt_reader *p)
{
	vocab_scratch_free(p->scratch);
	memset(p, 0, sizeof(*p));
}

static int read_text(struct prompt_reader *p, struct request *r, const char *text, size_t n, bool is_first,
		     bool is_special, uint32_t room)
{
	bool add_special = is_first && !(r->flags & GYRE_SQE_NO_BOS);
	int n_id = vocab_tokenize(p->vocab, p->scratch, text, n, add_special, is_special,
				  (uint32_t *)r->token + r->n_prompt, room);

	if (n_id < 0) { /* no more ids than bytes, a first and a last */
		explicit_bzero(r->token + r->n_prompt, min_size(room, n + 2) * sizeof(*r->token));
		return n_id;
	}
	r->n_prompt += (uint32_t)n_id;
	return n_id;
}

static int read_score(struct prompt_reader *p, struct request *r, const uint8_t *data, uint32_t n, uint32_t split,
		      uint32_t n_ctx)
{
	bool is_special = r->flags & GYRE_SQE_SPECIAL;
	int n_id = read_text(p, r, (const char *)data, split, true, is_special, n_ctx);

	if (n_id < 0)
		return n_id;
	n_id = read_text(p, r, (const char *)data + split, n - split, false, is_special, n_ctx - r->n_prompt);
	if (n_id >= 0)
		r->n_score = (uint32_t)n_id;
	return n_id;
}

static int read_tokens(struct request *r, const struct geometry *g, const uint8_t *data, uint32_t n, uint32_t split)
{
	int res = validate_tokens(data, n, g);

	if (res < 0)
		return request_explain(r, res, "a token id is not below %u, the size of the vocabulary", g->n_vocab);
	memcpy(r->token, data, n);
	r->n_prompt = n / 4;
	if (r->op == GYRE_OP_SCORE)
		r->n_score = (n - split) / 4;
	return 0;
}

static int too_long(struct request *r, const struct geometry *g)
{
	return request_explain(r, -E2BIG,
			       "the prompt has %s%u tokens, and the context %u positions: shorten it, or give gyred a "
			       "larger --ctx",
			       r->n_prompt ? "" : "more than ", r->n_prompt ? r->n_prompt : g->n_ctx, g->n_ctx);
}

/* Its tokens are there: is it one to run? */
static int check_tokens(struct request *r, const struct geometry *g)
{
	if (r->op == GYRE_OP_TOKENIZE)
		return 0;
	if (!r->n_prompt)
		return request_explain(r, -EINVAL, "the prompt is empty");
	if (r->op == GYRE_OP_SCORE && (!r->n_score || r->n_score == r->n_prompt))
		return request_explain(r, -EINVAL, "there is %s",
				       r->n_score ? "nothing before it that it could follow" : "nothing to score");
	return r->op == GYRE_OP_GENERATE && r->n_prompt >= g->n_ctx ? too_long(r, g) : 0;
}

static int read_prompt(struct prompt_reader *p, struct request *r, const struct geometry *g, const uint8_t *data,
		       uint32_t n, uint32_t split)
{
	int res;

	r->n_prompt = 0;
	if (r->flags & GYRE_SQE_TOKENS)
		res = read_tokens(r, g, data, n, split);
	else if (r->flags & GYRE_SQE_CHAT)
		res = chat_read(p->chat, p->scratch, r, data, n, g->n_ctx);
	else if (r->op == GYRE_OP_SCORE)
		res = read_score(p, r, data, n, split, g->n_ctx);
	else
		res = read_text(p, r, (const char *)data, n, true, r->flags & GYRE_SQE_SPECIAL, g->n_ctx);
	if (res == -ENOBUFS) {
		r->n_prompt = 0;
		return too_long(r, g);
	}
	if (res < 0)
		return res;
	r->n_token = r->n_prompt;
	return check_tokens(r, g);
}

int prompt_read(struct prompt_reader *p, struct request *r, const struct geometry *g, uint8_t *data, uint32_t n,
		uint32_t split)
{
	int res = read_prompt(p, r, g, data, n, split);

	/* Its tokens live as long as the request; the text is nobody's any more. */
	explicit_bzero(data, n);
	vocab_scratch_wipe(p->scratch);
	return res;
}
