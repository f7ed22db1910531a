/*
 * A prompt's bytes -> a request's tokens. Short prompts are read at the watch on the spot, others by the threads of intake's helper.
 * Both work on a private copy of the client's bytes.
 */
#ifndef GYRE_DAEMON_PROMPT_PROMPT_H
#define GYRE_DAEMON_PROMPT_PROMPT_H

#include "daemon/prompt/chat.h"
#include "daemon/prompt/validate.h"
#include "daemon/text/text.h"

struct prompt_reader {
	struct vocab_scratch *scratch;
	struct chat_reader *chat; /* the helper's; a leader reads no chats */
};

/*
 * data[n] -> request->token, n_prompt, as its operation and flags say. 0, or -errno with words in the request. No allocation. The
 * text is wiped, here and wherever it was on its way: what a user wrote does not stay.
 */
int prompt_read(struct prompt_reader *p, struct request *r, uint8_t *data, uint32_t n, uint32_t split);

/* What operations read a prompt with (op.read). They append to r->token, which has room for the context; -ENOBUFS: it has not. */

/* Ids, chat or text, as the flags say. 0 or -errno. */
int prompt_take(struct prompt_reader *p, struct request *r, const uint8_t *data, uint32_t n);
int prompt_take_ids(struct request *r, const uint8_t *data, uint32_t n);
/* is_first: a vocabulary's BOS, or a space, comes before it; else it goes on from text. How many tokens, or -errno. */
int prompt_take_text(struct prompt_reader *p, struct request *r, const uint8_t *text, uint32_t n, bool is_first);
/* -EINVAL, with words. */
int prompt_is_empty(struct request *r);
/* -E2BIG, with words: n_byte, which the client gave, have more tokens than the context positions. */
int prompt_too_long(struct request *r, uint32_t n_byte);

/* For texts of up to bytes_max. */
int prompt_reader_init(struct prompt_reader *p, size_t bytes_max);
void prompt_reader_deinit(struct prompt_reader *p);

#endif
