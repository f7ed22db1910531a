#include "daemon/flow/words.h"
#include "daemon/util/utf8.h"

#include <stdbool.h>
#include <stdio.h>

static bool is_plain(char c)
{
	return c >= ' ' && c < 0x7f;
}

/* In place: whole characters that fit, '?' for control bytes and what is no UTF-8. */
static uint32_t clean(char *text, uint32_t n)
{
	uint32_t at = 0;

	for (uint32_t len; at < n; at += len) {
		uint32_t valid = is_plain(text[at]) ? 1 : (uint32_t)utf8_char_len(text + at, n - at);

		len = valid ? valid : 1;
		if (at + len > GYRE_WORDS_MAX)
			break;
		if (len == 1 && !is_plain(text[at]))
			text[at] = '?';
	}
	return at;
}

void words_vset(struct words *w, const char *fmt, va_list ap)
{
	int n = vsnprintf(w->text, sizeof(w->text), fmt, ap); /* a character that begins in time is whole */
	uint32_t room = sizeof(w->text) - 1;

	w->n = clean(w->text, n < 0 ? 0 : (uint32_t)n < room ? (uint32_t)n : room);
	w->text[w->n] = '\0';
}

int words_set(struct words *w, int res, const char *fmt, ...)
{
	va_list ap;

	if (!w)
		return res;
	va_start(ap, fmt);
	words_vset(w, fmt, ap);
	va_end(ap);
	return res;
}
