/*
 * A prompt's bytes -> a request's tokens. Short prompts are read at the desk on the spot, others by the helper's threads
 * (helper.h). Both work on a private copy of the client's bytes.
 */
#ifndef GYRE_DAEMON_INTAKE_PROMPT_H
#define GYRE_DAEMON_INTAKE_PROMPT_H

#include "daemon/intake/chat.h"
#include "daemon/intake/validate.h"
#include "daemon/text/text.h"

struct prompt_reader {
	const struct vocab *vocab;
	struct vocab_scratch *scratch;
	struct chat_reader *chat; /* the helper's; a leader reads no chats */
};

/*
 * data[n] -> request->token, n_prompt, n_score, as its op and flags say. 0, or -errno with words in the request. No allocation. The
 * text is wiped, here and wherever it was on its way: what a user wrote does not stay.
 */
int prompt_read(struct prompt_reader *p, struct request *r, const struct geometry *g, uint8_t *data, uint32_t n,
		uint32_t split);

/* For texts of up to bytes_max. */
int prompt_reader_init(struct prompt_reader *p, const struct vocab *v, size_t bytes_max);
void prompt_reader_deinit(struct prompt_reader *p);

#endif
