/*
 * A chat request's messages -> its tokens. For the text helper: a template may take tenths of a second.
 */
#ifndef GYRE_DAEMON_PROMPT_CHAT_H
#define GYRE_DAEMON_PROMPT_CHAT_H

#include "daemon/prompt/messages.h"
#include "daemon/flow/request.h"

struct chat_reader {
	const struct chat *chat; /* NULL: there is no template, and every chat is refused */
	const struct vocab *vocab;
	struct chat_scratch *scratch;
	struct chat_message message[GYRE_MESSAGE_MAX];
};

int chat_reader_init(struct chat_reader *c, const struct chat *chat, const struct vocab *v, size_t text_max);
void chat_reader_deinit(struct chat_reader *c);

/* data[n] -> r->token, n_prompt; s takes texts of CHAT_OUTPUT_BYTES. 0, or -errno with r's words. No allocation. */
int chat_read(struct chat_reader *c, struct vocab_scratch *s, struct request *r, const uint8_t *data, uint32_t n,
	      uint32_t n_ctx);

#endif
