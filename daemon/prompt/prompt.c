#include "daemon/prompt/prompt.h"
#include "daemon/flow/fit.h"
#include "daemon/session/session.h"
#include "daemon/util/minmax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int prompt_reader_init(struct prompt_reader *p, size_t bytes_max)
{
	memset(p, 0, sizeof(*p));
	p->scratch = vocab_scratch_new(bytes_max);
	return p->scratch ? 0 : -ENOMEM;
}

void prompt_reader_deinit(struct prompt_reader *p)
{
	vocab_scratch_free(p->scratch);
	memset(p, 0, sizeof(*p));
}

static const struct geometry *geometry_of(const struct request *r)
{
	return &r->session->served->geometry;
}

int prompt_take_text(struct prompt_reader *p, struct request *r, const uint8_t *text, uint32_t n, bool is_first)
{
	const struct vocab *v = r->session->served->vocab;
	bool add_special = !(r->kept.flags & GYRE_SQE_NO_BOS), parse_special = r->kept.flags & GYRE_SQE_SPECIAL;
	uint32_t room = geometry_of(r)->n_ctx - r->kept.n_prompt, *id = (uint32_t *)r->token + r->kept.n_prompt;
	int n_id = is_first ? vocab_tokenize(v, p->scratch, (const char *)text, n, add_special, parse_special, id, room)
			    : vocab_tokenize_on(v, p->scratch, (const char *)text, n, parse_special, id, room);

	if (n_id < 0) {
		explicit_bzero(r->token + r->kept.n_prompt, min_size(room, VOCAB_ID_MAX(n)) * sizeof(*r->token));
		return n_id;
	}
	r->kept.n_prompt += (uint32_t)n_id;
	return n_id;
}

int prompt_take_ids(struct request *r, const uint8_t *data, uint32_t n)
{
	const struct geometry *g = geometry_of(r);
	struct words why;
	int res = validate_tokens(data, n, g, &why);

	if (res < 0)
		return request_explain(r, res, "%s", why.text);
	memcpy(r->token, data, n);
	r->kept.n_prompt = n / 4;
	return 0;
}

int prompt_take(struct prompt_reader *p, struct request *r, const uint8_t *data, uint32_t n)
{
	int res;

	if (r->kept.flags & GYRE_SQE_TOKENS)
		return prompt_take_ids(r, data, n);
	if (r->kept.flags & GYRE_SQE_CHAT)
		return chat_read(p->chat, p->scratch, r, data, n, geometry_of(r)->n_ctx);
	res = prompt_take_text(p, r, data, n, !request_is_fork(r));
	return res < 0 ? res : 0;
}

int prompt_is_empty(struct request *r)
{
	return request_explain(r, -EINVAL, "the prompt is empty");
}

int prompt_too_long(struct request *r, uint32_t n_byte)
{
	uint32_t n_ctx = geometry_of(r)->n_ctx;

	return request_explain(r, -E2BIG,
			       "the prompt of %u bytes has more than %u tokens, and the context %u positions: "
			       "shorten it, or give gyred a larger --ctx",
			       n_byte, n_ctx, n_ctx);
}

int prompt_read(struct prompt_reader *p, struct request *r, uint8_t *data, uint32_t n, uint32_t split)
{
	int res;

	r->kept.n_prompt = 0;
	res = r->op->read(p, r, data, n, split);
	if (res == -ENOBUFS) {
		r->kept.n_prompt = 0;
		res = prompt_too_long(r, n);
	}
	if (res == 0 && r->op->wants_logits)
		res = fit_pool(r);
	if (res == 0)
		r->kept.n_token = r->kept.n_prompt;
	/* Its tokens live as long as the request; the text is nobody's any more. */
	explicit_bzero(data, n);
	vocab_scratch_wipe(p->scratch);
	return res;
}
