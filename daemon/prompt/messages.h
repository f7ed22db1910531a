/*
 * The chat messages in a client's bytes (struct gyre_message of shm/abi.h). Pure; the bytes may be anything.
 */
#ifndef GYRE_DAEMON_PROMPT_MESSAGES_H
#define GYRE_DAEMON_PROMPT_MESSAGES_H

#include "daemon/text/chat.h"
#include "shm/abi.h"

/*
 * data[n] -> message[0, count), *variables (p NULL: there are none); they point into data. The count, at least 1; -EINVAL: err
 * says what is wrong with which message.
 */
int messages_split(const uint8_t *data, size_t n, struct chat_message message[GYRE_MESSAGE_MAX],
		   struct text_span *variables, char *err, size_t err_len);

#endif
