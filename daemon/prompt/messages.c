#include "daemon/prompt/messages.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_ALIGN 8u /* each begins on a multiple, counted from the first */

_Static_assert((int)CHAT_SYSTEM == (int)GYRE_ROLE_SYSTEM && (int)CHAT_USER == (int)GYRE_ROLE_USER &&
		       (int)CHAT_ASSISTANT == (int)GYRE_ROLE_ASSISTANT && (int)CHAT_TOOL == (int)GYRE_ROLE_TOOL &&
		       (int)CHAT_DEVELOPER == (int)GYRE_ROLE_DEVELOPER &&
		       (int)CHAT_ROLE_MAX == (int)GYRE_ROLE_VARIABLES,
	       "one numbering");

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* A header and what follows it in data[n]. Its length with padding, or 0 with *what is wrong. */
static size_t take_message(const uint8_t *data, size_t n, struct gyre_message *head, const char **what)
{
	size_t used, padded;

	*what = "is cut short";
	if (n < sizeof(*head))
		return 0;
	memcpy(head, data, sizeof(*head));
	if (head->n_text > n - sizeof(*head) || head->n_json > n - sizeof(*head) - head->n_text)
		return 0;
	used = sizeof(*head) + head->n_text + head->n_json;
	padded = used + (MESSAGE_ALIGN - used % MESSAGE_ALIGN) % MESSAGE_ALIGN;
	if (padded > n)
		return 0;
	*what = "has bytes that are not zero where they must be";
	if (head->reserved || !is_zero(data + used, padded - used))
		return 0;
	*what = "has a role that does not exist";
	return head->role <= GYRE_ROLE_VARIABLES ? padded : 0;
}

static struct text_span span(const uint8_t *p, uint32_t n)
{
	return (struct text_span){ n ? (const char *)p : NULL, n };
}

static int refuse(char *err, size_t err_len, uint32_t i, const char *what)
{
	snprintf(err, err_len, "chat message %u %s", i, what);
	return -EINVAL;
}

int messages_split(const uint8_t *data, size_t n, struct chat_message message[GYRE_MESSAGE_MAX],
		   struct text_span *variables, char *err, size_t err_len)
{
	uint32_t count = 0, n_message = 0;

	*variables = (struct text_span){ NULL, 0 };
	for (size_t at = 0, len; at < n; at += len, count++) {
		const uint8_t *text = data + at + sizeof(struct gyre_message);
		struct gyre_message head;
		const char *what;

		if (count == GYRE_MESSAGE_MAX)
			return refuse(err, err_len, count, "is one too many");
		len = take_message(data + at, n - at, &head, &what);
		if (!len)
			return refuse(err, err_len, count, what);
		if (head.role == GYRE_ROLE_VARIABLES) {
			if (count || head.n_text)
				return refuse(err, err_len, count,
					      "holds variables, but is not the first, or has text");
			*variables = span(text, head.n_json);
			continue;
		}
		message[n_message++] = (struct chat_message){ (int)head.role, span(text, head.n_text),
							      span(text + head.n_text, head.n_json) };
	}
	return n_message ? (int)n_message : refuse(err, err_len, count, "is missing: there is none");
}
