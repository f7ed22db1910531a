#include "daemon/prompt/chat.h"

#include <errno.h>
#include <string.h>

int chat_reader_init(struct chat_reader *c, const struct chat *chat, const struct vocab *v, size_t text_max)
{
	memset(c, 0, sizeof(*c));
	c->chat = chat;
	c->vocab = v;
	c->scratch = chat ? chat_scratch_new(chat, text_max) : NULL;
	return chat && !c->scratch ? -ENOMEM : 0;
}

void chat_reader_deinit(struct chat_reader *c)
{
	chat_scratch_free(c->scratch);
	memset(c, 0, sizeof(*c));
}

static int read_chat(struct chat_reader *c, struct vocab_scratch *s, struct request *r, const uint8_t *data, uint32_t n,
		     uint32_t n_ctx)
{
	char err[GYRE_WORDS_MAX] = "";
	struct text_span variables;
	struct chat_prompt prompt;
	int res;

	if (!c->chat)
		return request_explain(r, -EOPNOTSUPP,
				       "no chat template: start gyred with --chat-template FILE or NAME");
	res = messages_split(data, n, c->message, &variables, err, sizeof(err));
	if (res > 0)
		res = chat_render(c->chat, c->scratch, c->message, (size_t)res, variables, &prompt, err, sizeof(err));
	if (res < 0)
		return request_explain(r, res, "%s", err);
	res = chat_tokenize(&prompt, c->vocab, s, !(r->kept.flags & GYRE_SQE_NO_BOS), r->kept.flags & GYRE_SQE_SPECIAL,
			    (uint32_t *)r->token, n_ctx);
	if (res < 0)
		return res;
	r->kept.n_prompt = (uint32_t)res;
	return 0;
}

int chat_read(struct chat_reader *c, struct vocab_scratch *s, struct request *r, const uint8_t *data, uint32_t n,
	      uint32_t n_ctx)
{
	int res = read_chat(c, s, r, data, n, n_ctx);

	if (c->scratch)
		chat_scratch_wipe(c->scratch);
	return res;
}
