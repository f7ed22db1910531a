/* Inside of chat rendering: messages and variables -> values. Only daemon/text/chat*.c include this. */
#ifndef GYRE_DAEMON_TEXT_CHAT_MESSAGES_H
#define GYRE_DAEMON_TEXT_CHAT_MESSAGES_H

#include "daemon/text/chat.h"

/*
 * Behind the text that an answer goes on from. Whether a space behind the mark survives tells if the template trims. No template
 * writes such bytes; a client that does finds its own marks before gyred's, and only the last counts.
 */
#define CHAT_MARK       "\x01gyre goes on here\x01"
#define CHAT_MARK_BYTES sizeof(CHAT_MARK " ")

/* A rendering under way. */
struct chat_run {
	struct jinja_scratch *s;
	char *tail; /* [tail_max] room for the last message's text with its mark */
	size_t tail_max, n_tail;
	bool goes_on; /* continue_final_message */
	char *err;
	size_t err_len;
};

/* -E2BIG, and says so. */
int chat_is_full(struct chat_run *r);
struct jinja_value *chat_set(struct jinja_scratch *s, struct jinja_value *dict, const char *key, struct jinja_value *v);
/* Is there such a member, not none? dict may be NULL. */
bool chat_has(const struct jinja_value *dict, const char *key);

/* *v: a dict, or NULL where there are none; r->goes_on is set. -EINVAL, -E2BIG with words. */
int chat_read_variables(struct chat_run *r, struct text_span json, struct jinja_value **v);
int chat_read_messages(struct chat_run *r, const struct chat_message *m, size_t n, struct jinja_value **list);

#endif
